// Which arguments of a command line hold secrets.

import { HIDDEN } from '../util/secrets.js';
import { shownUrls } from '../util/server-url.js';
import { flagNames, OPTION_NAMES, optionOf } from './options.js';

type Holds = 'whole' | 'in-urls';

/** The names that the tools have for these flags too. */
const OF_TOOLS: readonly [name: string, Holds][] = [
  ['pw', 'whole'],
  ['s', 'in-urls'],
  ['server', 'in-urls'],
];
const SECRET_FLAGS = new Map<string, Holds>([
  ...OF_TOOLS,
  ...OPTION_NAMES.flatMap((name) => {
    const { secret } = optionOf(name).kind;
    return secret === undefined ? [] : flagNames(name).map((each): [string, Holds] => [each, secret]);
  }),
]);

const FLAG = /^--?([^-=][^=]*)(?:=(.*))?$/s;

/** The flag with a secret whose value this argument may be a part of: a shell splits `--pass my secret` at the blank. */
export function secretFlagBefore(args: readonly string[], index: number): string | undefined {
  for (let i = index - 1; i >= 0; i--) {
    const [flag, name] = FLAG.exec(args[i]) ?? [];
    if (flag !== undefined && name !== undefined)
      return SECRET_FLAGS.has(name) ? flag.replace(/=.*/s, '') : undefined;
  }
  return undefined;
}

/** What is said of an argument that may be the rest of a secret. */
export function brokenSecret(flag: string): string {
  return `there is an unexpected argument behind ${flag}, which is not shown: it may be a part of that secret. Put the secret in quotes`;
}

/** The arguments with `***` for each secret; undefined if there is none. What may be the rest of a secret is hidden too. */
export function argsWithoutSecrets(args: readonly string[]): string[] | undefined {
  let hides = false;
  let holds: Holds | undefined;
  const shown = args.map((arg) => {
    const [flag, name, value] = FLAG.exec(arg) ?? [];
    if (flag === undefined || name === undefined) {
      const hidden = holds === undefined ? arg : hiddenValue(arg, holds);
      hides ||= hidden !== arg;
      return hidden;
    }
    holds = SECRET_FLAGS.get(name);
    if (holds === undefined || value === undefined) return arg;
    const hidden = hiddenValue(value, holds);
    hides ||= hidden !== value;
    return `${arg.slice(0, arg.length - value.length)}${hidden}`;
  });
  return hides ? shown : undefined;
}

function hiddenValue(value: string, holds: Holds): string {
  return holds === 'whole' ? HIDDEN : shownUrls(value);
}
