import { closeSync, openSync, readSync } from 'node:fs';
import { NO_CONFIG_FILE, namesConfigFile, type ReadConfigFile } from '../config/resolve.js';

/**
 * The reader of config files. Their parsers are loaded only if a file is named: they would take a tenth of the broker's memory.
 *
 * @param argv the arguments after `serve`
 */
export async function configFileReader(argv: readonly string[]): Promise<ReadConfigFile> {
  if (!namesConfigFile(argv, process.env)) return () => NO_CONFIG_FILE;
  const { readConfigFile } = await import('../config/go-file/syntax.js');
  return (path, isForNats) => readConfigFile(path, CONFIG_SOURCES, isForNats);
}

/** Files and variables of this process. */
export const CONFIG_SOURCES = { env: process.env, readFile: readConfigText };

/** No config file has as many bytes, and a device may have no end. */
const MAX_BYTES = 64 * 1024 * 1024;
const PIECE_BYTES = 64 * 1024;

function readConfigText(path: string): string {
  const file = openSync(path, 'r');
  try {
    const pieces: Buffer[] = [];
    for (let bytes = 0; ; ) {
      const piece = Buffer.allocUnsafe(PIECE_BYTES);
      const read = readSync(file, piece);
      if (read === 0) return Buffer.concat(pieces).toString();
      bytes += read;
      if (bytes > MAX_BYTES) throw new Error(`it has more than ${MAX_BYTES / 1024 ** 2} MiB`);
      pieces.push(piece.subarray(0, read));
    }
  } finally {
    closeSync(file);
  }
}
