import * as z from 'zod';
import { checkGoFlag } from './argv.js';
import type { ChannelLimits } from './channel-limits.js';
import { ConfigError } from './config-error.js';
import { CHANNELS_KEYS, FILE_SECTIONS, keysOf, LIMITS_SECTIONS } from './file-keys.js';
import { GO_FLAGS, type GoFlag, goFlag } from './go-flags.js';
import { channelLimit, type Kind, shownValue } from './kinds.js';
import { CHANNEL_LIMIT_OPTIONS, type ChannelRule, isPatternValid } from './limits-table.js';
import { CONFIG_FILE_OPTIONS, kebab, OPTION_NAMES, type OptionName, optionOf, snake } from './options.js';

// A checked file consists of these. They are classes so that a walk over the file can distinguish them from sections.

export class FileOption {
  constructor(
    readonly name: OptionName,
    readonly text: string,
  ) {}
}

export class FileWarning {
  constructor(readonly text: string) {}
}

export class FileChannels {
  constructor(readonly rules: readonly ChannelRule[]) {}
}

const MAX_SHOWN = 80;

type Shape = Record<string, z.ZodType>;

/** One strict schema of the config file, made from the table of options. */
export const fileSchema = z.strictObject(topLevel());

/** Every key at the top of the file, for suggestions. */
export const FILE_KEYS = Object.keys(fileSchema.shape);

function topLevel(): Shape {
  const options = optionShape();
  const streaming = z.strictObject(options).optional();
  return { ...options, streaming };
}

function optionShape(): Shape {
  const shape: Shape = {};
  for (const flag of GO_FLAGS) addKeys(shape, flag.names, goValue(flag));
  for (const name of OPTION_NAMES) {
    if (!CONFIG_FILE_OPTIONS.includes(name)) addKeys(shape, keysOf(name), optionValue(name));
  }
  addKeys(shape, LIMITS_SECTIONS, z.strictObject(limitsShape()).optional());
  addKeys(shape, CHANNELS_KEYS, channels());
  addKeys(shape, FILE_SECTIONS, z.strictObject(fileOptionsShape()).optional());
  // Two keys have two meanings each in the Go servers' files.
  shape.tls = sectionOr(z.strictObject(sectionShape('tls')), optionValue('tls'));
  shape.cluster = sectionOr(goValue(goFlag('clustered')), optionValue('cluster'));
  return shape;
}

function limitsShape(): Shape {
  const shape: Shape = {};
  for (const name of OPTION_NAMES) {
    if (optionOf(name).section === 'limits') addKeys(shape, keysOf(name), optionValue(name));
  }
  addKeys(shape, CHANNELS_KEYS, channels());
  return shape;
}

function fileOptionsShape(): Shape {
  const shape = sectionShape('file');
  for (const flag of GO_FLAGS) {
    const names = flag.names.filter((name) => name.startsWith('file_'));
    addKeys(shape, [...names, ...names.map((name) => name.slice('file_'.length))], goValue(flag));
  }
  return shape;
}

/** The keys of a section: of the options that have a key `section.key`. */
function sectionShape(section: string): Shape {
  const shape: Shape = {};
  for (const name of OPTION_NAMES) {
    const keys = (optionOf(name).fileKeys ?? []).filter((key) => key.startsWith(`${section}.`));
    addKeys(
      shape,
      keys.map((key) => key.slice(section.length + 1)),
      optionValue(name),
    );
  }
  return shape;
}

function addKeys(shape: Shape, keys: readonly string[], schema: z.ZodType): void {
  for (const key of keys) {
    shape[snake(key)] = schema;
    shape[kebab(key)] = schema;
  }
}

function optionValue(name: OptionName): z.ZodType {
  return value(optionOf(name).kind, (_parsed, text) => new FileOption(name, text));
}

function value<T>(kind: Kind<T>, make: (parsed: T, text: string) => unknown): z.ZodType {
  return z
    .unknown()
    .transform((input, context) => {
      const text = String(input);
      const parsed = isOfFileType(input, kind) ? kind.parse(text) : undefined;
      if (parsed !== undefined) return make(parsed, text);
      context.addIssue({ code: 'custom', message: `must be ${kind.expected}, not ${show(input, kind)}` });
      return z.NEVER;
    })
    .optional();
}

function goValue(flag: GoFlag): z.ZodType {
  return z
    .unknown()
    .transform((input, context) => {
      try {
        const warning = checkGoFlag(flag, 'it', String(input));
        return warning === undefined ? undefined : new FileWarning(warning.replace(/^it /, ''));
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        context.addIssue({ code: 'custom', message: error.message.replace(/^it is /, '') });
        return z.NEVER;
      }
    })
    .optional();
}

function channels(): z.ZodType {
  const limits: Shape = {};
  for (const [option, field] of CHANNEL_LIMIT_OPTIONS) {
    const kind = channelLimit(optionOf(option).kind as Kind<number>);
    addKeys(
      limits,
      keysOf(option),
      value(kind, (parsed): [keyof ChannelLimits, number] => [field, parsed]),
    );
  }
  const name = z.string().refine(isPatternValid, {
    message: 'is no channel name or pattern: parts between dots, a part may be *, the last may be >, no /',
  });
  return z
    .record(name, z.strictObject(limits))
    .transform((record) => new FileChannels(Object.entries(record).map(toRule)))
    .optional();
}

function toRule([pattern, limits]: [string, Record<string, unknown>]): ChannelRule {
  const given = Object.values(limits).filter((entry) => entry !== undefined);
  return { pattern, limits: Object.fromEntries(given as [keyof ChannelLimits, number][]) };
}

/** Takes a map as `section`, and any other value as `other`. */
function sectionOr(section: z.ZodType, other: z.ZodType): z.ZodType {
  return z
    .unknown()
    .transform((input, context) => {
      const isMap = typeof input === 'object' && input !== null && !Array.isArray(input);
      const result = (isMap ? section : other).safeParse(input);
      if (result.success) return result.data;
      for (const issue of result.error.issues)
        context.issues.push({ ...issue, input: undefined } as z.core.$ZodRawIssue);
      return z.NEVER;
    })
    .optional();
}

function isOfFileType(input: unknown, kind: Kind<unknown>): boolean {
  return kind.fileTypes.some((type) => (type === 'list' ? Array.isArray(input) : typeof input === type));
}

/** A wrong value, for the error message. A value of another type is not shown: it may be a password that lacks its quotes. */
function show(input: unknown, kind: Kind<unknown>): string {
  if (typeof input === 'string') return shownValue(kind, input.slice(0, MAX_SHOWN));
  if (input === null) return 'nothing';
  return Array.isArray(input) ? 'a list' : `a ${typeof input === 'object' ? 'map' : typeof input}`;
}
