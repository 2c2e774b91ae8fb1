import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { buffer as bytesOf } from 'node:stream/consumers';
import type { Argv, Options } from 'yargs';
import { ConfigError } from '../config/error.js';
import { connect, type StanConnection } from '../index.js';
import { addClientFlags, clientFlags, connectOptions, flag, flagSwitch } from './client-flags.js';
import { lines } from './lines.js';
import { endQuietlyOnBrokenPipe } from './standard-output.js';

const PUB_FLAGS = {
  file: flag('Publish what is in this file, as one message; "-" is standard input'),
  count: flag('Publish the message so many times [default: 1]'),
  retry: flag(
    'Send again what is not acked: auto (if the broker stores it once), always, never [default: auto]',
  ),
  json: flagSwitch('Print a line of JSON for each message: subject, guid, bytes'),
  quiet: flagSwitch('Print nothing but errors', ['q']),
} as const satisfies Record<string, Options>;

type PubFlag = keyof typeof PUB_FLAGS;

const MAX_COUNT = 1_000_000_000;
/** Publishes that are waited for at once: the connection has its own limit, this one bounds what is read ahead. */
const MAX_WAITING = 16_384;

/** `stanchion pub`: publishes an argument, a file, or standard input line by line. */
export function addPubCommand(parser: Argv, onExitCode: (exitCode: number) => void): Argv {
  return parser.command(
    'pub <subject> [message]',
    'Publish a message, a file, or standard input line by line. Ends when all is acknowledged',
    (command) =>
      addClientFlags(command, PUB_FLAGS)
        .positional('subject', { type: 'string', describe: 'Channel' })
        .positional('message', {
          type: 'string',
          describe: 'The message [default: each line of standard input]',
        })
        .example('$0 pub orders "one espresso"', 'one message')
        .example('tail -f app.log | $0 pub logs', 'each line, as it comes')
        .example('$0 pub images --file photo.jpg', 'a file as one message'),
    async (args) => onExitCode(await pub(args)),
  );
}

async function pub(args: Readonly<Record<string, unknown>>): Promise<number> {
  const flags = clientFlags(args, Object.keys(PUB_FLAGS) as PubFlag[]);
  const subject = String(args.subject);
  const file = flags.text('file');
  const count = flags.number('count', 1, 1, MAX_COUNT);
  const retry = { auto: 'auto', always: true, never: false } as const;
  const options = {
    ...connectOptions(flags, 'pub'),
    retry: retry[flags.oneOf('retry', ['auto', 'always', 'never'], 'auto')],
  };
  const isJson = flags.flag('json');
  const isQuiet = flags.flag('quiet');
  if (args.message !== undefined && file !== undefined)
    throw new ConfigError('give the message or --file, not both');
  if (args.message === undefined && file === undefined && count > 1)
    throw new ConfigError('--count is for a message or a file: standard input is published once');
  const content = file === undefined ? undefined : await contentOf(file);

  endQuietlyOnBrokenPipe();
  const connection = await connect(options);
  try {
    const publisher = new Publisher(connection, subject, isJson);
    const message = content ?? (args.message === undefined ? undefined : Buffer.from(String(args.message)));
    if (message === undefined) await publisher.lines(process.stdin);
    else for (let i = 0; i < count; i++) await publisher.publish(message);
    await publisher.end();
    if (!isQuiet && !isJson) {
      const { published } = publisher;
      process.stderr.write(
        `published ${published} ${published === 1 ? 'message' : 'messages'} to ${subject}\n`,
      );
    }
    return 0;
  } finally {
    await connection.close();
  }
}

/** Publishes without waiting for each ack, and stops at the first error. */
class Publisher {
  published = 0;
  readonly #connection: StanConnection;
  readonly #subject: string;
  readonly #isJson: boolean;
  #waiting = 0;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(connection: StanConnection, subject: string, isJson: boolean) {
    this.#connection = connection;
    this.#subject = subject;
    this.#isJson = isJson;
  }

  /** Waits while too many are not acknowledged. */
  async publish(data: Buffer): Promise<void> {
    while (this.#waiting >= MAX_WAITING && this.#error === undefined) await this.#change();
    this.#throwError();
    this.#waiting++;
    this.#connection.publishAsync(this.#subject, data, (error, guid) =>
      this.#onAck(error, guid, data.length),
    );
  }

  async lines(input: Readable): Promise<void> {
    for await (const line of lines(
      input,
      this.#connection.natsConnection.info?.max_payload ?? DEFAULT_PAYLOAD,
    )) {
      await this.publish(line);
    }
  }

  /** @throws the first error there was */
  async end(): Promise<void> {
    while (this.#waiting > 0 && this.#error === undefined) await this.#change();
    this.#throwError();
  }

  #onAck(error: Error | undefined, guid: string, bytes: number): void {
    this.#waiting--;
    if (error === undefined) {
      this.published++;
      if (this.#isJson) process.stdout.write(`${JSON.stringify({ subject: this.#subject, guid, bytes })}\n`);
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
    if (this.#error !== undefined)
      throw new Error(`${this.#error.message} (${this.published} messages had been acknowledged before)`);
  }
}

const DEFAULT_PAYLOAD = 1024 * 1024;

async function contentOf(file: string): Promise<Buffer> {
  if (file === '-') return bytesOf(process.stdin);
  return readFile(file).catch((error: Error) => {
    throw new ConfigError(`--file: cannot read ${file}: ${error.message}`);
  });
}
