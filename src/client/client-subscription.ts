import {
  decodeSubscriptionResponse,
  encodeSubscriptionRequest,
  encodeUnsubscribeRequest,
} from '../protocol/messages.js';
import { AckEncoder } from './ack-encoder.js';
import { answerProblem } from './answer-problem.js';
import { ask } from './ask-broker.js';
import { ClosedError, InvalidOptionError, reasonOf, StanError, SubscribeError } from './client-errors.js';
import type { Codec } from './codec.js';
import type { StatusFeed } from './connection-status.js';
import { listen, newInbox } from './inbox.js';
import { type Message, type MessageSource, ReceivedMessage } from './message.js';
import type { NatsConnection, NatsSubscription } from './nats-connection.js';
import { say } from './say.js';
import { laterStart, type StartAt, startFields } from './start-at.js';
import type { MessageCallback, ResolvedSubscribeOptions } from './subscribe-options.js';
import { WaitingMessages } from './waiting.js';
import { Wakeup } from './wakeup.js';

/** A subscription: read it by `for await`, unless it has a callback. */
export interface Subscription extends AsyncIterable<Message>, AsyncDisposable {
  readonly subject: string;
  /** '' if it is of no queue group. */
  readonly queue: string;
  /** '' if it is no durable. */
  readonly durable: string;
  /** Ends when it is over: with an error if that was not asked for. */
  readonly closed: Promise<StanError | undefined>;
  isClosed(): boolean;
  /** Messages that have come and wait to be handled. */
  getPending(): number;
  /** Messages that have been handed out. */
  getDelivered(): number;
  /** Ends it. A durable keeps its place. @throws SubscribeError if the server did not take it; without an answer it can be tried again */
  close(): Promise<void>;
  /** Ends it, and a durable for good. @throws SubscribeError if the server did not take it; without an answer it can be tried again */
  unsubscribe(): Promise<void>;
}

/** What a subscription needs of its connection. */
export interface SubscriptionHost {
  readonly nats: NatsConnection;
  readonly clientId: string;
  readonly events: StatusFeed;
  /** For a request to be answered, ms. */
  readonly requestTimeoutMs: number;
  /** In NATS. `subscriptionClose` is '' if the server cannot. */
  readonly subjects: { subscribe: string; unsubscribe: string; subscriptionClose: string };
  /** Whether a request may be sent twice: this broker gives the same answer, others may subscribe twice. */
  readonly canRepeat: boolean;
  /** Whether the connection is there, for all that is known. */
  readonly isOpen: boolean;
  /** Whether the server has forgotten the client, and the connection is about to come back. */
  readonly isResuming: boolean;
  forget(subscription: StanSubscription): void;
}

