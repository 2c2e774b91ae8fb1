import type { RawValue } from './argv.js';
import { ConfigError } from './config-error.js';
import { OPTION_NAMES, type OptionName, type OptionValues, optionOf } from './options.js';

/** The values of options, and where those come from that are not defaults. */
export interface Choices<Name extends OptionName = OptionName> {
  readonly values: Pick<OptionValues, Name>;
  readonly where: ReadonlyMap<OptionName, string>;
}

/**
 * Brings together what several sources say.
 *
 * @param layers the weakest first
 * @throws ConfigError naming where a value was given that is none of its kind
 */
export function choose(layers: readonly (readonly RawValue[])[]): Choices {
  return chooseAmong(OPTION_NAMES, layers.flat());
}

/** As `choose`, of some of the options. @param raws of these only; the later one counts */
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
  for (const raw of raws) {
    values[raw.name] = parseValue(raw);
    where.set(raw.name, raw.where);
  }
  // Each value came from the kind that its type in OptionValues is derived from.
  return { values: values as Pick<OptionValues, Name>, where };
}

function parseValue(raw: RawValue): unknown {
  const { kind } = optionOf(raw.name);
  const value = kind.parse(raw.text);
  if (value === undefined) throw new ConfigError(`${raw.where}: "${raw.text}" is not ${kind.expected}`);
  return value;
}
