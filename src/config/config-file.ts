import { parseDocument } from 'yaml';
import type * as z from 'zod';
import { didYouMean } from '../util/suggest.js';
import type { RawValue } from './argv.js';
import { ConfigError } from './config-error.js';
import { FILE_KEYS, FileChannels, FileOption, FileWarning, fileSchema } from './file-schema.js';
import type { ChannelRule } from './limits-table.js';
import type { GoFileUse } from './serve-config.js';

export interface ConfigFile {
  readonly values: readonly RawValue[];
  readonly channels: readonly ChannelRule[];
  readonly warnings: readonly string[];
  /** Of a Go server's file: the part of it that is for the nats-server. */
  readonly nats?: NatsPart;
}

export interface NatsPart {
  /** The Go server's file. */
  readonly path: string;
  readonly use: GoFileUse;
  /** The options that stand in it. */
  readonly values: readonly RawValue[];
  /** The names at its top that the nats-server gets. */
  readonly names: readonly string[];
  /** Those of them that are options of stanchion too. */
  readonly optionNames: ReadonlySet<string>;
  /** Where the values of the file stand, to know them from those of flags. */
  readonly places: ReadonlySet<string>;
}

/**
 * Parses a config file: YAML, which includes JSON.
 *
 * @param path names the file in error messages
 * @throws ConfigError naming every wrong key
 */
export function parseConfigFile(path: string, content: string): ConfigFile {
  return checkConfigFile(path, parseYaml(path, content));
}

/**
 * Checks the content of a config file.
 *
 * @param path names the file in error messages
 * @param content the names and values at its top
 * @throws ConfigError naming every wrong key
 */
export function checkConfigFile(path: string, content: object): ConfigFile {
  const checked = fileSchema.safeParse(content);
  if (!checked.success) {
    throw new ConfigError(`config file ${path}: ${checked.error.issues.map(explain).join('; ')}`);
  }
  const found = {
    values: new Map<string, RawValue>(),
    channels: new Map<string, ChannelRule>(),
    warnings: [],
  };
  collect(path, [], checked.data, found);
  return {
    values: [...found.values.values()],
    channels: [...found.channels.values()],
    warnings: found.warnings,
  };
}

interface Found {
  values: Map<string, RawValue>;
  channels: Map<string, ChannelRule>;
  warnings: string[];
}

function collect(file: string, path: readonly string[], section: object, found: Found): void {
  for (const [key, entry] of Object.entries(section)) {
    const where = `config file ${file}: ${[...path, key].join('.')}`;
    if (entry instanceof FileOption) {
      const other = found.values.get(entry.name);
      if (other) throw new ConfigError(`${where} is there already, as ${other.where.split(': ').at(-1)}`);
      found.values.set(entry.name, { name: entry.name, text: entry.text, where });
    } else if (entry instanceof FileChannels) {
      for (const rule of entry.rules) {
        if (found.channels.has(rule.pattern))
          throw new ConfigError(`${where}.${rule.pattern} is there already`);
        found.channels.set(rule.pattern, rule);
      }
    } else if (entry instanceof FileWarning) {
      found.warnings.push(`${where} ${entry.text}`);
    } else if (entry !== undefined) {
      collect(file, [...path, key], entry, found);
    }
  }
}

/** @throws ConfigError if the content is not YAML, or has no names and values */
export function parseYaml(path: string, content: string): object {
  const { value, error } = read(content);
  if (value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value;
  if (looksLikeNatsConfig(content)) {
    throw new ConfigError(
      `config file ${path} is in the syntax of nats-server. Write the options of stanchion as YAML (max_msgs: 1000), ` +
        'and give a file for nats-server with --nats-config. A file of the Go server goes to serve -sc, under a name that does not end in .yaml',
    );
  }
  if (error) throw new ConfigError(`config file ${path} is not YAML: ${error}`);
  throw new ConfigError(`config file ${path} must have names and values, like "max-msgs: 1000"`);
}

function read(content: string): { value?: unknown; error?: string } {
  const document = parseDocument(content);
  // A warning is about a tag: a value that begins with `!` would lose its first word.
  const [problem] = [...document.errors, ...document.warnings];
  if (problem) return { error: `${withoutExcerpt(problem.message)}${placeOf(problem.linePos?.[0])}` };
  try {
    return { value: document.toJS() };
  } catch (error) {
    return { error: withoutExcerpt(error instanceof Error ? error.message : String(error)) };
  }
}

/** What is wrong, without what stands in the file: it may be a password that lacks its quotes. */
function withoutExcerpt(message: string): string {
  const [what = ''] = message.split(/[:\n\\]| at line /);
  return what.trimEnd();
}

function placeOf(position: { line: number; col: number } | undefined): string {
  return position === undefined ? '' : ` at line ${position.line}, column ${position.col}`;
}

/** Finds `streaming {`, `port = 4222`, and maps that span lines without commas, which are not YAML. */
export function looksLikeNatsConfig(content: string): boolean {
  return /^\s*["\w-]+\s*[={]/m.test(content) || /^\s*["\w-]+\s*:\s*\{\s*$/m.test(content);
}

function explain(issue: z.core.$ZodIssue): string {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    const known = path.length === 0 ? FILE_KEYS : [];
    return issue.keys
      .map((key) => `unknown key ${[...path, key].join('.')}${didYouMean(key, known)}`)
      .join('; ');
  }
  const message = issue.code === 'invalid_key' ? issue.issues[0].message : issue.message;
  return [path.join('.'), message].filter(Boolean).join(': ');
}
