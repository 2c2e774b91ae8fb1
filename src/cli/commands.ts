// The commands other than `serve`: yargs reads their command lines and prints all help.

import yargs, { type Argv } from 'yargs';
import { ConfigError } from '../config/config-error.js';
import { brokenSecret, secretFlagBefore } from '../config/secret-flags.js';
import { VERSION } from '../version.js';
import { COMMAND_NAMES, type CommandName, isCommandName } from './command-names.js';
import { COMMAND_PARTS, type CommandParts } from './command-parts.js';
import { asYargsHasIt } from './spellings.js';

const MAX_HELP_WIDTH = 120;

/**
 * Runs a command other than `serve`, or prints the help of any command. It loads the code of that command alone.
 *
 * @returns the exit code
 */
export async function runCommand(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const onExitCode = (code: number): void => {
    exitCode = code;
  };
  // Behind `--help` too there may be a command.
  const called = args.find((arg) => !arg.startsWith('-')) ?? '';
  const parts = isCommandName(called) ? await COMMAND_PARTS[called]() : undefined;
  const parser = commandParser(args, args[0] === called ? parts : undefined);
  for (const name of Object.keys(COMMAND_NAMES) as CommandName[]) {
    const [usage, about] = COMMAND_NAMES[name];
    if (name === called && parts !== undefined) parts.add(parser, onExitCode);
    else parser.command(usage, about);
  }
  await parser.parseAsync();
  return exitCode;
}

/**
 * A parser of a command line, to which the commands are added.
 *
 * @param parts of the command that the command line begins with
 * @throws ConfigError naming an unknown flag of the command, or a switch with a wrong value
 */
export function commandParser(args: readonly string[], parts?: Pick<CommandParts, 'flags'>): Argv {
  return (
    yargs(parts === undefined || parts.flags.length === 0 ? [...args] : asYargsHasIt(args, parts.flags))
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
