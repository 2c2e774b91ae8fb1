import { setTimeout as pause } from 'node:timers/promises';
import { StanError, type StanErrorCode } from '../../client/client-errors.js';
import { type Message, ReceivedMessage } from '../../client/message.js';
import type { StanConnection } from '../../client/stan-connection.js';
import type { StartAt } from '../../client/start-at.js';
import { assert } from '../../util/assert.js';
import { SourceError } from '../types/source-error.js';

export interface CopyOptions {
  connection: StanConnection;
  channel: string;
  /** Messages that may be without an ack. */
  maxInFlight: number;
  /** Ends the copy, as if it had come to its end. */
  stop: AbortSignal;
  /** Gets each message once, in order. A promise is waited for. */
  onMessage(encoded: Uint8Array, sequence: number, timestampNs: bigint): Promise<void> | undefined;
  /** Whether the server has a message behind this one. It is asked before a copy ends short of its end. */
  hasMore(after: number): Promise<boolean>;
  /** Called when all messages up to the newest have been read, and there will be more. */
  onCaughtUp?: () => void;
}

/** After twice as long without a message it is looked whether there are any more. */
const IDLE_MS = 1_500;
const RETRY_MS = 1_000;
/** How often in a row the server may have messages and give none. */
const MAX_FRUITLESS = 10;
/** What passes when the server, or the connection, is back. */
const PASSING: ReadonlySet<StanErrorCode> = new Set([
  'REQUEST_TIMEOUT',
  'CONNECTION_LOST',
  'CONNECT_TIMEOUT',
]);
const ACK_WAIT_MS = 30_000;

/**
 * Reads a channel from its oldest message on, by a subscription that leaves nothing behind. Each message is acknowledged when it has been
 * taken. One that is missing may have been lost on its way: then another subscription begins at it, and shows whether the server has it.
 */
export class ChannelCopy {
  /** Sequence of the newest message that was taken; 0 if none was. */
  last = 0;
  first = 0;
  messages = 0;
  readonly #options: CopyOptions;

  constructor(options: CopyOptions) {
    this.#options = options;
  }

  /**
   * Reads until message `end` was taken, or the server has no more up to there.
   *
   * @param end asked again and again; Infinity for now to go on with what comes
   */
  async run(end: () => number): Promise<void> {
    const { stop, hasMore, channel } = this.#options;
    let fruitless = 0;
    // What the last subscription was begun for, and did not give: the server does not have it.
    let sought = 0;
    while (this.last < end() && !stop.aborted) {
      try {
        const before = this.last;
        const outcome = await this.#subscribe(end, sought);
        if (outcome !== 'end') {
          sought = outcome;
          continue;
        }
        // A server that hangs gives nothing either, and that is no end.
        if (this.last >= end() || stop.aborted || !(await hasMore(this.last))) return;
        fruitless = this.last > before ? 0 : fruitless + 1;
        if (fruitless >= MAX_FRUITLESS)
          throw new SourceError(
            'damaged',
            `channel ${channel}: the server has messages behind ${this.last}, and does not deliver them`,
          );
        sought = 0;
      } catch (error) {
        if (!isPassing(error)) throw error;
        // The server does not answer. It goes on where it was when there is an answer again.
        await pause(RETRY_MS, undefined, { signal: stop }).catch(() => {});
      }
    }
  }

  /**
   * Reads by one subscription.
   *
   * @param sought the sequence that it is begun for; what is missing before its first message is no loss on the way
   * @returns the sequence that the next one is to begin at, because it is missing
   */
  async #subscribe(end: () => number, sought: number): Promise<number | 'end'> {
    const { connection, channel, maxInFlight, stop, onMessage, onCaughtUp } = this.#options;
    const due = this.last + 1;
    const startAt: StartAt = this.last === 0 ? 'all' : { sequence: due };
    let isOver = false;
    let resolveEnd: (outcome: number | 'end') => void = () => {};
    let rejectEnd: (error: Error) => void = () => {};
    const ended = new Promise<number | 'end'>((resolve, reject) => {
      resolveEnd = resolve;
      rejectEnd = reject;
    });
    // It may fail while the subscription is being made.
    ended.catch(() => {});
    let isTaking = false;
    let isFirst = true;
    let isIdle = false;
    const finish = (outcome: number | 'end'): void => {
      isOver = true;
      resolveEnd(outcome);
    };
    const fail = (error: Error): void => {
      isOver = true;
      rejectEnd(error);
    };
    const taken = (message: Message): void => {
      const { sequence } = message;
      if (sequence > this.last) {
        if (this.messages === 0) this.first = sequence;
        this.last = sequence;
        this.messages++;
      }
      message.ack();
      if (this.last >= end()) finish('end');
    };
    const onNext = (error: StanError | undefined, message: Message): void | Promise<void> => {
      if (isOver) return;
      if (error !== undefined) {
        fail(error);
        return;
      }
      const { sequence, timestampNanos } = message;
      isIdle = false;
      const missing = this.last + 1;
      if (sequence > missing && this.last > 0 && !(isFirst && sought === missing)) {
        finish(missing);
        return;
      }
      isFirst = false;
      const taking =
        sequence > this.last ? onMessage(encodedOf(message), sequence, timestampNanos) : undefined;
      if (taking === undefined) return taken(message);
      isTaking = true;
      return taking
        .then(() => taken(message), fail)
        .finally(() => {
          isTaking = false;
        });
    };
    const onIdle = (): void => {
      if (isOver || isTaking) return;
      if (this.last >= end()) {
        finish('end');
        return;
      }
      if (!isIdle) {
        isIdle = true;
        return;
      }
      isIdle = false;
      onCaughtUp?.();
      if (end() === Number.POSITIVE_INFINITY) return;
      // The second subscription that gets nothing: there is nothing more.
      finish(isFirst && sought === due ? 'end' : this.last + 1);
    };
    const onStop = (): void => finish('end');
    const options = { startAt, manualAck: true, maxInFlight, ackWait: ACK_WAIT_MS, callback: onNext };
    const subscription = await connection.subscribe(channel, options);
    const timer = setInterval(onIdle, IDLE_MS);
    stop.addEventListener('abort', onStop, { once: true });
    try {
      return await ended;
    } finally {
      clearInterval(timer);
      stop.removeEventListener('abort', onStop);
      await subscription.close().catch(() => subscription.unsubscribe().catch(() => {}));
    }
  }
}

/** Whether an error goes when the server, or the connection, is back. */
export function isPassing(error: unknown): boolean {
  if (error instanceof SourceError) return error.code === 'connection';
  return error instanceof StanError && PASSING.has(error.code);
}

function encodedOf(message: Message): Uint8Array {
  assert(message instanceof ReceivedMessage, 'a message that was received has its bytes');
  return message.encoded;
}
