// The commands other than `serve`: yargs reads their command lines and prints all help.

import yargs, { type Argv, type Options } from 'yargs';
import { ConfigError } from '../config/config-error.js';
import { brokenSecret, secretFlagBefore } from '../config/secret-flags.js';
import { VERSION } from '../version.js';
import { addBenchCommand, BENCH_FLAGS } from './bench-command.js';
import { CLIENT_FLAGS, NATS_FLAGS } from './client-flags.js';
import { addDrillCommand } from './drill-command.js';
import { DRILL_FLAGS } from './drill-flags.js';
import { addPubCommand, PUB_FLAGS } from './pub.js';
import { addServeHelp } from './serve-help.js';
import { asYargsHasIt } from './spellings.js';
import { addStatusCommand, STATUS_FLAGS } from './status.js';
import { addStoreCommands, REPAIR_FLAGS, STORE_FLAGS } from './store-command.js';
import { addSubCommand, SUB_FLAGS } from './sub.js';
import { addUpCommand } from './up.js';
import { UP_FLAGS } from './up-flags.js';

const MAX_HELP_WIDTH = 120;

/** The flags of each command, for the spellings of the Go tools. */
const FLAG_TABLES: Readonly<Record<string, readonly Readonly<Record<string, Options>>[]>> = {
  up: [UP_FLAGS],
  drill: [DRILL_FLAGS, NATS_FLAGS],
  status: [STATUS_FLAGS, NATS_FLAGS],
  pub: [PUB_FLAGS, NATS_FLAGS, CLIENT_FLAGS],
  sub: [SUB_FLAGS, NATS_FLAGS, CLIENT_FLAGS],
  bench: [BENCH_FLAGS, NATS_FLAGS, CLIENT_FLAGS],
  store: [STORE_FLAGS, REPAIR_FLAGS],
};

/**
 * Runs a command other than `serve`, or prints the help of any command.
 *
 * @returns the exit code
 */
export async function runCommand(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const onExitCode = (code: number): void => {
    exitCode = code;
  };
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
    .reduce((base, add) => add(base, onExitCode), commandParser(args))
    .command('serve', 'Run one broker', (command) => addServeHelp(command))
    .parseAsync();
  return exitCode;
}

/**
 * A parser of a command line, to which the commands are added.
 *
 * @throws ConfigError naming an unknown flag of the command, or a switch with a wrong value
 */
export function commandParser(args: readonly string[]): Argv {
  const tables = FLAG_TABLES[args[0] ?? ''];
  return (
    yargs(tables === undefined ? [...args] : asYargsHasIt(args, tables))
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
      // A message behind `--` must stay as it is: `007` is not 7. If a flag is given twice, the later one counts, as in `serve`.
      .parserConfiguration({ 'parse-positional-numbers': false, 'duplicate-arguments-array': false })
      .fail((message, error) => {
        // yargs throws `YError` for a wrong command line; any other error is the command's own.
        throw error === undefined || error.name === 'YError'
          ? new ConfigError(explained(message, args))
          : error;
      })
  );
}

/** Rewrites an error message of yargs in our words. */
function explained(message: string, args: readonly string[]): string {
  const [, withoutValue] = /^Not enough arguments following: (\S+)$/.exec(message) ?? [];
  if (withoutValue !== undefined) return `--${withoutValue} needs a value`;
  if (message.startsWith('Did you mean')) return `there is no command "${args[0]}". ${message}`;
  if (message.startsWith('Not enough non-option arguments'))
    return `${args[0]} needs the name of a channel: see stanchion ${args[0]} --help`;
  const [, unknown] = /^Unknown arguments?: ([^,]*)/.exec(message) ?? [];
  if (unknown === undefined) return message;
  if (args.includes(`-${unknown}`)) return `unknown flag -${unknown}`;
  const secretFlag = secretFlagBefore(args, args.indexOf(unknown));
  if (secretFlag !== undefined) return brokenSecret(secretFlag);
  if (args[0] === unknown) return `there is no command "${unknown}". \`stanchion --help\` lists them`;
  return `unexpected argument "${unknown}": see stanchion ${args[0]} --help`;
}
