import type { Options } from 'yargs';
import { ConfigError } from '../config/config-error.js';
import { boolean } from '../config/kinds.js';
import { kebab } from '../config/options.js';
import { didYouMean } from '../util/suggest.js';

/** A flag with one dash and two letters or more. `-n1000` is not one: it is a letter and its number. */
const ONE_DASH = /^(-)([a-zA-Z][a-zA-Z_-]+)(?:=(.*))?$/s;
const TWO_DASHES = /^(--)([a-zA-Z][\w-]*)(?:=(.*))?$/s;
const NEGATED = /^no-/;
/** The switches of every command. */
const COMMON_SWITCHES = ['help', 'version'];

/**
 * Rewrites a command line for yargs. The Go tools write flags with one dash and with underscores, and yargs would read
 * `-np 4` as `-n -p 4`. The values of switches are checked here, since yargs takes any word but `true` for `false`. The arguments
 * behind `--` stay as they are.
 *
 * @param tables the command's flags
 * @throws ConfigError naming an unknown flag, or a switch with a wrong value
 */
export function asYargsHasIt(
  args: readonly string[],
  tables: readonly Readonly<Record<string, Options>>[],
): string[] {
  const isSwitch = new Map(COMMON_SWITCHES.map((name) => [name, true]));
  for (const [name, { alias = [], type }] of tables.flatMap((table) => Object.entries(table))) {
    for (const each of [name, ...[alias].flat()]) isSwitch.set(each, type === 'boolean');
  }
  const end = args.indexOf('--');
  const before = end < 0 ? args : args.slice(0, end);
  return [...before.map((arg) => spelledForYargs(arg, isSwitch)), ...args.slice(before.length)];
}

/** @param isSwitch by the names of all flags */
function spelledForYargs(arg: string, isSwitch: ReadonlyMap<string, boolean>): string {
  const [, dashes, given, value] = TWO_DASHES.exec(arg) ?? ONE_DASH.exec(arg) ?? [];
  if (dashes === undefined || given === undefined) return arg;
  const name = kebab(given);
  if (isSwitch.get(name) === false) return value === undefined ? `--${name}` : `--${name}=${value}`;
  if (isSwitch.get(name)) return value === undefined ? `--${name}` : `--${name}=${switchValue(name, value)}`;
  if (isSwitch.get(name.replace(NEGATED, ''))) {
    if (value !== undefined) throw new ConfigError(`${dashes}${given} takes no value`);
    return `--${name}`;
  }
  const names = [...isSwitch.keys()].filter((each) => each.length > 1).map((each) => dashes + each);
  throw new ConfigError(`unknown flag ${dashes}${given}${didYouMean(dashes + name, names)}`);
}

function switchValue(name: string, text: string): boolean {
  const value = boolean.parse(text);
  if (value === undefined) throw new ConfigError(`--${name}: "${text}" is not ${boolean.expected}`);
  return value;
}
