// Which source an import has, by the form of --from, and what the flags say of it.

import { readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { ConfigError } from '../config/config-error.js';
import { type FileLimits, limitsOfConfigFile } from '../config/go-file/limits.js';
import { boolean } from '../config/kinds.js';
import { IDENTITY_FILE } from '../files/store-folder.js';
import { GoFileSource } from '../import/go-files/go-file-source.js';
import { STANDARD_INPUT } from '../import/lines/line-input.js';
import { LinesSource } from '../import/lines/lines-source.js';
import { isDatabaseUrl } from '../import/sql/database-url.js';
import { SqlSource } from '../import/sql/sql-source.js';
import type { ImportSource } from '../import/types/source.js';
import { SourceError } from '../import/types/source-error.js';
import { shownUrls } from '../util/server-url.js';
import { CONFIG_SOURCES } from './config-file-reader.js';
import type { Flags } from './flags.js';
import { GO_FILE_FLAGS, type ImportFlag, RUNNING_FLAGS } from './import-flags.js';

/** What an import reads. */
export type SourceKind = 'go-files' | 'sql' | 'lines' | 'running';

export interface FoundSource {
  kind: SourceKind;
  /** Makes the source; each is read once. */
  make(): Promise<ImportSource>;
  /** The limits that the old server is assumed to have; undefined where that does not matter. */
  limits: FileLimits | undefined;
  /** The cluster id that the source has been asked for, or that was given. */
  clusterId: string | undefined;
}

export interface SourceHost {
  /** The folder of the new store. */
  dir: string;
  /** Gives up. */
  signal: AbortSignal;
  /** Ends a source that follows; it is whole then. */
  until: AbortSignal;
  onNote(text: string): void;
  onProgress(done: number, due: number): void;
}

const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i;
const NATS_SCHEMES = ['nats', 'tls'];

/** @throws ConfigError if it is nothing that can be imported, or a flag is for something else; SourceError if it is not there */
export async function findSource(
  from: string,
  flags: Flags<ImportFlag>,
  host: SourceHost,
): Promise<FoundSource> {
  const kind = await kindOf(from);
  const isLenient = flags.flag('lenient');
  const clusterId = flags.text('cluster-id') === undefined ? undefined : flags.option('cluster-id');
  checkFlags(kind, flags);
  switch (kind) {
    case 'lines': {
      const nowNs = BigInt(Date.now()) * 1_000_000n;
      const make = async () => new LinesSource({ path: from, isLenient, nowNs });
      return { kind, make, limits: undefined, clusterId };
    }
    case 'go-files': {
      if (resolve(host.dir).startsWith(`${resolve(from)}${sep}`))
        throw new ConfigError(
          `--dir ${host.dir} lies in the folder that is imported, which stays as it is: each folder in it is a channel to a Go server. Name a folder elsewhere`,
        );
      const limits = limitsOf(flags);
      const options = {
        ...{ dir: from, limits: (channel: string) => limits.for(channel), key: keyOf(flags), isLenient },
        isCrcChecked: flags.text('file-crc') === undefined || crcFlag(flags),
        crcPolynomial: flags.number('file-crc-poly', IEEE_POLYNOMIAL, 1, 0xffff_ffff),
      };
      return { kind, make: async () => new GoFileSource(options), limits, clusterId };
    }
    case 'sql': {
      // Its tables have the limits that the old server had.
      const limits = LIMIT_FLAGS.some((name) => flags.text(name) !== undefined) ? limitsOf(flags) : undefined;
      const options = {
        ...{ url: from, key: keyOf(flags), isLenient },
        ...(limits !== undefined && { limits: (channel: string) => limits.for(channel) }),
      };
      return { kind, make: async () => new SqlSource(options), limits, clusterId };
    }
    case 'running': {
      const { runningSource } = await import('./import-running.js');
      return { kind, limits: undefined, ...(await runningSource(from, flags, clusterId, host)) };
    }
  }
}

const IEEE_POLYNOMIAL = 0xedb8_8320;

async function kindOf(from: string): Promise<SourceKind> {
  if (from === STANDARD_INPUT) return 'lines';
  const scheme = SCHEME.exec(from)?.[1]?.toLowerCase();
  if (scheme !== undefined) {
    if (NATS_SCHEMES.includes(scheme)) return 'running';
    if (isDatabaseUrl(from)) return 'sql';
    const shown = shownUrls(from);
    throw new ConfigError(
      `--from ${shown}: nothing is known of ${scheme}://. It is a folder, a file, -, nats://HOST:4222, postgres://... or mysql://...`,
    );
  }
  const status = await stat(from).catch(() => undefined);
  if (status === undefined)
    throw new SourceError('not-found', `--from ${from}: there is no such file or folder`);
  if (!status.isDirectory()) return 'lines';
  if ((await stat(`${from}/${IDENTITY_FILE}`).catch(() => undefined)) !== undefined) {
    throw new ConfigError(
      `--from ${from} is a store of stanchion already: copy the folder while no broker uses it, or export it first`,
    );
  }
  return 'go-files';
}

const LIMIT_FLAGS = ['max-msgs', 'max-bytes', 'max-age', 'stan-config'] as const;

const ONLY: readonly [readonly SourceKind[], readonly string[], string][] = [
  [
    ['go-files', 'sql'],
    Object.keys(GO_FILE_FLAGS).filter((name) => !name.startsWith('file-')),
    'for the store of a Go server, --from FOLDER or a database',
  ],
  [['go-files'], ['file-crc', 'file-crc-poly'], 'for the files of a Go server, --from FOLDER'],
  [['running'], Object.keys(RUNNING_FLAGS), 'for a running server, --from nats://OLD:4222'],
];

/** @throws ConfigError naming a flag on the command line that would have no effect */
function checkFlags(kind: SourceKind, flags: Flags<ImportFlag>): void {
  for (const [only, names, what] of ONLY) {
    if (only.includes(kind)) continue;
    const idle = (names as ImportFlag[]).find((name) => flags.isOnCommandLine(name));
    if (idle !== undefined) throw new ConfigError(`--${idle} is ${what}`);
  }
}

function crcFlag(flags: Flags<ImportFlag>): boolean {
  const text = flags.text('file-crc') ?? '';
  const value = boolean.parse(text);
  if (value === undefined)
    throw new ConfigError(`${flags.where('file-crc')} must be ${boolean.expected}, and is "${text}"`);
  return value;
}

/** The old server's limits: those of its configuration file, but for what flags say, and else its defaults. */
function limitsOf(flags: Flags<ImportFlag>): FileLimits {
  const { values, where } = flags.options(['max-msgs', 'max-bytes', 'max-age']);
  const given = {
    ...(where.has('max-msgs') && { maxMessages: values['max-msgs'] }),
    ...(where.has('max-bytes') && { maxBytes: values['max-bytes'] }),
    ...(where.has('max-age') && { maxAgeMs: values['max-age'] }),
  };
  const path = flags.text('stan-config');
  try {
    return limitsOfConfigFile(path, CONFIG_SOURCES, given);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`--stan-config: cannot read ${path}: ${(error as Error).message}`);
  }
}

const KEY_VARIABLE = 'NATS_STREAMING_ENCRYPTION_KEY';

function keyOf(flags: Flags<ImportFlag>): Buffer | undefined {
  const file = flags.text('encryption-key-file');
  if (file === undefined) {
    const text = process.env[KEY_VARIABLE];
    return text === undefined || text === '' ? undefined : Buffer.from(text);
  }
  try {
    const bytes = readFileSync(file);
    // An editor ends a file with a line's end.
    let end = bytes.length;
    while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end--;
    if (end === 0) throw new Error('it is empty');
    return bytes.subarray(0, end);
  } catch (error) {
    throw new ConfigError(`--encryption-key-file: cannot read ${file}: ${(error as Error).message}`);
  }
}
