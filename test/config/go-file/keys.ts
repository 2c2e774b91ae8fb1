import { GO_KEYS, type GoKey, type GoSection } from '../../../src/config/go-file/go-keys.js';

/** Where the keys of a part stand: the names of the blocks around them. */
export const BLOCKS: Readonly<Record<GoSection, readonly string[]>> = {
  streaming: ['streaming'],
  tls: ['streaming', 'tls'],
  store_limits: ['streaming', 'store_limits'],
  channel: ['streaming', 'store_limits', 'channels', 'orders.*'],
  file_options: ['streaming', 'file_options'],
  sql_options: ['streaming', 'sql_options'],
  cluster: ['streaming', 'cluster'],
  nats: [],
  authorization: ['authorization'],
};

/** A key under one of its names. */
export interface NamedKey {
  readonly section: GoSection;
  readonly key: GoKey;
  readonly name: string;
  readonly path: string;
}

export const NAMED_KEYS: readonly NamedKey[] = (Object.keys(GO_KEYS) as GoSection[]).flatMap((section) =>
  GO_KEYS[section].flatMap((key) =>
    key.names.map((name) => ({ section, key, name, path: [...BLOCKS[section], name].join('.') })),
  ),
);

/** A file with one key, in line 2. */
export function fileWith({ section, name }: NamedKey, value: string): string {
  const blocks = BLOCKS[section];
  const open = blocks.map((block) => `"${block}" {`).join(' ');
  const other = blocks[0] === 'streaming' ? '' : 'streaming { }; ';
  return `${other}${open}\n${name}: ${value}\n${'}'.repeat(blocks.length)}\n`;
}
