import { readFileSync } from 'node:fs';
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
export const CONFIG_SOURCES = {
  env: process.env,
  readFile: (path: string): string => readFileSync(path, 'utf8'),
};