const REPEAT_MS = 500;
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
  /** Come and not handed out, oldest first. What comes before the subscription is answered waits here too. */
  readonly #waiting = new WaitingMessages();
  #delivered = 0;
  /** The highest that was handed out. */
  #lastSequence = 0;
  #beganMs = 0;
  #isHandling = false;
  #hasReader = false;
  readonly #wakeup = new Wakeup();
  #isClosed = false;
  /** The server has not answered that it is over. */
  #isUnanswered = false;
  /** It is being resumed. */
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
      // The server has forgotten it, and is not told of it again.
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
   * Messages in order. In auto mode each is acked when the next one is asked for, or by `ack()`; what is being handled when the
   * loop is left is not acked and comes again.
   */
  [Symbol.asyncIterator](): AsyncIterator<Message> {
    if (this.#options.callback !== undefined)
      throw new InvalidOptionError('the subscription has a callback', 'Use it, or subscribe without one');
    if (this.#hasReader)
      throw new InvalidOptionError('the subscription is being read already', 'Subscribe once per loop');
    this.#hasReader = true;
    let last: Message | undefined;
    /** Calls of `next` that wait. */
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
              // The next one has been asked for already.
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

  /** The highest sequence that was handed out; 0 if there was none. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** The server has forgotten it, and the connection is there again. @throws SubscribeError */
  async resume(): Promise<void> {
    this.#nats?.unsubscribe();
    this.#ackInbox = '';
    // They come again, and can no longer be acked.
    this.#waiting.clear();
    this.#resuming = this.#subscribe(this.#laterStart());
    try {
      await this.#resuming;
    } finally {
      this.#resuming = undefined;
    }
  }

  /** It is over, without the server. */
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
    // An end without a message is what the callback's type says.
    if (callback !== undefined) void this.#call(callback, error, undefined as never);
  }

  async #subscribe(startAt: StartAt): Promise<void> {
    const { subject, queue, durable } = this;
    const { nats, clientId, subjects, requestTimeoutMs, canRepeat } = this.#host;
    const { maxInFlight, ackWaitSeconds } = this.#options;
    const inbox = newInbox(nats);
    const natsSubscription = listen(nats, inbox, (error, { data }) => {
      if (error === null) this.#onMessage(data);
    });
    this.#nats = natsSubscription;
    const payload = encodeSubscriptionRequest({
      clientId,
      subject,
      queueGroup: queue,
      inbox,
      maxInFlight,
      ackWaitSeconds,
      durableName: durable,
      ...startFields(startAt),
    });
    const answer = await ask(nats, subjects.subscribe, payload, {
      timeout: requestTimeoutMs,
      ...(canRepeat && { repeatMs: REPEAT_MS }),
    }).catch((cause: unknown) => {
      natsSubscription.unsubscribe();
      throw cause;
    });
    const problem = answerProblem(answer, `the subscription to "${subject}"`, requestTimeoutMs);
    if (problem !== undefined) {
      natsSubscription.unsubscribe();
      if (answer === undefined) this.#takeBack(inbox);
      throw problem;
    }
    this.#ackInbox = decodeSubscriptionResponse(answer!).ackInbox;
    const { callback } = this.#options;
    if (this.#isClosed) natsSubscription.unsubscribe();
    else if (callback !== undefined && !this.#isHandling) this.#handle(callback);
  }

  /** The place of one that is not durable is known here only. */
  #laterStart(): StartAt {
    return this.#lastSequence > 0
      ? { sequence: this.#lastSequence + 1 }
      : laterStart(this.#options.startAt, performance.now() - this.#beganMs);
  }

  /**
   * The request may still be answered, to nobody: a durable would then be in use until the connection is closed. Servers find a
   * subscription by its inbox too.
   */
  #takeBack(inbox: string): void {
    const { nats, clientId, subjects, requestTimeoutMs, canRepeat } = this.#host;
    if (subjects.subscriptionClose === '') return;
    const payload = encodeUnsubscribeRequest({ clientId, subject: this.subject, inbox });
    ask(nats, subjects.subscriptionClose, payload, {
      timeout: requestTimeoutMs,
      ...(canRepeat && { repeatMs: REPEAT_MS }),
    }).catch(() => {
      // NATS is closed, and with it everything that is the client's.
    });
  }

  get codec(): Codec<unknown> {
    return this.#options.codec;
  }

  /** For its messages. */
  ack(sequence: number): void {
    // After the end nobody takes it, and the message comes again to whoever subscribes next.
    if (!this.#isClosed) say(this.#host.nats, this.#ackInbox, this.#acks.encode(sequence));
  }

  #onMessage(data: Uint8Array): void {
    if (this.#isClosed) return;
    const message = ReceivedMessage.from(this, data);
    if (message === undefined) return;
    // It waited too long here, and came again: once is enough.
    if (message.redelivered && this.#waiting.has(message.sequence)) return;
    const { callback, maxInFlight } = this.#options;
    if (callback === undefined || this.#isHandling || this.#ackInbox === '') {
      // The server has given up the oldest: the limits of the channel have removed them.
      if (this.#waiting.length >= 2 * maxInFlight) this.#waiting.shift();
      this.#waiting.push(message);
      this.#wakeup.wake();
    } else this.#handle(callback, message);
  }

  /** A message is handed out. */
  #count({ sequence }: Message): void {
    this.#delivered++;
    if (sequence > this.#lastSequence) this.#lastSequence = sequence;
  }

  /** One message after the other, without waiting where the callback does not. */
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

  /** @returns whether it ended without an error */
  #call(
    callback: MessageCallback,
    error: StanError | undefined,
    message: Message,
  ): boolean | Promise<boolean> {
    try {
      const result: unknown = callback(error, message);
      // Whatever can be awaited: some have promises of their own, and some begin only then.
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
        hint: 'The message is not acked and comes again after ackWait',
        cause: thrown,
      },
    );
    this.#host.events.tell({ type: 'error', error });
    return false;
  }

  async #leave(subject: string): Promise<void> {
    const { nats, clientId, requestTimeoutMs, canRepeat } = this.#host;
    if (this.#isClosed && !(this.#isUnanswered && this.#host.isOpen))
      throw new ClosedError(`the subscription to "${this.subject}" is closed`, 'SUBSCRIPTION_CLOSED');
    const startMs = performance.now();
    const wasUnanswered = this.#isUnanswered;
    this.#isUnanswered = false;
    this.end(undefined);
    await this.#resuming?.catch(() => {});
    const inbox = this.#ackInbox;
    const payload = encodeUnsubscribeRequest({ clientId, subject: this.subject, inbox });
    const answer = await ask(nats, subject, payload, {
      timeout: requestTimeoutMs,
      ...(canRepeat && { repeatMs: REPEAT_MS }),
    });
    this.#isUnanswered = answer === undefined;
    const wasRepeated = wasUnanswered || (canRepeat && performance.now() - startMs >= REPEAT_MS);
    const problem = answerProblem(
      answer,
      `the end of the subscription to "${this.subject}"`,
      requestTimeoutMs,
    );
    // The first try has ended it, and its answer was lost.
    if (wasRepeated && problem?.serverText === INVALID_SUBSCRIPTION) return;
    if (problem !== undefined) throw problem;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function';
}
