import yargs, { type Argv } from 'yargs';
import { ConfigError } from '../config/error.js';
import { addBenchCommand, withLongDashes } from './bench.js';
import { addDrillCommand } from './drill.js';
import { addPubCommand } from './pub.js';
import { addServeHelp } from './serve-help.js';
import { addStatusCommand } from './status.js';
import { addStoreCommands } from './store.js';
import { addSubCommand } from './sub.js';
import { addUpCommand } from './up.js';
import { VERSION } from './version.js';

const MAX_HELP_WIDTH = 120;

/**
 * Runs a command other than `serve`, or explains one: of `serve` the help only.
 *
 * @returns the exit code
 */
export async function runCommand(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const onExitCode = (code: number): void => {
    exitCode = code;
  };
  const parser = baseParser(args[0] === 'bench' ? withLongDashes(args) : args);
  const adders = [
    addUpCommand,
    addDrillCommand,
    addStatusCommand,
    addPubCommand,
    addSubCommand,
    addBenchCommand,
    addStoreCommands,
  ];
  await adders
    .reduce((base, add) => add(base, onExitCode), parser)
    .command('serve', 'Run one broker', (command) => addServeHelp(command))
    .parseAsync();
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
