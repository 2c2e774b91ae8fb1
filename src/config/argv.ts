// The command line of `serve`, as Go's flag package reads it. yargs knows neither `-max_msgs=5` nor `-mm 5`.

import { didYouMean } from '../util/suggest.js';
import { ConfigError } from './config-error.js';
import { asksForNothing, GO_FLAGS, type GoFlag } from './go-flags.js';
import { boolean, isBooleanWord } from './kinds.js';
import { flagNames, kebab, OPTION_NAMES, type OptionName, optionOf, snake } from './options.js';
import { brokenSecret, secretFlagBefore } from './secret-flags.js';

/** A value as the user wrote it, not yet parsed. */
export interface RawValue {
  readonly name: OptionName;
  readonly text: string;
  /** Where it was given, for error messages: `--max_msgs`, `environment variable STANCHION_DIR`. */
  readonly where: string;
}

export interface ParsedFlags {
  readonly values: readonly RawValue[];
  readonly warnings: readonly string[];
  readonly wantsHelp: boolean;
  readonly wantsVersion: boolean;
  /** Whether the configuration is only to be checked. */
  readonly wantsCheck: boolean;
}

type Flag =
  | { readonly is: 'option'; readonly name: OptionName; readonly isSwitch: boolean; readonly negated?: true }
  | { readonly is: 'go'; readonly flag: GoFlag; readonly isSwitch: boolean }
  | { readonly is: 'check'; readonly isSwitch: true }
  | { readonly is: 'help'; readonly isSwitch: true }
  | { readonly is: 'version'; readonly isSwitch: true };

const FLAGS = flagTable();

/**
 * Reads a command line as Go's flag package does, and as Unix tools do: `--max-msgs 5`, `-max_msgs=5`, `-mm 5`, and
 * switches without a value. If a flag is given twice, the later one counts.
 *
 * @throws ConfigError on an unknown flag, on a flag that cannot be honoured, and on an argument that is no flag
 */
export function parseFlags(argv: readonly string[]): ParsedFlags {
  const values: RawValue[] = [];
  const warnings: string[] = [];
  let wantsHelp = false;
  let wantsVersion = false;
  let wantsCheck = false;

  for (let index = 0; index < argv.length; index++) {
    const token = argv[index];
    const { given, name, inline } = splitToken(token, argv, index);
    const flag = FLAGS.get(name);
    if (!flag) throw new ConfigError(`unknown flag ${given}${didYouMean(given, dashed(given))}`);
    let text = inline;
    if (text === undefined && flag.isSwitch) {
      const next = argv[index + 1];
      // The next argument is a flag or this value: `serve` takes nothing else.
      const isValue =
        next !== undefined && !next.startsWith('-') && flag.is !== 'help' && flag.is !== 'version';
      if (isValue && !isBooleanWord(next))
        throw new ConfigError(`${given}: "${next}" is not ${boolean.expected}`);
      if (isValue) index++;
      text = isValue ? next : 'true';
    } else if (text === undefined) {
      text = argv[++index];
      if (text === undefined || isFlag(text)) throw new ConfigError(`${given} needs a value`);
    }

    if (flag.is === 'help') wantsHelp = true;
    else if (flag.is === 'version') wantsVersion = true;
    else if (flag.is === 'check') wantsCheck = boolean.parse(text) ?? true;
    else if (flag.is === 'option') {
      if (flag.negated && inline !== undefined) throw new ConfigError(`${given} takes no value`);
      values.push({ name: flag.name, text: flag.negated ? 'false' : text, where: given });
    } else {
      const warning = checkGoFlag(flag.flag, given, text);
      if (warning) warnings.push(warning);
      if (flag.flag.sets && !asksForNothing(text))
        values.push({ name: flag.flag.sets, text: 'true', where: given });
    }
  }
  return { values, warnings, wantsHelp, wantsVersion, wantsCheck };
}

/**
 * Judges a flag of the Go servers that has no use here.
 *
 * @returns a warning
 * @throws ConfigError if the flag cannot be honoured
 */
export function checkGoFlag(flag: GoFlag, where: string, text: string): string | undefined {
  if (flag.treatment === 'noted') {
    const effect = flag.sets ? `does no more than --${flag.sets}` : 'has no effect';
    return `${where} ${effect}: ${flag.why}`;
  }
  if (asksForNothing(text)) return undefined;
  throw new ConfigError(`${where} is not supported: ${flag.why}`);
}

function splitToken(
  token: string,
  argv: readonly string[],
  index: number,
): { given: string; name: string; inline: string | undefined } {
  const match = /^(--?)([^-=][^=]*)(?:=(.*))?$/s.exec(token);
  if (!match) {
    const flag = secretFlagBefore(argv, index);
    if (flag !== undefined) throw new ConfigError(brokenSecret(flag));
    throw new ConfigError(`unexpected argument "${token}": serve takes flags only, see --help`);
  }
  return { given: `${match[1]}${match[2]}`, name: match[2], inline: match[3] };
}

/** Whether a flag stands where a value was expected. A negative number is a value. */
function isFlag(token: string): boolean {
  const match = /^--?([^-=][^=]*)/.exec(token);
  return match !== null && FLAGS.has(match[1]);
}

/** The flags to suggest for a mistyped one, with as many dashes as it has. */
function dashed(given: string): string[] {
  const dashes = given.startsWith('--') ? '--' : '-';
  return [...FLAGS.keys()].filter((name) => !/[A-Z]/.test(name)).map((name) => dashes + name);
}

function flagTable(): Map<string, Flag> {
  const table = new Map<string, Flag>();
  const add = (name: string, flag: Flag): void => {
    if (table.has(name)) throw new Error(`two flags are called ${name}`);
    table.set(name, flag);
  };
  for (const name of OPTION_NAMES) {
    const isSwitch = optionOf(name).kind.isSwitch === true;
    for (const each of flagNames(name)) add(each, { is: 'option', name, isSwitch });
  }
  for (const flag of GO_FLAGS) {
    const names = new Set(flag.names.flatMap((name) => [snake(name), kebab(name)]));
    for (const each of names) add(each, { is: 'go', flag, isSwitch: flag.isSwitch === true });
  }
  for (const name of OPTION_NAMES.filter((each) => optionOf(each).kind.isSwitch)) {
    add(`no-${name}`, { is: 'option', name, isSwitch: true, negated: true });
  }
  add('t', { is: 'check', isSwitch: true });
  for (const name of ['help', 'h']) add(name, { is: 'help', isSwitch: true });
  for (const name of ['version', 'v']) add(name, { is: 'version', isSwitch: true });
  return table;
}
