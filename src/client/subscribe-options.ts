import { InvalidOptionError, type StanError } from './client-errors.js';
import type { Codec } from './codec.js';
import {
  checkBoolean,
  checkCodec,
  checkNames,
  checkNumber,
  checkObject,
  checkText,
  quote,
} from './connect-options.js';
import type { Message } from './message.js';
import { type StartAt, startFields } from './start-at.js';

/**
 * Handles messages one at a time: the next call waits for the promise of the last. Without `manualAck` a message is acked when the
 * callback has ended without an error.
 *
 * @param error set in the last call if an error has ended the subscription; then there is no message
 */
export type MessageCallback = (error: StanError | undefined, message: Message) => void | Promise<void>;

/** All times are in milliseconds. */
export interface SubscribeOptions {
  /** Queue group: each message goes to one of its members. */
  queue?: string;
  /** Name under which the server keeps the position of a closed subscription. With `queue`, this is a durable queue group. */
  durable?: string;
  /** Where the subscription begins [new]. An existing durable resumes from its position instead. */
  startAt?: StartAt;
  /** Whether the program calls `ack()` for each message [false: the library acks it after it was handled]. */
  manualAck?: boolean;
  /** A message without an ack is redelivered after this time, rounded up to whole seconds [30,000]. */
  ackWait?: number;
  /** How many messages may be without an ack; no more are delivered meanwhile [1,024]. */
  maxInFlight?: number;
  /** Handles the messages. Without it the program reads them by `for await`. */
  callback?: MessageCallback;
  /** The codec for `decode` of its messages [that of the connection]. */
  codec?: Codec<unknown>;
}

export interface ResolvedSubscribeOptions {
  readonly queue: string;
  readonly durable: string;
  readonly startAt: StartAt;
  readonly manualAck: boolean;
  readonly ackWaitSeconds: number;
  readonly maxInFlight: number;
  readonly callback: MessageCallback | undefined;
  readonly codec: Codec<unknown>;
}

const NAMES: Readonly<Record<keyof SubscribeOptions, true>> = {
  queue: true,
  durable: true,
  startAt: true,
  manualAck: true,
  ackWait: true,
  maxInFlight: true,
  callback: true,
  codec: true,
};
const SUBSCRIBE_NAMES: ReadonlySet<string> = new Set(Object.keys(NAMES));

const ACK_WAIT_MS = 30_000;
const MAX_INT32 = 2 ** 31 - 1;

/** @throws InvalidOptionError naming the first invalid option */
export function resolveSubscribeOptions(
  options: SubscribeOptions,
  defaultCodec: Codec<unknown>,
): ResolvedSubscribeOptions {
  checkObject('the options of subscribe', options);
  checkNames('subscribe', options, SUBSCRIBE_NAMES);
  const {
    queue = '',
    durable = '',
    startAt = 'new',
    manualAck = false,
    ackWait = ACK_WAIT_MS,
    maxInFlight = 1_024,
    callback,
    codec = defaultCodec,
  } = options;
  checkText('queue', queue);
  checkText('durable', durable);
  startFields(startAt);
  checkBoolean('manualAck', manualAck);
  checkNumber('ackWait', ackWait, 1_000, MAX_INT32);
  checkNumber('maxInFlight', maxInFlight, 1, MAX_INT32);
  if (callback !== undefined && typeof callback !== 'function')
    throw new InvalidOptionError(`callback ${quote(callback)} cannot be`, 'It is a function');
  checkCodec(codec);
  if (queue !== '' && durable.includes(':'))
    throw new InvalidOptionError(
      `durable ${quote(durable)} cannot be`,
      'The name of a durable queue group has no ":"',
    );
  return {
    queue,
    durable,
    startAt,
    manualAck,
    ackWaitSeconds: Math.ceil(ackWait / 1_000),
    maxInFlight,
    callback,
    codec,
  };
}
