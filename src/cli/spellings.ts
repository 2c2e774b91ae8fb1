import type { Options } from 'yargs';
import { ConfigError } from '../config/config-error.js';
import { didYouMean } from '../util/suggest.js';

/** A flag of two letters or more with one dash. `-n1000` is not one: it is a letter and its number. */
const ONE_DASH = /^-([a-zA-Z][a-zA-Z_-]+)(=.*)?$/s;
const LONG_FOR_ALL = new Set(['help', 'version']);
const TWO_DASHES = /^--([a-zA-Z][\w-]*)(=.*)?$/s;
const NEGATED = /^no-/;

/**
 * Rewrites a command line for yargs. The Go tools write flags with one dash and with underscores, and yargs would read
 * `-np 4` as `-n -p 4`. The arguments behind `--` stay as they are.
 *
 * @param tables the command's flags
 * @throws ConfigError naming an unknown flag
 */
export function asYargsHasIt(
  args: readonly string[],
  tables: readonly Readonly<Record<string, Options>>[],
): string[] {
  const flags = new Set(
    tables
      .flatMap((table) => Object.entries(table))
      .flatMap(([name, { alias = [] }]) => [name, ...(typeof alias === 'string' ? [alias] : alias)]),
  );
  const end = args.indexOf('--');
  const before = end < 0 ? args : args.slice(0, end);
  return [...before.map((arg) => withLongDashes(arg, flags)), ...args.slice(before.length)];
}

function withLongDashes(arg: string, flags: ReadonlySet<string>): string {
  const [, long, itsValue = ''] = TWO_DASHES.exec(arg) ?? [];
  if (long !== undefined) {
    const name = kebab(long);
    if (flags.has(name) || LONG_FOR_ALL.has(name) || flags.has(name.replace(NEGATED, '')))
      return `--${name}${itsValue}`;
    const names = [...flags].filter((each) => each.length > 1).map((each) => `--${each}`);
    throw new ConfigError(`unknown flag --${long}${didYouMean(`--${name}`, names)}`);
  }
  const [, given, value = ''] = ONE_DASH.exec(arg) ?? [];
  if (given === undefined) return arg;
  const name = kebab(given);
  if (flags.has(name) || LONG_FOR_ALL.has(name)) return `--${name}${value}`;
  const names = [...flags].filter((each) => each.length > 1).map((each) => `-${each}`);
  throw new ConfigError(`unknown flag -${given}${didYouMean(`-${given}`, names)}`);
}

function kebab(name: string): string {
  return name.replaceAll('_', '-');
}
