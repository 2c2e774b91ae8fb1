import type { Options } from 'yargs';
import { optionOf } from '../config/options.js';
import { CLUSTER_FLAGS, CONFIG_FLAG, DISCOVER_FLAGS, flag, flagSwitch, NATS_FLAGS } from './client-flags.js';

export const IMPORT_FLAGS = {
  from: flag(
    "What to import: the folder of a Go server's files; postgres:// or mysql://, its database; nats://OLD:4222, a running server; FILE.jsonl, also compressed, or - for standard input: what `stanchion export` or `sub -o json` has written",
  ),
  dir: flag('Folder of the new store: missing or empty'),
  'cluster-id': {
    ...CLUSTER_FLAGS['cluster-id'],
    describe: "Cluster id of the new store [default: the source's]",
  },
  'dry-run': flagSwitch('Read everything, write nothing, and print what would come along and what would not'),
  verify: flagSwitch(
    'Compare a store with what it was imported from, message by message and position by position. Exit code 1 if anything differs',
  ),
  lenient: flagSwitch(
    'Keep what can be read of a damaged source, and name what cannot; without it damage ends the import',
  ),
  json: flagSwitch('Print the summary as JSON'),
  ...CONFIG_FLAG,
} as const satisfies Record<string, Options>;

/** For the files of a Go server. */
export const GO_FILE_FLAGS = {
  'max-msgs': limitFlag('max-msgs', 'messages per channel'),
  'max-bytes': limitFlag('max-bytes', 'bytes per channel'),
  'max-age': limitFlag('max-age', 'the age of messages'),
  'stan-config': flag("The old server's configuration file, for its limits, also those of single channels", [
    'sc',
  ]),
  'encryption-key-file': flag(
    "File with the old server's encryption key; else it comes from the environment, NATS_STREAMING_ENCRYPTION_KEY",
  ),
  'file-crc': flag("The old server's -file_crc: false if it did not check CRCs [default: true]"),
  'file-crc-poly': flag("The old server's -file_crc_poly [default: 3988292384]"),
} as const satisfies Record<string, Options>;

const { 'nats-server': _, config: __, ...natsFlags } = NATS_FLAGS;

/** For a running server. */
export const RUNNING_FLAGS = {
  monitor: flag(
    "URL of the old server's HTTP port, as http://OLD:8222: for the list of channels and the positions of durables",
  ),
  channels: flag('Channels, separated by commas; with --monitor also patterns, as orders.> [default: all]'),
  follow: flagSwitch('Go on with new messages until Ctrl-C, and write the store then'),
  'max-in-flight': flag(
    'How many messages of a channel may be on their way; with --monitor fewer if they are large [default: 1024]',
  ),
  'client-id': flag('Client id at the old server [default: a random one]', ['id', 'clientid']),
  ...DISCOVER_FLAGS,
  ...natsFlags,
} as const satisfies Record<string, Options>;

export type ImportFlag = keyof typeof IMPORT_FLAGS | keyof typeof GO_FILE_FLAGS | keyof typeof RUNNING_FLAGS;

export const ALL_IMPORT_FLAGS = [
  ...Object.keys(IMPORT_FLAGS),
  ...Object.keys(GO_FILE_FLAGS),
  ...Object.keys(RUNNING_FLAGS),
] as ImportFlag[];

function limitFlag(name: 'max-msgs' | 'max-bytes' | 'max-age', what: string): Options {
  const { default: value = '0', aliases = [] } = optionOf(name);
  return flag(`The old server's limit on ${what}, which hides older ones [default: ${value}]`, [...aliases]);
}
