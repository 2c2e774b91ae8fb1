// Decides whether a config file is stanchion's own (YAML or JSON) or that of a Go server (the configuration syntax of NATS).

import { extname } from 'node:path';
import { ConfigError } from '../config-error.js';
import { type ConfigFile, checkConfigFile, looksLikeNatsConfig, parseYaml } from '../config-file.js';
import type { Environment } from '../env.js';
import { isFileKey } from '../file-keys.js';
import type { NatsFile } from '../nats-syntax/node.js';
import { parseNats } from '../nats-syntax/parse.js';
import { goConfigFile } from './go-file.js';
import { isKnownToNats, streamingOf } from './nats-part.js';

export interface ConfigSources {
  readonly env: Environment;
  /** Reads a file as text. @throws Error if it cannot be read */
  readFile(path: string): string;
}

/** A config file by its syntax. */
export type FoundConfig =
  | { readonly kind: 'own'; readonly content: object }
  | { readonly kind: 'go'; readonly file: NatsFile & { readonly hasReferences: boolean } };

/**
 * Reads a config file, whatever its syntax is.
 *
 * @param isForNats whether it is the file of the nats-server alone
 * @throws ConfigError naming what is wrong in it; Error if it cannot be read
 */
export function readConfigFile(path: string, sources: ConfigSources, isForNats = false): ConfigFile {
  if (isForNats) return goConfigFile(parseNats(path, sources.readFile(path), sources), 'nats');
  const found = findConfig(path, sources);
  return found.kind === 'own' ? checkConfigFile(path, found.content) : goConfigFile(found.file);
}

/**
 * Finds out which syntax a config file has. A name that ends in `.yaml` or `.yml` is that of stanchion's own file. Any other is a Go
 * server's if it is right in the syntax of NATS and has what only that has: a `streaming` block, an include, a variable, or a name at its
 * top that only a nats-server knows. Else it is stanchion's own if it is YAML, and else a Go server's.
 *
 * @throws ConfigError if it is neither
 */
export function findConfig(path: string, sources: ConfigSources): FoundConfig {
  const text = sources.readFile(path);
  if (['.yaml', '.yml'].includes(extname(path).toLowerCase()))
    return { kind: 'own', content: parseYaml(path, text) };
  const draft = attempt(() => parseNats(path, text, { ...sources, isDraft: true }));
  const isGo = draft.found !== undefined && isOnlyGo(draft.found);
  if (!isGo) {
    const own = attempt(() => parseYaml(path, text));
    if (own.found !== undefined) return { kind: 'own', content: own.found };
    if (draft.error !== undefined && looksLikeNatsConfig(text)) throw draft.error;
    if (draft.error !== undefined)
      throw new ConfigError(
        `config file ${path} is neither a file of stanchion nor one of the Go server.\n${own.error?.message}\n${draft.error.message}`,
      );
  }
  return { kind: 'go', file: parseNats(path, text, sources) };
}

function isOnlyGo(file: NatsFile & { readonly hasReferences: boolean }): boolean {
  if (file.hasReferences || streamingOf(file)?.hasBlock !== false) return true;
  return [...file.entries.keys()].some((name) => isKnownToNats(name) && !isFileKey(name));
}

function attempt<T>(run: () => T): { found?: T; error?: ConfigError } {
  try {
    return { found: run() };
  } catch (error) {
    if (error instanceof ConfigError) return { error };
    throw error;
  }
}
