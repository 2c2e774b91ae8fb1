// The commands other than `serve`. In the bundle, this and all that it loads are in files of their own: see scripts/setup/bundle.mjs.

import { inspect } from 'node:util';
import { printableLines } from '../util/printable.js';
import { withoutSecrets } from '../util/secrets.js';
import { withSourcePlaces } from '../util/source-places.js';
import { runCommand } from './commands.js';
import { exitCodeOf } from './exit-code.js';
import { hideSecretsInTitle } from './process-title.js';

/**
 * Runs a command other than `serve`, or prints the help of any command.
 *
 * @returns the exit code
 */
export async function runTool(args: readonly string[]): Promise<number> {
  hideSecretsInTitle();
  process.on('uncaughtException', endOnBug);
  return await exitCodeOf(() => runCommand(args));
}

/** Node itself would print the error as it is, with what may be a secret. */
function endOnBug(error: unknown): void {
  console.error(`stanchion: a bug: ${printableLines(withSourcePlaces(withoutSecrets(inspect(error))))}`);
  process.exit(1);
}
