import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { ConfigError } from '../config/error.js';
import { isFileKey, keysOf } from '../config/file-keys.js';
import { boolean } from '../config/kinds.js';
import { kebab, OPTION_NAMES } from '../config/options.js';
import { parseDurationMs, parseSize } from '../config/units.js';
import { nearestWord } from '../util/suggest.js';

/** A value as it was given, and where, for people. */
interface Given {
  readonly text: string;
  readonly where: string;
}

/** Where the values of a command's flags come from, beside the command line. */
export interface FlagSources {
  readonly environment?: NodeJS.ProcessEnv;
  /** A YAML or JSON file of flag names and values; a broker's file will do. */
  readonly configFile?: string | undefined;
}

/**
 * The flags of one command, looked at one by one: from the command line, else from the environment (`STANCHION_ACK_WAIT`),
 * else from a file. Every getter throws ConfigError, which names the flag and what it may be.
 */
export class Flags<Name extends string> {
  readonly #args: Readonly<Record<string, unknown>>;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #file: ReadonlyMap<string, Given>;

  /** @param args as yargs gives them: a flag that is given twice is an array */
  constructor(
    args: Readonly<Record<string, unknown>>,
    names: readonly Name[] = [],
    { environment = {}, configFile }: FlagSources = {},
  ) {
    this.#args = args;
    this.#environment = environment;
    this.#file = configFile === undefined ? new Map() : readFlagFile(configFile, names);
  }

  isOnCommandLine(flag: Name): boolean {
    return this.#args[flag] !== undefined;
  }

  text(flag: Name): string | undefined {
    return this.#given(flag)?.text;
  }

  flag(flag: Name): boolean {
    const given = this.#given(flag);
    if (given === undefined) return false;
    const value = boolean.parse(given.text);
    if (value === undefined)
      throw new ConfigError(`${given.where} must be ${boolean.expected}, and is "${given.text}"`);
    return value;
  }

  number(flag: Name, unlessGiven: number, min: number, max: number): number {
    const given = this.#given(flag);
    return given === undefined ? unlessGiven : wholeNumber(given.where, given.text, min, max);
  }

  durationMs(flag: Name, unlessGiven: number, min: number, max: number): number {
    const given = this.#given(flag);
    if (given === undefined) return unlessGiven;
    const ms = parseDurationMs(given.text);
    if (ms === undefined || ms < min || ms > max) {
      const bounds = `from ${durationText(min)} to ${durationText(max)}`;
      throw new ConfigError(
        `${given.where} must be a duration ${bounds}, as 2s or 500ms, and is "${given.text}"`,
      );
    }
    return ms;
  }

  size(flag: Name, unlessGiven: number, min: number, max: number): number {
    const given = this.#given(flag);
    if (given === undefined) return unlessGiven;
    const bytes = parseSize(given.text);
    if (bytes === undefined || bytes < min || bytes > max) {
      throw new ConfigError(
        `${given.where} must be bytes from ${min} to ${max}, as 128 or 4KB, and is "${given.text}"`,
      );
    }
    return bytes;
  }

  oneOf<Value extends string>(flag: Name, values: readonly Value[], unlessGiven: Value): Value {
    const given = this.#given(flag);
    if (given === undefined) return unlessGiven;
    const value = values.find((each) => each === given.text);
    if (value === undefined)
      throw new ConfigError(`${given.where} must be one of ${values.join(', ')}, and is "${given.text}"`);
    return value;
  }

  #given(flag: Name): Given | undefined {
    const where = `--${flag}`;
    const value = this.#args[flag];
    if (Array.isArray(value)) throw new ConfigError(`${where} is given more than once`);
    if (value !== undefined) {
      if (value === '') throw new ConfigError(`${where} is empty`);
      return { text: String(value), where };
    }
    const variable = `STANCHION_${flag.replaceAll('-', '_').toUpperCase()}`;
    const text = this.#environment[variable];
    // As a container's manifest has a variable that it leaves out.
    if (text !== undefined && text !== '') return { text, where: `environment variable ${variable}` };
    return this.#file.get(flag);
  }
}

/** @throws ConfigError naming `what` */
export function wholeNumber(what: string, text: string, min: number, max: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max))
    throw new ConfigError(`${what} must be a whole number from ${min} to ${max}, and is "${text}"`);
  return value;
}

function durationText(ms: number): string {
  if (ms >= 3_600_000) return `${ms / 3_600_000}h`;
  return ms >= 1000 || ms === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

function readFlagFile(path: string, names: readonly string[]): ReadonlyMap<string, Given> {
  let content: unknown;
  try {
    content = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ConfigError(
      `--config: ${path} cannot be read as YAML or JSON: ${(error as Error).message.split('\n')[0]!.replace(/:$/, '')}`,
    );
  }
  const values = new Map<string, Given>();
  if (content === null || content === undefined) return values;
  if (typeof content !== 'object' || Array.isArray(content))
    throw new ConfigError(`--config: ${path} must have flags and values, as "cluster-id: test-cluster"`);
  for (const [key, value] of Object.entries(content)) {
    const name = flagOf(key, names);
    if (name === undefined) {
      if (isFileKey(key)) continue;
      const nearest = nearestWord(kebab(key), names);
      throw new ConfigError(
        `--config: ${path} has "${key}", which is no flag of this command${nearest === undefined ? '' : `. Did you mean ${nearest}?`}`,
      );
    }
    const items: unknown[] = Array.isArray(value) ? value : [value];
    if (!items.every((item) => ['string', 'number', 'boolean'].includes(typeof item)))
      throw new ConfigError(`--config: ${key} in ${path} must be a text, a number, or true or false`);
    values.set(name, { text: items.join(','), where: `${key} in ${path}` });
  }
  return values;
}

/** The flag that a key stands for, which may be called as in a broker's file. What is only for brokers there stands for none. */
function flagOf(key: string, names: readonly string[]): string | undefined {
  const name = kebab(key);
  if (names.includes(name)) return name;
  return OPTION_NAMES.find((option) => names.includes(option) && keysOf(option).includes(key));
}

/**
 * The flags of a command, from wherever they may come: the command line, the environment, and the file that one of these names.
 *
 * @param args as yargs gives them
 * @param names of the command's flags
 */
export function flagsOf<Name extends string>(
  args: Readonly<Record<string, unknown>>,
  names: readonly Name[],
  environment: NodeJS.ProcessEnv = process.env,
): Flags<Name> {
  const configFile = new Flags<'config'>(args, [], { environment }).text('config');
  return new Flags(args, names, { environment, configFile });
}
