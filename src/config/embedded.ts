import { inspect } from 'node:util';
import type { Logger } from '../log/logger.js';
import { withoutSecrets } from '../util/secrets.js';
import { didYouMean } from '../util/suggest.js';
import { ConfigError } from './config-error.js';
import { duration, positiveDuration } from './kinds.js';
import { kebab, OPTION_NAMES, type OptionName, type OptionValues, optionOf } from './options.js';
import { NO_CONFIG_FILE, resolveServeConfig } from './resolve.js';
import type { ServeConfig } from './serve-config.js';

type Camel<Name extends string> = Name extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Name;

/** A value as in a config file: a size may be `10MB`, a list may be a string with commas. A duration in numbers is milliseconds. */
type Given<Value> =
  | Value
  | (number extends Value ? string : never)
  | (Value extends readonly string[] ? string : never);

/** The options of a process, which a broker inside another program has not. */
type NotHere = 'config' | 'stan-config' | 'pid';

/** Limits of a channel, or of the channels that match a pattern. */
export interface ChannelOptions {
  maxMsgs?: number;
  /** Bytes, or a string like `10MB`. */
  maxBytes?: number | string;
  /** Milliseconds, or a string like `1h30m`. */
  maxAge?: number | string;
  maxSubs?: number;
  /** Milliseconds, or a string like `1h30m`. */
  maxInactivity?: number | string;
}

/** The flags of `stanchion serve`, in camelCase and with the same defaults. */
export type BrokerOptions = {
  [Name in Exclude<OptionName, NotHere> as Camel<Name>]?: Given<OptionValues[Name]>;
} & {
  /** Limits of single channels, by name or pattern. */
  channels?: Readonly<Record<string, ChannelOptions>>;
  /** A logger to use instead of `logLevel`, `logFormat` and `logFile`. */
  log?: Logger;
  /** When it aborts, a start under way is given up, and a running broker stops. */
  signal?: AbortSignal;
};

const NOT_HERE: ReadonlySet<string> = new Set(['config', 'stan-config', 'pid'] satisfies NotHere[]);
const NAMES = new Map(OPTION_NAMES.filter((name) => !NOT_HERE.has(name)).map((name) => [camel(name), name]));

const KEYS = [...NAMES.keys(), 'channels', 'log', 'signal'];

/** @throws ConfigError naming what is wrong */
export async function embeddedConfig(given: BrokerOptions): Promise<ServeConfig> {
  checkObject('the options', given);
  const { channels, log: _log, signal, ...options } = given;
  if (signal !== undefined && typeof signal?.addEventListener !== 'function')
    throw new ConfigError(`signal: ${inspect(signal)} is not an AbortSignal`);
  const argv = Object.entries(options).flatMap(([key, value]: [string, unknown]) => {
    const name = NAMES.get(key);
    if (name === undefined) throw new ConfigError(`unknown option ${key}${didYouMean(key, KEYS)}`);
    return value === undefined ? [] : [`--${name}=${textOf(name, key, value)}`];
  });
  if (channels === undefined) return resolveServeConfig(argv, {}, () => NO_CONFIG_FILE);
  checkObject('channels', channels);
  // The parser of config files is loaded only if it is needed.
  const { parseConfigFile } = await import('./config-file.js');
  const limits = Object.entries(channels).map(([name, limitsOf]) => [name, limitsAsInFile(name, limitsOf)]);
  const content = JSON.stringify({ channels: Object.fromEntries(limits) });
  return resolveServeConfig(['--config=options', ...argv], {}, (path) => parseConfigFile(path, content));
}

function limitsAsInFile(channel: string, limits: ChannelOptions): Record<string, string> {
  checkObject(`channels: ${channel}`, limits);
  const entries = Object.entries(limits).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    entries.map(([key, value]) => {
      const name = NAMES.get(key);
      return name === undefined ? [key, String(value)] : [name, textOf(name, key, value)];
    }),
  );
}

/** @throws ConfigError for what has no text of its own: null would be a folder of that name */
function textOf(name: OptionName, key: string, value: unknown): string {
  if (![value].flat().every((part) => ['string', 'number', 'boolean'].includes(typeof part)))
    throw new ConfigError(
      `${key}: ${optionOf(name).kind.secret === 'whole' ? 'the value' : withoutSecrets(inspect(value))} is not a text, a number, true or false, or a list of them`,
    );
  const { kind } = optionOf(name);
  const isDuration = kind === duration || kind === positiveDuration;
  return isDuration && typeof value === 'number' ? `${value}ms` : String(value);
}

/** @throws ConfigError */
function checkObject(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ConfigError(`${name}: ${inspect(value)} is not an object`);
}

function camel(name: string): string {
  return kebab(name).replace(/-(\w)/g, (_all, letter: string) => letter.toUpperCase());
}
