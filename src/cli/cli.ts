import yargs, { type Argv } from 'yargs';
import { parseFlags } from '../config/argv.js';
import { ConfigError } from '../config/error.js';
import { addDrillCommand } from './drill.js';
import type { StartBroker } from './running.js';
import { serve } from './serve.js';
import { addServeHelp } from './serve-help.js';
import { addStatusCommand } from './status.js';
import { addStoreCommands } from './store.js';
import { addUpCommand } from './up.js';
import { VERSION } from './version.js';

const MAX_HELP_WIDTH = 120;
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
    console.error(`stanchion: ${error instanceof Error ? error.message : error}`);
    return error instanceof ConfigError ? error.exitCode : 1;
  }
}

/** Flags alone are a command line of the Go server, which has no commands. */
function withCommand(args: readonly string[]): readonly string[] {
  const [first] = args;
  return first?.startsWith('-') && !ASKS_ABOUT_ITSELF.has(first) ? ['serve', ...args] : args;
}

async function dispatch(args: readonly string[], programs: Programs): Promise<number> {
  let exitCode = 0;
  let forYargs = args;
  const serveArgs = args.slice(1);
  if (args[0] === 'serve') {
    // The flags of `serve` come in more spellings than yargs knows: it sees the command, and what asks about it.
    const { wantsHelp, wantsVersion } = parseFlags(serveArgs);
    if (wantsVersion) forYargs = ['--version'];
    else forYargs = wantsHelp ? ['serve', '--help'] : ['serve'];
  }
  const onExitCode = (code: number): void => {
    exitCode = code;
  };
  const groups = addDrillCommand(addUpCommand(baseParser(forYargs), onExitCode), onExitCode);
  const base = addStatusCommand(groups, onExitCode);
  const parser = addStoreCommands(base, onExitCode).command(
    'serve',
    'Run one broker',
    (command) => addServeHelp(command),
    async () => {
      exitCode = await serve(serveArgs, programs.startBroker);
    },
  );
  await parser.parseAsync();
  return exitCode;
}

function baseParser(args: readonly string[]): Argv {
  return yargs([...args])
    .scriptName('stanchion')
    .locale('en')
    .usage(
      '$0 COMMAND [flags]\n\nA NATS Streaming (STAN) server: existing clients work against it, unchanged.',
    )
    .example(
      '$0 serve --store file --dir ./data',
      'keep messages in ./data, start a nats-server on port 4222',
    )
    .demandCommand(1, 'Name a command. `stanchion --help` lists them')
    .recommendCommands()
    .strict()
    .version(VERSION)
    .alias('version', 'v')
    .help()
    .alias('help', 'h')
    .wrap(Math.min(MAX_HELP_WIDTH, process.stdout.columns || MAX_HELP_WIDTH))
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new ConfigError(message);
    });
}
