import { readFile } from 'node:fs/promises';
import { addAbortSignal, type Readable } from 'node:stream';
import { buffer as bytesOf } from 'node:stream/consumers';
import type { Argv, Options } from 'yargs';
import { ConfigError } from '../config/config-error.js';
import { connect, type StanConnection } from '../index.js';
import { lines } from '../util/lines.js';
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
import { INTERRUPTED, onStopSignal } from './signals.js';
import { endQuietlyOnBrokenPipe } from './standard-output.js';
import { toolLogger } from './tool-logger.js';

export { CLIENT_FLAGS, NATS_FLAGS } from './client-flags.js';

export const PUB_FLAGS = {
  file: flag('Publish the content of this file as one message; "-" is standard input'),
  count: flag('How often to publish the message [default: 1]'),
  retry: flag(
    'Send messages without an ack again: auto (if the broker stores them once), always, never [default: auto]',
  ),
  json: flagSwitch('Print a line of JSON for each message: subject, guid, bytes'),
  quiet: flagSwitch('Print nothing but errors', ['q']),
  ...ACK_FLAGS,
} as const satisfies Record<string, Options>;

const MAX_COUNT = 1_000_000_000;
/** Limit of publishes that wait for their ack. The connection has its own limit; this one bounds how far ahead input is read. */
const MAX_WAITING = 16_384;

/** `stanchion pub`: publishes an argument, a file, or standard input line by line. */
export function addPubCommand(parser: Argv, onExitCode: (exitCode: number) => void): Argv {
  return parser.command(
    ...COMMAND_NAMES.pub,
    (command) =>
      addClientFlags(command, PUB_FLAGS)
        .positional('subject', { type: 'string', describe: 'Channel' })
        .positional('message', {
          type: 'string',
          describe: 'The message [default: each line of standard input]',
        })
        .example('$0 pub orders "one espresso"', 'one message')
        .example('tail -f app.log | $0 pub logs', 'each line as it arrives')
        .example('$0 pub images --file photo.jpg', 'a file as one message'),
    async (args) => onExitCode(await pub(args)),
  );
}

async function pub(args: Readonly<Record<string, unknown>>): Promise<number> {
  const flags = await clientFlags(args, PUB_FLAGS);
  const subject = channelName(args.subject);
  const file = flags.text('file');
  const count = flags.number('count', 1, 1, MAX_COUNT);
  const retry = { auto: 'auto', always: true, never: false } as const;
  const options = {
    ...connectOptions(flags, 'pub'),
    ackTimeout: ackTimeoutMs(flags),
    retry: retry[flags.oneOf('retry', ['auto', 'always', 'never'], 'auto')],
  };
  const isJson = flags.flag('json');
  const isQuiet = flags.flag('quiet');
  if (isJson && isQuiet)
    throw new ConfigError('--quiet prints nothing, --json a line for each message: give one');
  const text = messageOf(args);
  if (text !== undefined && file !== undefined) throw new ConfigError('give the message or --file, not both');
  if (text === undefined && file === undefined && count > 1)
    throw new ConfigError('--count is for a message or a file: standard input is published once');
  const content = file === undefined ? undefined : await contentOf(file);
  const message = content ?? (text === undefined ? undefined : Buffer.from(text));

  const log = toolLogger();
  const connection = await connect(options);
  try {
    const publisher = new Publisher(connection, subject, isJson);
    // The reader of the guids is gone; the messages are published all the same.
    endQuietlyOnBrokenPipe(() => publisher.stopPrinting());
    let isInterrupted = false;
    onStopSignal(log, () => {
      isInterrupted = true;
      publisher.stop();
    });
    if (message === undefined) await publisher.lines(process.stdin);
    else await publisher.times(message, count);
    await publisher.end();
    if (!isQuiet && !isJson) {
      const { published } = publisher;
      process.stderr.write(
        `published ${published} ${published === 1 ? 'message' : 'messages'} to ${subject}\n`,
      );
    }
    return isInterrupted ? INTERRUPTED : 0;
  } finally {
    await connection.close();
  }
}

/** The message argument. It may also follow `--`, where it may look like a flag. */
function messageOf({ message, _: rest }: Readonly<Record<string, unknown>>): string | undefined {
  const [, behindDashes, ...tooMany] = rest as string[];
  const [surplus] = message === undefined ? tooMany : [behindDashes, ...tooMany];
  if (surplus !== undefined) throw new ConfigError(`unexpected argument "${surplus}": one message at a time`);
  const text = message ?? behindDashes;
  return text === undefined ? undefined : String(text);
}

/** Publishes without waiting for each ack, and stops at the first error. */
class Publisher {
  published = 0;
  readonly #connection: StanConnection;
  readonly #subject: string;
  #isPrinting: boolean;
  #isStopped = false;
  readonly #stopped = new AbortController();
  #waiting = 0;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(connection: StanConnection, subject: string, isJson: boolean) {
    this.#connection = connection;
    this.#subject = subject;
    this.#isPrinting = isJson;
  }

  /** Publishes; waits first while too many messages are without an ack. */
  async publish(data: Buffer): Promise<void> {
    while (this.#waiting >= MAX_WAITING && this.#error === undefined) await this.#change();
    this.#throwError();
    // This may throw, and then there is no ack to wait for.
    this.#connection.publishAsync(this.#subject, data, (error, guid) =>
      this.#onAck(error, guid, data.length),
    );
    this.#waiting++;
  }

  async times(message: Buffer, count: number): Promise<void> {
    for (let i = 0; i < count && !this.#isStopped; i++) await this.publish(message);
  }

  /** @throws Error naming the line that cannot be published; the lines before it are published */
  async lines(input: Readable): Promise<void> {
    const maxBytes = this.#connection.natsConnection.info?.max_payload ?? DEFAULT_PAYLOAD;
    try {
      for await (const line of lines(addAbortSignal(this.#stopped.signal, input), maxBytes))
        await this.publish(line);
    } catch (error) {
      if (this.#isStopped) return;
      await this.end();
      throw this.#withCount(error as Error);
    }
  }

  /** Takes no more messages. `end` waits for those that were taken. */
  stop(): void {
    this.#isStopped = true;
    this.#stopped.abort();
  }

  stopPrinting(): void {
    this.#isPrinting = false;
  }

  /** Waits for all acks. @throws the first error of a publish */
  async end(): Promise<void> {
    while (this.#waiting > 0 && this.#error === undefined) await this.#change();
    this.#throwError();
  }

  #onAck(error: Error | undefined, guid: string, bytes: number): void {
    this.#waiting--;
    if (error === undefined) {
      this.published++;
      if (this.#isPrinting)
        process.stdout.write(`${JSON.stringify({ subject: this.#subject, guid, bytes })}\n`);
    } else {
      this.#error ??= error;
    }
    this.#wake?.();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #throwError(): void {
    if (this.#error !== undefined) throw this.#withCount(this.#error);
  }

  #withCount({ message }: Error): Error {
    return new Error(`${message} (acknowledged before: ${this.published})`);
  }
}

const DEFAULT_PAYLOAD = 1024 * 1024;

async function contentOf(file: string): Promise<Buffer> {
  if (file === '-') return bytesOf(process.stdin);
  return readFile(file).catch((error: Error) => {
    throw new ConfigError(`--file: cannot read ${file}: ${error.message}`);
  });
}
