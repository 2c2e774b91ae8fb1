import { parseFlags } from '../config/argv.js';
import { ConfigError } from '../config/config-error.js';
import type { StartBroker } from '../run/running-broker.js';
import { errorText } from './error-text.js';

const ASKS_ABOUT_ITSELF = new Set(['--help', '-h', '--version', '-v']);

/** What the commands run. */
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
    console.error(`stanchion: ${errorText(error)}`);
    return error instanceof ConfigError ? error.exitCode : 1;
  }
}

/** Flags alone are a command line of the Go server, which has no commands. */
function withCommand(args: readonly string[]): readonly string[] {
  const [first] = args;
  return first?.startsWith('-') && !ASKS_ABOUT_ITSELF.has(first) ? ['serve', ...args] : args;
}

/** Each way loads what it needs only: a broker would else keep in memory, for as long as it runs, what reads other commands' flags. */
async function dispatch(args: readonly string[], programs: Programs): Promise<number> {
  let forCommands = args;
  if (args[0] === 'serve') {
    // The flags of `serve` come in more spellings than yargs knows: that is asked for the help only.
    const serveArgs = args.slice(1);
    const { wantsHelp, wantsVersion } = parseFlags(serveArgs);
    if (!wantsHelp && !wantsVersion) {
      const { serve } = await import('./serve.js');
      return await serve(serveArgs, programs.startBroker);
    }
    forCommands = wantsVersion ? ['--version'] : ['serve', '--help'];
  }
  const { runCommand } = await import('./commands.js');
  return await runCommand(forCommands);
}
