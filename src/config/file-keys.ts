// The keys of a config file. They are apart from file-schema.ts, which loads zod.

import { GO_FLAGS } from './go-flags.js';
import { CONFIG_FILE_OPTIONS, flagNames, kebab, OPTION_NAMES, type OptionName, optionOf } from './options.js';

export const LIMITS_SECTIONS = ['limits', 'store_limits', 'storelimits'];
export const FILE_SECTIONS = ['file', 'file_options'];
export const CHANNELS_KEYS = [
  'channels',
  'channels_limits',
  'channelslimits',
  'per_channel',
  'per_channel_limits',
];

/** The keys of an option at the top of the config file. */
export function keysOf(name: OptionName): string[] {
  return [...flagNames(name), ...(optionOf(name).fileKeys ?? []).filter((key) => !key.includes('.'))];
}

/** Whether a broker's config file may have this key at its top. file-schema.ts checks the values below it. */
export function isFileKey(key: string): boolean {
  fileKeys ??= new Set(
    [
      'streaming',
      ...LIMITS_SECTIONS,
      ...FILE_SECTIONS,
      ...CHANNELS_KEYS,
      ...OPTION_NAMES.filter((name) => !CONFIG_FILE_OPTIONS.includes(name)).flatMap(keysOf),
      ...GO_FLAGS.flatMap(({ names }) => names),
    ].map(kebab),
  );
  return fileKeys.has(kebab(key));
}

let fileKeys: ReadonlySet<string> | undefined;
