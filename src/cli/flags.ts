import { readFileSync } from 'node:fs';
import type { RawValue } from '../config/argv.js';
import { type Choices, chooseAmong } from '../config/choose.js';
import { ConfigError } from '../config/config-error.js';
import { environmentValue } from '../config/env.js';
import { isFileKey } from '../config/file-keys.js';
import { boolean } from '../config/kinds.js';
import type { ChannelRule } from '../config/limits-table.js';
import { kebab, OPTION_NAMES, type OptionName } from '../config/options.js';
import { parseDurationMs, parseSize } from '../config/units.js';
import { didYouMean } from '../util/suggest.js';

/** A value as the user wrote it, and where, for error messages. */
interface Given {
  readonly text: string;
  readonly where: string;
}

/** The content of a config file. */
interface FlagFile {
  /** Values of the command's flags, by flag. */
  readonly flags: ReadonlyMap<string, Given>;
  /** Options of a broker, also those that are flags of the command. */
  readonly options: readonly RawValue[];
  /** Limits of single channels. */
  readonly channels: readonly ChannelRule[];
}

const NO_FILE: FlagFile = { flags: new Map(), options: [], channels: [] };

/**
 * The flags of one command. A value comes from the command line, else from the environment (`STANCHION_ACK_WAIT`), else
 * from the config file. Every getter parses its flag, and throws a ConfigError that names the flag and the values it takes.
 */
export class Flags<Name extends string> {
  readonly #args: Readonly<Record<string, unknown>>;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #file: FlagFile;

  /**
   * @param args the arguments from yargs
   * @param file the content of the config file, from `flagsOf`
   */
  constructor(args: Readonly<Record<string, unknown>>, environment: NodeJS.ProcessEnv = {}, file = NO_FILE) {
    this.#args = args;
    this.#environment = environment;
    this.#file = file;
  }

  /** The same flags, and one more as if the command line had it. */
  with<More extends string>(flag: More, text: string): Flags<Name | More> {
    return new Flags<Name | More>({ ...this.#args, [flag]: text }, this.#environment, this.#file);
  }

  isOnCommandLine(flag: Name): boolean {
    return this.#args[flag] !== undefined;
  }

  /** The options of a broker in the config file, also those that are flags of the command. */
  get fileOptions(): readonly RawValue[] {
    return this.#file.options;
  }

  /** The channels and patterns that the config file has limits for. */
  get fileChannels(): readonly string[] {
    return this.#file.channels.map(({ pattern }) => pattern);
  }

  /** Where the flag was given, for error messages; undefined if it was not. */
  where(flag: Name): string | undefined {
    return this.#given(flag)?.where;
  }

  /** The values of options that a broker has too, parsed as `serve` parses them: the same meaning, the same errors. */
  options<Option extends Name & OptionName>(names: readonly Option[]): Choices<Option> {
    const given = names.map((name): RawValue | undefined => {
      const found = this.#given(name);
      return found === undefined ? undefined : { name, ...found };
    });
    return chooseAmong(
      names,
      given.filter((raw) => raw !== undefined),
    );
  }

  /** The value of one option that a broker has too. */
  option<Option extends Name & OptionName>(name: Option): Choices<Option>['values'][Option] {
    return this.options([name]).values[name];
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
    if (value !== undefined) {
      if (value === '') throw new ConfigError(`${where} is empty`);
      return { text: String(value), where };
    }
    const variable = `STANCHION_${flag.replaceAll('-', '_').toUpperCase()}`;
    const text = environmentValue(this.#environment, variable);
    if (text !== undefined) return { text, where: `environment variable ${variable}` };
    return this.#file.flags.get(flag);
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

/** Reads a config file. It may be that of a broker: its options are checked as `serve` checks them, and the command ignores those that it has not. */
async function readFlagFile(path: string, names: readonly string[]): Promise<FlagFile> {
  // Loading the YAML parser and zod takes a tenth of a second.
  const { checkConfigFile, parseYaml } = await import('../config/config-file.js');
  const flags = new Map<string, Given>();
  const brokers: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(parseYaml(path, readText(path)))) {
    const name = kebab(key);
    if (names.includes(name) && !isOption(name)) {
      flags.set(name, { text: textOf(path, key, value), where: `config file ${path}: ${key}` });
    } else if (isFileKey(key)) {
      brokers[key] = value;
    } else {
      throw new ConfigError(
        `--config: ${path} has "${key}", which is no flag of this command${didYouMean(name, names)}`,
      );
    }
  }
  const { values: options, channels } = checkConfigFile(path, brokers);
  for (const { name, text, where } of options) {
    if (names.includes(name)) flags.set(name, { text, where });
  }
  return { flags, options, channels };
}

function isOption(name: string): name is OptionName {
  return (OPTION_NAMES as readonly string[]).includes(name);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`--config: cannot read ${path}: ${(error as Error).message}`);
  }
}

function textOf(path: string, key: string, value: unknown): string {
  const items: unknown[] = Array.isArray(value) ? value : [value];
  if (!items.every((item) => ['string', 'number', 'boolean'].includes(typeof item)))
    throw new ConfigError(`--config: ${key} in ${path} must be a string, a number, true or false`);
  return items.join(',');
}

/**
 * Reads the flags of a command from the command line, the environment, and the config file that one of these names.
 *
 * @param args the arguments from yargs
 * @param names the names of the command's flags
 * @throws ConfigError if the config file cannot be read, or has an error
 */
export async function flagsOf<Name extends string>(
  args: Readonly<Record<string, unknown>>,
  names: readonly Name[],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Flags<Name>> {
  const path = new Flags<'config'>(args, environment).text('config');
  return new Flags(args, environment, path === undefined ? undefined : await readFlagFile(path, names));
}
