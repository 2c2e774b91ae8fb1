import { ConfigError } from '../config/config-error.js';
import { printableLines } from '../util/printable.js';
import { withoutSecrets } from '../util/secrets.js';
import { errorText } from './error-text.js';

/** Runs a command. An error is printed in one line, and becomes the exit code: 1 if something failed, 2 if the command line or the configuration is wrong. */
export async function exitCodeOf(command: () => Promise<number>): Promise<number> {
  try {
    return await command();
  } catch (error) {
    console.error(`stanchion: ${printableLines(withoutSecrets(errorText(error)))}`);
    return error instanceof ConfigError ? error.exitCode : 1;
  }
}
