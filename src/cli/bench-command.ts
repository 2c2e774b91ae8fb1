import { writeFileSync } from 'node:fs';
import type { Argv, Options } from 'yargs';
import type { BenchOptions } from '../bench/bench-options.js';
import { benchCsv, benchText } from '../bench/bench-report-text.js';
import { runBench } from '../bench/run-bench.js';
import { ConfigError } from '../config/config-error.js';
import {
  ACK_FLAGS,
  ackTimeoutMs,
  addClientFlags,
  channelName,
  clientFlags,
  connectOptions,
  flag,
  flagSwitch,
} from './client-flags.js';
import { COMMAND_NAMES } from './command-names.js';
import type { Flags } from './flags.js';
import { bar, Progress } from './progress-line.js';
import { INTERRUPTED, onStopSignal } from './signals.js';
import { toolLogger } from './tool-logger.js';

export { CLIENT_FLAGS, NATS_FLAGS } from './client-flags.js';

export const BENCH_FLAGS = {
  publishers: flag('Publishers [default: 1]', ['np']),
  subscribers: flag('Subscribers; each gets all messages, unless --queue is given [default: 0]', ['ns']),
  messages: flag('Messages that all publishers send together [default: 100000]', ['n']),
  size: flag('Bytes of a message [default: 128]', ['ms']),
  sync: flagSwitch('Wait for each ack before the next message'),
  'max-pub-acks': flag('How many messages may be without an ack, per publisher [default: 1000]', ['mpa']),
  queue: flag('The subscribers are one queue group of this name', ['qgroup']),
  'ignore-old': flagSwitch('Without publishers, wait for new messages instead of reading stored ones', [
    'io',
  ]),
  timeout: flag('Give up after this time without a message or ack [default: 30s]'),
  csv: flag('Write a line for each client to this file'),
  json: flagSwitch('Print JSON instead of a table'),
  ...ACK_FLAGS,
} as const satisfies Record<string, Options>;

const DEFAULT_SUBJECT = 'stanchion.bench';
const MAX_CLIENTS = 1_000;
const MAX_MESSAGES = 1_000_000_000;
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
const MAX_WINDOW = 1_000_000;
const HOUR_MS = 3_600_000;

/** `stanchion bench`: rates and latencies of publishers and subscribers. */
export function addBenchCommand(parser: Argv, onExitCode: (exitCode: number) => void): Argv {
  return parser.command(
    ...COMMAND_NAMES.bench,
    (command) =>
      addClientFlags(command, BENCH_FLAGS)
        .positional('subject', {
          type: 'string',
          default: DEFAULT_SUBJECT,
          describe: 'Channel; its messages stay, and so do those of the benchmark',
        })
        .example('$0 bench -np 1 -ns 1 -n 100000 -ms 128', 'as with stan-bench')
        .example('$0 bench --publishers 4 --sync --messages 1000', 'the latency of single messages')
        .example('$0 bench -np 0 -ns 1 -n 50000', 'read stored messages'),
    async (args) => onExitCode(await bench(args)),
  );
}

async function bench(args: Readonly<Record<string, unknown>>): Promise<number> {
  const flags = await clientFlags(args, BENCH_FLAGS);
  const options: BenchOptions = {
    subject: channelName(args.subject),
    publishers: flags.number('publishers', 1, 0, MAX_CLIENTS),
    subscribers: flags.number('subscribers', 0, 0, MAX_CLIENTS),
    messages: flags.number('messages', 100_000, 1, MAX_MESSAGES),
    messageBytes: flags.size('size', 128, 0, MAX_MESSAGE_BYTES),
    sync: flags.flag('sync'),
    maxPubAcksInFlight: flags.number('max-pub-acks', 1_000, 1, MAX_WINDOW),
    queue: flags.text('queue'),
    ignoreOld: flags.flag('ignore-old'),
    timeoutMs: flags.durationMs('timeout', 30_000, 1_000, HOUR_MS),
    connect: { ...connectOptions(flags, 'bench'), ackTimeout: ackTimeoutMs(flags) },
  };
  if (options.publishers + options.subscribers === 0)
    throw new ConfigError('there is nothing to measure: give --publishers or --subscribers');
  checkAllHaveEffect(flags, options);
  const csv = flags.text('csv');

  const log = toolLogger();
  const progress = new Progress(process.stderr);
  const interrupt = new AbortController();
  onStopSignal(log, () => interrupt.abort());
  try {
    const report = await runBench(
      options,
      (done, due) => {
        if (process.stderr.isTTY) progress.show(bar(done, due));
      },
      interrupt.signal,
    );
    progress.end();
    if (csv !== undefined) writeFileSync(csv, benchCsv(report));
    const text = flags.flag('json') ? JSON.stringify(report, undefined, 2) : benchText(report);
    process.stdout.write(`${text}\n`);
    return report.isPartial ? INTERRUPTED : 0;
  } finally {
    progress.end();
  }
}

const PUBLISHER_FLAGS = ['sync', 'max-pub-acks', 'size', 'ack-timeout'] as const;

/** @throws ConfigError naming a flag on the command line that would have no effect */
function checkAllHaveEffect(
  flags: Flags<keyof typeof BENCH_FLAGS>,
  { publishers, subscribers, sync }: BenchOptions,
): void {
  const idle = PUBLISHER_FLAGS.find((flag) => publishers === 0 && flags.isOnCommandLine(flag));
  if (idle !== undefined) throw new ConfigError(`--${idle} is for publishers: add --publishers`);
  if (sync && flags.isOnCommandLine('max-pub-acks'))
    throw new ConfigError('--sync waits for each ack: leave out --max-pub-acks');
  if (subscribers === 0 && flags.isOnCommandLine('queue'))
    throw new ConfigError('--queue is for subscribers: add --subscribers');
  if ((publishers > 0 || subscribers === 0) && flags.isOnCommandLine('ignore-old'))
    throw new ConfigError('--ignore-old is for subscribers without publishers: add --publishers 0');
}
