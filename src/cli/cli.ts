import { inspect } from 'node:util';
import { parseFlags } from '../config/argv.js';
import { ConfigError } from '../config/config-error.js';
import type { StartBroker } from '../run/running-broker.js';
import { printableLines } from '../util/printable.js';
import { withoutSecrets } from '../util/secrets.js';
import { withSourcePlaces } from '../util/source-places.js';
import { errorText } from './error-text.js';

const HELP_AND_VERSION = new Set(['--help', '-h', '--version', '-v']);

/** The programs behind the commands; a test may pass its own. */
export interface Programs {
  startBroker: StartBroker;
}

/**
 * Runs a command line.
 *
 * @returns the exit code: 0, 1 if something failed, 2 if the command line or the configuration is wrong
 */
export async function runCli(args: readonly string[], programs: Programs): Promise<number> {
  try {
    return await dispatch(withCommand(args), programs);
  } catch (error) {
    console.error(`stanchion: ${printableLines(withoutSecrets(errorText(error)))}`);
    return error instanceof ConfigError ? error.exitCode : 1;
  }
}

/** Adds `serve` to a command line that has only flags: the Go server has no commands. */
function withCommand(args: readonly string[]): readonly string[] {
  const [first] = args;
  return first?.startsWith('-') && !HELP_AND_VERSION.has(first) ? ['serve', ...args] : args;
}

/** Loads only the code that the command needs: a broker keeps all that is loaded in memory for as long as it runs. */
async function dispatch(args: readonly string[], programs: Programs): Promise<number> {
  let forCommands = args;
  if (args[0] === 'serve') {
    // yargs does not know all the spellings of the flags of `serve`: it only prints the help.
    const serveArgs = args.slice(1);
    const { wantsHelp, wantsVersion } = parseFlags(serveArgs);
    if (!wantsHelp && !wantsVersion) {
      const { serve } = await import('./serve.js');
      return await serve(serveArgs, programs.startBroker);
    }
    forCommands = wantsVersion ? ['--version'] : ['serve', '--help'];
  }
  process.on('uncaughtException', endOnBug);
  const { runCommand } = await import('./commands.js');
  return await runCommand(forCommands);
}

/** Node itself would print the error as it is, with what may be a secret. */
function endOnBug(error: unknown): void {
  console.error(`stanchion: a bug: ${printableLines(withSourcePlaces(withoutSecrets(inspect(error))))}`);
  process.exit(1);
}
