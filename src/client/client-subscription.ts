// One subscription of the client library: the messages on their way to the program, and their acks.

import { AckEncoder } from './ack-encoder.js';
import { answerProblem } from './answer-problem.js';
import { ClosedError, InvalidOptionError, reasonOf, StanError, SubscribeError } from './client-errors.js';
import type { Codec } from './codec.js';
import type { StatusFeed } from './connection-status.js';
import { listen, newInbox } from './inbox.js';
import { type Message, type MessageSource, ReceivedMessage } from './message.js';
import type { NatsSubscription } from './nats-connection.js';
import { publishIfOpen } from './publish-if-open.js';
import { laterStart, type StartAt, startFields } from './start-at.js';
import type { MessageCallback, ResolvedSubscribeOptions } from './subscribe-options.js';
import type { Subscription } from './subscription.js';
import { REPEAT_MS, type RequestHost, requestEnd, requestSubscription } from './subscription-requests.js';
import { WaitingMessages } from './waiting-messages.js';
import { Wakeup } from './wakeup.js';

/** The connection, as a subscription sees it. */
export interface SubscriptionHost extends RequestHost {
  readonly events: StatusFeed;
  /** Whether the connection is open, as far as is known. */
  readonly isOpen: boolean;
  /** Whether the server has forgotten the client, and the connection is being resumed. */
  readonly isResuming: boolean;
  forget(subscription: StanSubscription): void;
}

const INVALID_SUBSCRIPTION = 'stan: invalid subscription';

export class StanSubscription implements Subscription, MessageSource {
  readonly subject: string;
  readonly queue: string;
  readonly durable: string;
  readonly closed: Promise<StanError | undefined>;
  readonly #host: SubscriptionHost;
  readonly #options: ResolvedSubscribeOptions;
  readonly #acks: AckEncoder;
  #nats: NatsSubscription | undefined;
  #ackInbox = '';
  /** Received messages that are not handled yet, also those that arrive before the subscription is answered. */
  readonly #waiting = new WaitingMessages();
  #delivered = 0;
  /** The highest sequence that the program has received. */
  #lastSequence = 0;
  #beganMs = 0;
  #isHandling = false;
  #hasReader = false;
  readonly #wakeup = new Wakeup();
  #isClosed = false;
  /** The server has not answered the last request to end it. */
  #isUnanswered = false;
  /** Set while the subscription is being resumed. */
  #resuming: Promise<void> | undefined;
  #error: StanError | undefined;
  #onClosed!: (error: StanError | undefined) => void;

