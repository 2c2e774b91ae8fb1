import type { ChannelLimits } from '../channel-limits.js';
import { ConfigError } from '../config-error.js';
import { type ConfigFile, checkConfigFile } from '../config-file.js';
import { CHANNEL_LIMIT_OPTIONS, ChannelLimitsTable } from '../limits-table.js';
import { type OptionName, optionOf } from '../options.js';
import { readGoFile } from './go-file.js';
import { type ConfigSources, findConfig } from './syntax.js';

/** The limits that a server with a config file has, for commands that serve nothing. */
export interface FileLimits {
  /** The limits of a channel. It is fast, and keeps nothing per name. */
  for(channel: string): Readonly<ChannelLimits>;
  /** The limits of every channel that has none of its own. */
  readonly global: Readonly<ChannelLimits>;
  /** Each channel or pattern that has limits of its own, with those that it inherits. */
  readonly channels: readonly [pattern: string, limits: Readonly<ChannelLimits>][];
  /** Where each global limit was given, for messages. A default is not in it. */
  readonly where: ReadonlyMap<keyof ChannelLimits, string>;
}

/**
 * The limits that a server has with a config file: stanchion's own, or that of a Go server. What else stands in it does not matter: it
 * may be the file of a server with a SQL store or with Raft.
 *
 * @param path undefined for none: then these are the given limits, and the defaults, which are those of the Go server
 * @param given limits that beat those of the file, as flags do
 * @throws ConfigError if a limit is wrong; Error if the file cannot be read
 */
export function limitsOfConfigFile(
  path: string | undefined,
  sources: ConfigSources,
  given: Partial<ChannelLimits> = {},
): FileLimits {
  const { values, channels } = path === undefined ? NOTHING : limitsInFile(path, sources);
  const global: Partial<ChannelLimits> = {};
  const where = new Map<keyof ChannelLimits, string>();
  for (const [name, field] of CHANNEL_LIMIT_OPTIONS) {
    const inFile = values.find((value) => value.name === name);
    if (inFile !== undefined && given[field] === undefined) where.set(field, inFile.where);
    global[field] = given[field] ?? numberOf(name, inFile?.text ?? optionOf(name).default ?? '0');
  }
  const table = new ChannelLimitsTable(global as ChannelLimits, channels);
  return { for: (channel) => table.for(channel), global: table.global, channels: table.byPattern(), where };
}

const NOTHING: Pick<ConfigFile, 'values' | 'channels'> = { values: [], channels: [] };

/** The names under `streaming` that have limits, in messages about them. */
const ABOUT_LIMITS = /: (streaming\.)?(limits|store_?limits)\b/i;

function limitsInFile(path: string, sources: ConfigSources): Pick<ConfigFile, 'values' | 'channels'> {
  const found = findConfig(path, sources);
  if (found.kind === 'own') return checkConfigFile(path, found.content);
  const { values, channels, errors } = readGoFile(found.file);
  const wrong = errors.filter((error) => ABOUT_LIMITS.test(error));
  if (wrong.length > 0) throw new ConfigError(wrong.join('\n'));
  return { values, channels };
}

function numberOf(name: OptionName, text: string): number {
  return Number(optionOf(name).kind.parse(text));
}
