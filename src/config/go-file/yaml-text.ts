// A Go server's configuration file as one of stanchion, in YAML.

import { stringify } from 'yaml';
import type { ChannelLimits } from '../channel-limits.js';
import { CHANNEL_LIMIT_OPTIONS, type ChannelRule } from '../limits-table.js';
import { OPTION_NAMES, type OptionName, optionOf } from '../options.js';
import type { GoFile } from './go-file.js';

/** What a nats-server asks its clients for, at the top of its file. */
const ABOUT_LOGIN = /^(authorization|accounts|operators?|roots?|root_operators?|trusted|trusted_keys)$/i;

const UNITS: readonly [letter: string, ms: number][] = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
];

export interface YamlSource {
  /** The name of the file, for the first line. */
  readonly from: string;
  /** Path of the file that the nats-server's part is written to; undefined if it is not. */
  readonly natsConfig: string | undefined;
  /** Whether it has variables or includes. */
  readonly hasReferences: boolean;
}

/**
 * The text of a config file of stanchion that means the same.
 *
 * @param file without errors
 */
export function yamlOf(file: GoFile, { from, natsConfig, hasReferences }: YamlSource): string {
  const { values, channels, noted, nats } = file;
  const given = new Map(values.map(({ name, text }) => [name, text]));
  const names = nats?.names ?? [];
  const lines = [`# What ${from} means, for \`stanchion serve --config\`.`];
  if (values.some(({ name, text }) => hasSecret(name, text)))
    lines.push('# It has secrets: keep it from other users.');
  if (hasReferences) lines.push('# Variables have the values that they had here, and includes stand in it.');
  lines.push('');
  const startsServer = !given.has('nats-server');
  // In a file of stanchion they are also what the nats-server requires of its clients.
  const isFree = startsServer && !names.some((name) => ABOUT_LOGIN.test(name));
  for (const name of OPTION_NAMES) {
    const text = given.get(name);
    if (text === undefined) continue;
    if (isFree && ['user', 'pass', 'auth'].includes(name)) {
      lines.push(`# ${name}: left out, since the nats-server that is started asks no client for it`);
    } else lines.push(`${name}: ${valueText(name, text)}`);
  }
  if (startsServer && names.length > 0) lines.push(...natsLines(names, natsConfig, given));
  if (channels.length > 0) lines.push('', 'channels:', ...channels.flatMap(channelLines));
  const without = [...noted].flatMap(([why, keys]) => keys.map((key) => `# No effect: ${key}: ${why}`));
  const unused = names.filter((name) => !nats?.optionNames.has(name));
  if (!startsServer && unused.length > 0)
    without.push(
      `# No effect: ${unused.join(', ')}: no nats-server is started, since there is nats-server: above`,
    );
  if (without.length > 0) lines.push('', ...without);
  return `${lines.join('\n')}\n`;
}

function natsLines(
  names: readonly string[],
  natsConfig: string | undefined,
  given: ReadonlyMap<OptionName, string>,
): string[] {
  if (natsConfig === undefined)
    return [
      `# For the nats-server that is started, and not in here: ${names.join(', ')}.`,
      '# `stanchion config from` writes it to a file of its own with --nats-config-to FILE.',
    ];
  const lines = [`nats-config: ${stringify(natsConfig).trim()}`];
  const isSecure = (['secure', 'tls-ca', 'tls-cert', 'tls-server-name'] as const).some((name) =>
    given.has(name),
  );
  if (names.some((name) => name.toLowerCase() === 'tls') && !isSecure)
    lines.push(
      '# The connection stays on this machine, to a nats-server that stanchion has started.',
      'secure: true',
    );
  return lines;
}

function channelLines({ pattern, limits }: ChannelRule): string[] {
  const entries = CHANNEL_LIMIT_OPTIONS.flatMap(([name, field]) => {
    const value = limits[field];
    return value === undefined ? [] : [`    ${name}: ${limitText(field, value)}`];
  });
  const key = `  ${JSON.stringify(pattern)}:`;
  return entries.length === 0 ? [`${key} {}`] : [key, ...entries];
}

function limitText(field: keyof ChannelLimits, value: number): string {
  if (value === 0 || !field.endsWith('Ms')) return String(value);
  const [letter, ms] = UNITS.find(([, each]) => value % each === 0) ?? ['ms', 1];
  return `${value / ms}${letter}`;
}

function valueText(name: OptionName, text: string): string {
  const { kind } = optionOf(name);
  const parsed = kind.parse(text);
  if (typeof parsed === 'boolean' && kind.fileTypes.includes('boolean')) return String(parsed);
  if (/^\d{1,15}$/.test(text) && kind.fileTypes.includes('number')) return String(Number(text));
  return stringify(typeof parsed === 'string' ? parsed : text, { lineWidth: 0 }).trim();
}

function hasSecret(name: OptionName, text: string): boolean {
  const { secret } = optionOf(name).kind;
  return secret === 'whole' || (secret === 'in-urls' && text.includes('@'));
}
