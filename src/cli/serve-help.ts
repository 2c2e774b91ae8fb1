import type { Argv } from 'yargs';
import { OPTION_NAMES, type OptionName, optionOf, SECTIONS } from '../config/options.js';

/** Describes `serve` and its flags for the help, from the table of options. */
export function addServeHelp(command: Argv): Argv {
  command
    .usage(
      '$0 serve [flags]\n\nRun one broker, attached to NATS servers or beside a nats-server that it starts.',
    )
    .example('$0 serve', 'messages in memory, a nats-server on port 4222')
    .example('$0 serve --store file --dir ./data --max-age 24h', 'messages in files, kept for a day')
    .example('$0 serve --nats-server nats://a:4222,nats://b:4222', 'attach to NATS servers')
    .example('$0 -cid test-cluster -st FILE -dir ./data -mm 0', 'a command line of nats-streaming-server')
    .example('$0 serve -sc stan.conf', 'a configuration file of nats-streaming-server');
  for (const name of OPTION_NAMES) {
    const option = optionOf(name);
    command.option(name, {
      group: SECTIONS[option.section],
      describe: description(name),
      ...(option.default !== undefined && { defaultDescription: option.default }),
    });
  }
  return command.epilogue(
    'A flag may also be written as in the Go server: with one dash, with underscores, in its short form ' +
      '(--max-msgs 5, --max_msgs=5, -max_msgs 5, -mm 5).\n' +
      'Every flag can come from the environment (STANCHION_MAX_MSGS=5) and from the --config file (max-msgs: 5). ' +
      'A flag overrides the environment, the environment overrides the file, and the file overrides the default.\n' +
      'With -t it only checks the configuration, and ends.\n' +
      'SIGTERM and SIGINT stop it cleanly, SIGUSR2 turns debug messages on and off, SIGUSR1 reopens the --log-file.\n' +
      'Exit code: 0 stopped when asked to, 1 failed, 2 wrong configuration.',
  );
}

function description(name: OptionName): string {
  const { aliases = [], kind, describe } = optionOf(name);
  const short = aliases.filter((alias) => alias.length <= MAX_SHORT_LENGTH).map((alias) => `-${alias}`);
  const spellings = short.length > 0 ? ` (${short.join(', ')})` : '';
  return `${kind.placeholder ? `${kind.placeholder}: ` : ''}${describe}${spellings}`;
}

const MAX_SHORT_LENGTH = 3;
