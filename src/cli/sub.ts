import { isUtf8 } from 'node:buffer';
import type { Argv, Options } from 'yargs';
import { ConfigError } from '../config/config-error.js';
import { connect, type Message, type StartAt, type Subscription } from '../index.js';
import { lines } from '../util/lines.js';
import { printableLines } from '../util/printable.js';
import { timeText } from '../util/time-text.js';
import {
  addClientFlags,
  type ConnectionFlag,
  channelName,
  clientFlags,
  connectOptions,
  flag,
  flagSwitch,
} from './client-flags.js';
import { COMMAND_NAMES } from './command-names.js';
import type { Flags } from './flags.js';
import { onStopSignal } from './signals.js';
import { endQuietlyOnBrokenPipe, writeOut } from './standard-output.js';
import { toolLogger } from './tool-logger.js';

export { CLIENT_FLAGS, NATS_FLAGS } from './client-flags.js';

export const SUB_FLAGS = {
  start: flag('Where to begin: new, last (the newest message first) or all [default: new]'),
  'start-sequence': flag('Begin with this sequence', ['seq']),
  'start-time': flag('Begin with messages stored at this time or later: 2026-01-31T12:00:00Z'),
  since: flag('Begin with messages stored this long ago: 15m'),
  durable: flag('Name of a durable, which goes on from its last position'),
  queue: flag('Queue group: each message goes to one of its members', ['qgroup']),
  'manual-ack': flagSwitch(
    'Acknowledge by hand: an empty line on standard input acks the oldest message, a number the message with that sequence',
  ),
  'ack-wait': flag('Time after which a message without an ack comes again [default: 30s]'),
  'max-in-flight': flag('How many messages may be without an ack [default: 1024]'),
  unsubscribe: flagSwitch('Remove the durable at the end, instead of keeping its position', ['unsub']),
  count: flag('End after this number of messages'),
  timeout: flag('End after this time; exit code 1 if --count is not reached'),
  output: flag('text, json (a line for each message) or raw (only the bytes) [default: text]', ['o']),
} as const satisfies Record<string, Options>;

type SubFlag = keyof typeof SUB_FLAGS;

const STARTS = ['new', 'last', 'all'] as const;
const OUTPUTS = ['text', 'json', 'raw'] as const;
type Output = (typeof OUTPUTS)[number];

const MAX_COUNT = Number.MAX_SAFE_INTEGER;
const DAY_MS = 24 * 3_600_000;
const MAX_MS = 365 * DAY_MS;
/** Limit of a line on standard input with --manual-ack. */
const MAX_ACK_LINE_BYTES = 64;

/** `stanchion sub`: prints the messages of a channel. */
export function addSubCommand(parser: Argv, onExitCode: (exitCode: number) => void): Argv {
  return parser.command(
    ...COMMAND_NAMES.sub,
    (command) =>
      addClientFlags(command, SUB_FLAGS)
        .positional('subject', { type: 'string', describe: 'Channel' })
        .example('$0 sub orders --start all', 'all stored messages, and new ones')
        .example('$0 sub orders --start last --count 1 -o raw', 'the newest message, its bytes only')
        .example(
          '$0 sub orders --client-id billing --durable ledger',
          'go on from the last position of this durable',
        )
        .example('$0 sub orders --queue workers -o json', 'a share of the messages, for programs'),
    async (args) => onExitCode(await sub(args)),
  );
}

async function sub(args: Readonly<Record<string, unknown>>): Promise<number> {
  const flags = await clientFlags(args, SUB_FLAGS);
  const subject = channelName(args.subject);
  const count = flags.number('count', 0, 1, MAX_COUNT);
  const timeoutMs = flags.durationMs('timeout', 0, 1, MAX_MS);
  const output = flags.oneOf('output', OUTPUTS, 'text');
  const durable = flags.text('durable');
  const queue = flags.text('queue');
  const isAckedByHand = flags.flag('manual-ack');
  const unsubscribe = flags.flag('unsubscribe');
  if (durable !== undefined && queue === undefined && flags.text('client-id') === undefined)
    throw new ConfigError('--durable needs --client-id: a durable belongs to its client id');
  if (unsubscribe && durable === undefined) throw new ConfigError('--unsubscribe is for a --durable');
  const options = {
    startAt: startAt(flags),
    ackWait: flags.durationMs('ack-wait', 30_000, 1_000, DAY_MS),
    maxInFlight: flags.number('max-in-flight', 1_024, 1, 1_000_000),
    // Only printed messages are acked: not those that were under way when the command ends.
    manualAck: true,
    ...(durable !== undefined && { durable }),
    ...(queue !== undefined && { queue }),
  };

  const log = toolLogger();
  const connection = await connect(connectOptions(flags, 'sub'));
  try {
    const subscription = await connection.subscribe(subject, options);
    const end = new AbortController();
    onStopSignal(log, () => end.abort());
    endQuietlyOnBrokenPipe(() => end.abort());
    const timer = timeoutMs === 0 ? undefined : setTimeout(() => end.abort(), timeoutMs);
    const acks = isAckedByHand ? new AcksByHand(process.stdin) : undefined;
    const printed = await print(subscription, { count, output, acks, end: end.signal });
    clearTimeout(timer);
    acks?.close();
    if (unsubscribe) await subscription.unsubscribe();
    else await subscription.close();
    if (count === 0 || printed === count) return 0;
    process.stderr.write(`${printed} of ${count} messages arrived\n`);
    return 1;
  } finally {
    await connection.close();
  }
}

