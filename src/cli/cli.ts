import type { StartBroker } from '../run/running-broker.js';

const HELP_AND_VERSION = new Set(['--help', '-h', '--version', '-v']);

/** The programs behind the commands; a test may pass its own. */
export interface Programs {
  startBroker: StartBroker;
}

/** Whether a command line is for `serve`. One that has only flags is: the Go server has no commands. */
export function isForServe([first = '']: readonly string[]): boolean {
  return first === 'serve' || (first.startsWith('-') && !HELP_AND_VERSION.has(first));
}

/**
 * Runs a command line. It loads only the code that the command needs: a broker keeps all that is loaded in memory for as long as it runs.
 *
 * @returns the exit code: 0, 1 if something failed, 2 if the command line or the configuration is wrong
 */
export async function runCli(args: readonly string[], programs: Programs): Promise<number> {
  if (!isForServe(args)) {
    const { runTool } = await import('./tools.js');
    return await runTool(args);
  }
  const { runServe } = await import('./serve-cli.js');
  return await runServe(args[0] === 'serve' ? args.slice(1) : args, programs.startBroker);
}
