import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from './child.js';
import type { StoreKind } from './lines/line.js';
import { brokerMain, CLUSTER_ID, type NatsServer, READY, START_MS, startFloor } from './programs.js';

/** What is measured beside each other. */
export const SIDES = [
  'go',
  'stanchion',
  'base',
  'group',
  'node-nats-streaming',
  'floor',
  'overwriting',
  'bare',
] as const;
export type Side = (typeof SIDES)[number];

export const SIDE_NAMES: Record<Side, string> = {
  go: 'Go server',
  stanchion: 'stanchion',
  base: 'the other build',
  group: 'group of one',
  'node-nats-streaming': 'node-nats-streaming',
  floor: 'floor',
  overwriting: 'overwriting floor',
  bare: 'bare floor',
};

export interface StartOptions {
  nats: NatsServer;
  store: StoreKind;
  /** The file store is in it. */
  dir: string;
  /** Bytes of messages that a channel keeps; without it: all. */
  channelBytes?: number;
  /** Name of the group of which it is a member. */
  group?: string;
  /** Further arguments of stanchion. */
  args?: readonly string[];
  nodeArgs?: readonly string[];
  /** The line that it prints once it has started. */
  started?: RegExp;
}

/** The command lines of the programs, where there is a choice. */
export interface Programs {
  /** The Go server's binary. */
  goServer: string | undefined;
  /** The main module of another build of stanchion. */
  base: string | undefined;
  brokerArgs: readonly string[];
}

/** A floor keeps nothing in channels, and has no limits. */
export function isFloor(side: Side): boolean {
  return side === 'floor' || side === 'overwriting' || side === 'bare';
}

const MANY_CHANNELS = ['--max-channels', '0', '--max-subs', '0'];
/** No limit but what a line has, for stores in files. In memory the default limits stay, as in any use of it that is meant to last. */
const messageLimits = (channelBytes: number): string[] => [
  ...['--max-msgs', '0'],
  ...['--max-bytes', String(channelBytes)],
];

/** Starts a side by itself: it serves the cluster `CLUSTER_ID`, and stops at SIGTERM. */
export async function startSide(side: Side, programs: Programs, options: StartOptions): Promise<Child> {
  const { nats, store, dir, nodeArgs = [], started = READY } = options;
  if (isFloor(side)) {
    const journalPath = store === 'file' ? join(dir, 'floor.journal') : undefined;
    const kind = { isBare: side === 'bare', isOverwriting: side === 'overwriting' };
    return startFloor({ natsPort: nats.port, clusterId: CLUSTER_ID, journalPath, ...kind }, nodeArgs);
  }
  const [command, args] = commandOf(side, programs, options);
  const child = new Child(SIDE_NAMES[side], command, args);
  await child.matching(started, START_MS);
  return child;
}

export function commandOf(
  side: Side,
  { goServer, base, brokerArgs }: Programs,
  { nats, store, dir, channelBytes = 0, group, args = [], nodeArgs = [] }: StartOptions,
): [command: string, args: string[]] {
  const url = `nats://127.0.0.1:${nats.port}`;
  const limits = [...MANY_CHANNELS, ...(store === 'file' ? messageLimits(channelBytes) : [])];
  const storeFlags =
    store === 'file' ? ['--store', 'file', '--dir', join(dir, 'store')] : ['--store', 'memory'];
  const groupFlags = group === undefined ? [] : ['--ft-group', group];
  if (side === 'go') {
    // The same flags under its own names.
    const own = [...limits, ...storeFlags, ...groupFlags].map((flag) =>
      flag.replace(/^--(?=.*-)(.*)$/, (_, name: string) => `--${name.replaceAll('-', '_')}`),
    );
    return [goServer ?? '', ['-cid', CLUSTER_ID, '-ns', url, ...own]];
  }
  const main = side === 'base' ? (base ?? '') : brokerMain;
  if (!existsSync(main)) throw new Error(`bench: there is no ${main}: run npm run build`);
  const attach = ['serve', '--nats-server', url, '--cluster-id', CLUSTER_ID];
  return [
    process.execPath,
    [...nodeArgs, main, ...attach, ...storeFlags, ...limits, ...groupFlags, ...args, ...brokerArgs],
  ];
}