  private constructor(host: SubscriptionHost, subject: string, options: ResolvedSubscribeOptions) {
    this.#host = host;
    this.#options = options;
    this.subject = subject;
    this.queue = options.queue;
    this.durable = options.durable;
    this.#acks = new AckEncoder(subject);
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve;
    });
  }

  /** @throws SubscribeError if the server refuses, or does not answer */
  static async open(
    host: SubscriptionHost,
    subject: string,
    options: ResolvedSubscribeOptions,
  ): Promise<StanSubscription> {
    const subscription = new StanSubscription(host, subject, options);
    subscription.#beganMs = performance.now();
    await subscription.#subscribe(options.startAt);
    return subscription;
  }

  isClosed(): boolean {
    return this.#isClosed;
  }

  getPending(): number {
    return this.#waiting.length;
  }

  getDelivered(): number {
    return this.#delivered;
  }

  close(): Promise<void> {
    const { subscriptionClose } = this.#host.subjects;
    if (subscriptionClose === '') {
      return Promise.reject(
        new SubscribeError(`the subscription to "${this.subject}" cannot be closed: this server is too old`, {
          code: 'SUBSCRIBE_REFUSED',
          hint: 'Use unsubscribe(), which ends a durable for good, or close the connection',
        }),
      );
    }
    if (this.#host.isResuming && !this.#isClosed && this.#resuming === undefined) {
      // The server has forgotten the subscription, and does not get it again.
      this.end(undefined);
      return Promise.resolve();
    }
    return this.#leave(subscriptionClose);
  }

  unsubscribe(): Promise<void> {
    return this.#leave(this.#host.subjects.unsubscribe);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isClosed) await this.close();
  }

  /**
   * Gives the messages in order. Without `manualAck` a message is acked when the next one is asked for, or by `ack()`. The message
   * in hand when the loop is left is not acked, and is redelivered.
   */
  [Symbol.asyncIterator](): AsyncIterator<Message> {
    if (this.#options.callback !== undefined)
      throw new InvalidOptionError('the subscription has a callback', 'Use it, or subscribe without one');
    if (this.#hasReader)
      throw new InvalidOptionError('the subscription is being read already', 'Subscribe once per loop');
    this.#hasReader = true;
    let last: Message | undefined;
    /** How many calls of `next` are waiting. */
    let asking = 0;
    const ackLast = (): void => {
      if (!this.#options.manualAck) last?.ack();
      last = undefined;
    };
    return {
      next: async () => {
        ackLast();
        asking++;
        try {
          for (;;) {
            const message = this.#isClosed ? undefined : this.#waiting.shift();
            if (message !== undefined) {
              this.#count(message);
              last = message;
              // The next message has been asked for already.
              if (asking > 1) ackLast();
              return { done: false, value: message };
            }
            if (this.#error !== undefined) throw this.#error;
            if (this.#isClosed) return { done: true, value: undefined };
            await this.#wakeup.wait();
          }
        } finally {
          asking--;
        }
      },
      return: async () => {
        this.#hasReader = false;
        if (!this.#isClosed) await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  /** The highest sequence that the program has received; 0 if there was none. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Subscribes again after the server has forgotten the client. @throws SubscribeError */
  async resume(): Promise<void> {
    this.#nats?.unsubscribe();
    this.#ackInbox = '';
    // They will be redelivered, and can no longer be acked.
    this.#waiting.clear();
    this.#resuming = this.#subscribe(this.#laterStart());
    try {
      await this.#resuming;
    } finally {
      this.#resuming = undefined;
    }
  }

  /** Ends the subscription without a request to the server. */
  end(error: StanError | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#error = error;
    this.#nats?.unsubscribe();
    this.#waiting.clear();
    this.#host.forget(this);
    this.#wakeup.wake();
    this.#onClosed(error);
    if (error === undefined) return;
    const { callback } = this.#options;
    // The callback's type documents that there is no message with an error.
    if (callback !== undefined) void this.#call(callback, error, undefined as never);
  }

  async #subscribe(startAt: StartAt): Promise<void> {
    const { subject, queue, durable } = this;
    const { nats } = this.#host;
    const { maxInFlight, ackWaitSeconds } = this.#options;
    const inbox = newInbox(nats);
    const natsSubscription = listen(nats, inbox, (error, { data }) => {
      if (error === null) this.#onMessage(data);
    });
    this.#nats = natsSubscription;
    this.#ackInbox = await requestSubscription(this.#host, {
      subject,
      queueGroup: queue,
      inbox,
      maxInFlight,
      ackWaitSeconds,
      durableName: durable,
      ...startFields(startAt),
    }).catch((cause: unknown) => {
      natsSubscription.unsubscribe();
      throw cause;
    });
    const { callback } = this.#options;
    if (this.#isClosed) natsSubscription.unsubscribe();
    else if (callback !== undefined && !this.#isHandling) this.#handle(callback);
  }

  /** Where to begin again. Only the client knows the position of a subscription that is not durable. */
  #laterStart(): StartAt {
    return this.#lastSequence > 0
      ? { sequence: this.#lastSequence + 1 }
      : laterStart(this.#options.startAt, performance.now() - this.#beganMs);
  }

  get codec(): Codec<unknown> {
    return this.#options.codec;
  }

  /** Acknowledges a message. */
  ack(sequence: number): void {
    // After the end of the subscription an ack has no effect, and the message is redelivered to the next subscriber.
    if (!this.#isClosed) publishIfOpen(this.#host.nats, this.#ackInbox, this.#acks.encode(sequence));
  }

  #onMessage(data: Uint8Array): void {
    if (this.#isClosed) return;
    const message = ReceivedMessage.from(this, data);
    if (message === undefined) return;
    // A message that waits here longer than its ack wait is redelivered: the program gets it once.
    if (message.redelivered && this.#waiting.has(message.sequence)) return;
    const { callback, maxInFlight } = this.#options;
    if (callback === undefined || this.#isHandling || this.#ackInbox === '') {
      // More than maxInFlight wait only if the limits of the channel have removed the oldest at the server.
      if (this.#waiting.length >= 2 * maxInFlight) this.#waiting.shift();
      this.#waiting.push(message);
      this.#wakeup.wake();
    } else this.#handle(callback, message);
  }

  /** Counts a message that the program receives. */
  #count({ sequence }: Message): void {
    this.#delivered++;
    if (sequence > this.#lastSequence) this.#lastSequence = sequence;
  }

  /** Handles waiting messages one at a time, and waits only if the callback returns a promise. */
  #handle(callback: MessageCallback, first = this.#waiting.shift()): void {
    this.#isHandling = true;
    for (let message = first; message !== undefined; message = this.#waiting.shift()) {
      this.#count(message);
      const isHandled = this.#call(callback, undefined, message);
      if (typeof isHandled !== 'boolean') {
        void this.#goOn(callback, message, isHandled);
        return;
      }
      if (isHandled && !this.#options.manualAck) message.ack();
    }
    this.#isHandling = false;
  }

  async #goOn(callback: MessageCallback, message: Message, isHandled: Promise<boolean>): Promise<void> {
    if ((await isHandled) && !this.#options.manualAck) message.ack();
    this.#handle(callback);
  }

  /** @returns whether the callback ended without an error */
  #call(
    callback: MessageCallback,
    error: StanError | undefined,
    message: Message,
  ): boolean | Promise<boolean> {
    try {
      const result: unknown = callback(error, message);
      // Any thenable is awaited: some libraries have promises of their own, which may begin only then.
      if (!isThenable(result)) return true;
      return Promise.resolve(result).then(
        () => true,
        (thrown: unknown) => this.#onCallbackError(thrown, message),
      );
    } catch (thrown) {
      return this.#onCallbackError(thrown, message);
    }
  }

  #onCallbackError(thrown: unknown, message: Message | undefined): false {
    const which = message === undefined ? '' : ` with message ${message.sequence}`;
    const error = new StanError(
      `the callback of the subscription to "${this.subject}" failed${which}: ${reasonOf(thrown)}`,
      {
        code: 'CALLBACK_FAILED',
        hint: 'The message is not acked, and is redelivered after ackWait',
        cause: thrown,
      },
    );
    this.#host.events.emit({ type: 'error', error });
    return false;
  }

  async #leave(to: string): Promise<void> {
    const { requestTimeoutMs, canRepeat } = this.#host;
    if (this.#isClosed && !(this.#isUnanswered && this.#host.isOpen))
      throw new ClosedError(`the subscription to "${this.subject}" is closed`, 'SUBSCRIPTION_CLOSED');
    const startMs = performance.now();
    const wasUnanswered = this.#isUnanswered;
    this.#isUnanswered = false;
    this.end(undefined);
    await this.#resuming?.catch(() => {});
    const answer = await requestEnd(this.#host, to, this.subject, this.#ackInbox);
    this.#isUnanswered = answer === undefined;
    const wasRepeated = wasUnanswered || (canRepeat && performance.now() - startMs >= REPEAT_MS);
    const problem = answerProblem(
      answer,
      `the end of the subscription to "${this.subject}"`,
      requestTimeoutMs,
    );
    // The first request has ended the subscription, and its answer was lost.
    if (wasRepeated && problem?.serverText === INVALID_SUBSCRIPTION) return;
    if (problem !== undefined) throw problem;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function';
}