interface Printing {
  /** Messages to print; 0 is no limit. */
  count: number;
  output: Output;
  acks: AcksByHand | undefined;
  end: AbortSignal;
}

/**
 * Prints messages, and acknowledges each, until `count` is reached or `end` aborts.
 *
 * @returns how many it has printed
 * @throws the error that ended the subscription
 */
async function print(subscription: Subscription, { count, output, acks, end }: Printing): Promise<number> {
  const messages = subscription[Symbol.asyncIterator]();
  const ended = new Promise<undefined>((resolve) => {
    end.addEventListener('abort', () => resolve(undefined), { once: true });
    if (end.aborted) resolve(undefined);
  });
  let printed = 0;
  while (count === 0 || printed < count) {
    const next = await Promise.race([messages.next(), ended]);
    if (next === undefined || next.done === true) return printed;
    await writeOut(FORMATS[output](next.value));
    printed++;
    if (acks === undefined) next.value.ack();
    else acks.add(next.value);
  }
  if (acks !== undefined) await Promise.race([acks.whenDone(), ended]);
  return printed;
}

/** Reads acks from standard input: an empty line acks the oldest message, a number the message with that sequence. */
class AcksByHand {
  readonly #input: NodeJS.ReadStream;
  readonly #waiting = new Map<number, Message>();
  #hasEnded = false;
  #onChange: (() => void) | undefined;

  constructor(input: NodeJS.ReadStream) {
    this.#input = input;
    void this.#read();
  }

  add(message: Message): void {
    this.#waiting.set(message.sequence, message);
  }

  /** Resolves when every message is acknowledged, or standard input has ended. */
  async whenDone(): Promise<void> {
    while (this.#waiting.size > 0 && !this.#hasEnded) {
      await new Promise<void>((resolve) => {
        this.#onChange = resolve;
      });
    }
  }

  close(): void {
    this.#input.destroy();
  }

  async #read(): Promise<void> {
    try {
      for await (const line of lines(this.#input, MAX_ACK_LINE_BYTES)) this.#ack(line.toString().trim());
    } catch (error) {
      if (!this.#input.destroyed) process.stderr.write(`standard input: ${(error as Error).message}\n`);
    }
    this.#hasEnded = true;
    this.#onChange?.();
  }

  #ack(line: string): void {
    const sequence = line === '' ? this.#waiting.keys().next().value : Number(line);
    const message = sequence === undefined ? undefined : this.#waiting.get(sequence);
    if (message === undefined) {
      process.stderr.write(
        line === '' ? 'nothing waits for an ack\n' : `no message ${line} waits for an ack\n`,
      );
      return;
    }
    this.#waiting.delete(message.sequence);
    message.ack();
    this.#onChange?.();
  }
}

function startAt(flags: Flags<SubFlag | ConnectionFlag>): StartAt {
  const given = (['start', 'start-sequence', 'start-time', 'since'] as const).filter(
    (name) => flags.text(name) !== undefined,
  );
  if (given.length > 1)
    throw new ConfigError(`${given.map((name) => `--${name}`).join(' and ')} exclude each other: give one`);
  switch (given[0]) {
    case 'start-sequence':
      return { sequence: flags.number('start-sequence', 1, 1, MAX_COUNT) };
    case 'start-time':
      return { time: timeOf(flags.text('start-time') ?? '') };
    case 'since':
      return { timeAgo: flags.durationMs('since', 0, 0, MAX_MS) };
    default:
      return flags.oneOf('start', STARTS, 'new');
  }
}

function timeOf(text: string): Date {
  const time = new Date(text);
  if (Number.isNaN(time.getTime()))
    throw new ConfigError(`--start-time must be a time as 2026-01-31T12:00:00Z, and is "${text}"`);
  return time;
}

const FORMATS: Record<Output, (message: Message) => string | Uint8Array> = {
  raw: ({ data }) => data,
  text: (message) => {
    const again = message.redelivered ? `, redelivered ${message.redeliveryCount}` : '';
    return `[#${message.sequence} ${message.timestamp.toISOString()}${again}] ${payloadText(message)}\n`;
  },
  json: (message) => {
    const { subject, sequence, timestampNanos, redelivered, redeliveryCount } = message;
    const data = isUtf8(message.data)
      ? { data: message.string() }
      : { dataBase64: Buffer.from(message.data).toString('base64') };
    const timestamp = timeText(timestampNanos);
    return `${JSON.stringify({ subject, sequence, timestamp, redelivered, redeliveryCount, ...data })}\n`;
  },
};

/** A terminal obeys what stands in a message; a file, or the next program, gets it as it is. */
function payloadText(message: Message): string {
  const text = message.string();
  return process.stdout.isTTY ? printableLines(text) : text;
}
