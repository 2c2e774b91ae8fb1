import { addSecret } from '../util/secrets.js';
import { secretsInUrls } from '../util/server-url.js';
import type { RawValue } from './argv.js';
import { ConfigError } from './config-error.js';
import { shownValue } from './kinds.js';
import { OPTION_NAMES, type OptionName, type OptionValues, optionOf } from './options.js';

/** The chosen values of options. */
export interface Choices<Name extends OptionName = OptionName> {
  readonly values: Pick<OptionValues, Name>;
  /** Where each value was given, for error messages. A default is not in it. */
  readonly where: ReadonlyMap<OptionName, string>;
}

/**
 * Chooses the value of every option from several sources.
 *
 * @param layers the values of each source, the weakest source first
 * @throws ConfigError naming where a value of the wrong kind was given
 */
export function choose(layers: readonly (readonly RawValue[])[]): Choices {
  return chooseAmong(OPTION_NAMES, layers.flat());
}

/** Chooses the values of some options. @param raws values of these options only; the later value counts */
export function chooseAmong<Name extends OptionName>(
  names: readonly Name[],
  raws: readonly RawValue[],
): Choices<Name> {
  const values: Partial<Record<OptionName, unknown>> = {};
  const where = new Map<OptionName, string>();
  for (const name of names) {
    const { default: text } = optionOf(name);
    if (text !== undefined) values[name] = parseValue({ name, text, where: 'default' });
  }
  // A secret is hidden in each text before anything can go wrong.
  for (const { name, text } of raws) {
    const { secret } = optionOf(name).kind;
    if (secret === 'whole') addSecret(text);
    else if (secret === 'in-urls') secretsInUrls(text).forEach(addSecret);
  }
  for (const raw of raws) {
    values[raw.name] = parseValue(raw);
    where.set(raw.name, raw.where);
  }
  // The type of a value in OptionValues is derived from the kind that has parsed it.
  return { values: values as Pick<OptionValues, Name>, where };
}

function parseValue(raw: RawValue): unknown {
  const { kind } = optionOf(raw.name);
  const value = kind.parse(raw.text);
  if (value === undefined)
    throw new ConfigError(`${raw.where}: ${shownValue(kind, raw.text)} is not ${kind.expected}`);
  return value;
}
