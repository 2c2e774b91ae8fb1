import { setTimeout as sleep } from 'node:timers/promises';
import { STAN_ERROR } from '../protocol/error-texts.js';
import { onAbort } from './aborts.js';
import { ClosedError, ConnectionLostError, InvalidOptionError, StanError } from './client-errors.js';
import { StanSubscription, type Subscription, type SubscriptionHost } from './client-subscription.js';
import { type Codec, encodeWith } from './codec.js';
import { checkNames, checkObject, quote, type ResolvedOptions } from './connect-options.js';
import { type Status, StatusFeed } from './connection-status.js';
import type { NatsConnection } from './nats-connection.js';
import { watchNats } from './nats-watch.js';
import type { OnAck } from './pending.js';
import { checkChannelName } from './pub-encoder.js';
import { Publisher } from './publisher.js';
import { Session } from './session.js';
import { resolveSubscribeOptions, type SubscribeOptions } from './subscribe-options.js';

/** Of one publish. */
export interface PublishOptions {
  /** Instead of the connection's. */
  codec?: Codec<unknown>;
  /** Stops waiting. The message may be stored all the same. */
  signal?: AbortSignal;
}

/** A connection to a broker, or to whichever of a group is active. */
export interface StanConnection extends AsyncDisposable {
  readonly clusterId: string;
  readonly clientId: string;
  /** What it goes over. */
  readonly natsConnection: NatsConnection;
  /**
   * Publishes, and waits for the ack. Waits also while too many are without one.
   *
   * @param data bytes and strings go as they are, everything else through the codec (JSON)
   * @returns the guid of the message
   * @throws PublishError; AckTimeoutError if no ack came in time; ConnectionLostError; ClosedError; InvalidOptionError
   */
  publish(subject: string, data?: unknown, options?: PublishOptions): Promise<string>;
  /**
   * Publishes without waiting. Messages leave in the order of the calls.
   *
   * @param onAck called once, never before this returns
   * @returns the guid
   * @throws StanError if the message cannot be sent at all: a bad subject, too large, a closed connection
   */
  publishAsync(subject: string, data: unknown, onAck: OnAck): string;
  /** @throws SubscribeError if the server refuses or does not answer; InvalidOptionError */
  subscribe(subject: string, options?: SubscribeOptions): Promise<Subscription>;
  /** Ends when all that was published until now is acked, or has failed. */
  flush(): Promise<void>;
  /**
   * Waits for acks (up to the connect timeout), ends the subscriptions, keeps durables, and leaves. Idempotent.
   *
   * @throws StanError if the server did not take it; with `allowCloseRetry` it can be called again if there was no answer
   */
  close(): Promise<void>;
  /** Ends when the connection does: with an error if that was not asked for. */
  closed(): Promise<StanError | undefined>;
  isClosed(): boolean;
  /** What happens from now on. */
  status(): AsyncIterable<Status>;
}

const FIRST_RESUME_MS = 100;
const MAX_RESUME_MS = 5_000;
const RESUME_JITTER = 0.2;

export class Connection implements StanConnection {
  readonly clusterId: string;
  readonly clientId: string;
  readonly natsConnection: NatsConnection;
  readonly #options: ResolvedOptions;
  readonly #events = new StatusFeed();
  readonly #session: Session;
  #publisher!: Publisher;
  readonly #host: SubscriptionHost;
  readonly #subscriptions = new Set<StanSubscription>();
  #unwatchNats = (): void => {};
  #resuming: Promise<void> | undefined;
  /** The server has it registered, for all that is known. */
  #isRegistered = true;
  readonly #ending = new AbortController();
  #closing: Promise<void> | undefined;
  /** Nothing is published or received any more. */
  #isStopped = false;
  #isClosed = false;
  readonly #closed: Promise<StanError | undefined>;
  #onClosed!: (error: StanError | undefined) => void;

  private constructor(nats: NatsConnection, options: ResolvedOptions) {
    this.natsConnection = nats;
    this.#options = options;
    this.clusterId = options.clusterId;
    this.clientId = options.clientId;
    this.#closed = new Promise((resolve) => {
      this.#onClosed = resolve;
    });
    this.#session = new Session(nats, options, (what, serverText) => this.#lost(what, serverText));
    this.#host = this.#newHost();
  }

  static async open(nats: NatsConnection, options: ResolvedOptions): Promise<Connection> {
    const connection = new Connection(nats, options);
    const session = connection.#session;
    try {
      await session.register();
    } catch (error) {
      session.end();
      throw error;
    }
    connection.#publisher = new Publisher(nats, options, connection.#events, session.newEncoder());
    connection.#publisher.canRetry = connection.#canRetry;
    session.startPings();
    connection.#watchNats();
    return connection;
  }

  publish(subject: string, data?: unknown, options: PublishOptions = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      const { codec = this.#options.codec, signal } = checkPublishOptions(options);
      if (signal?.aborted) throw aborted(subject, signal);
      const bytes = encodeWith(codec, data);
      this.#checkOpen();
      // Not before the message is on its way: what cannot be sent leaves nothing behind.
      let endAbort: (() => void) | undefined;
      this.#publisher.publish(subject, bytes, (error, guid) => {
        endAbort?.();
        if (error === undefined) resolve(guid);
        else reject(error);
      });
      if (signal !== undefined) endAbort = onAbort(signal, () => reject(aborted(subject, signal)));
    });
  }

  publishAsync(subject: string, data: unknown, onAck: OnAck): string {
    if (typeof onAck !== 'function')
      throw new InvalidOptionError(`onAck ${quote(onAck)} cannot be`, 'It is a function');
    this.#checkOpen();
    return this.#publisher.publish(subject, encodeWith(this.#options.codec, data), onAck);
  }

  async subscribe(subject: string, options: SubscribeOptions = {}): Promise<Subscription> {
    this.#checkOpen();
    checkChannelName(subject);
    const resolved = resolveSubscribeOptions(options, this.#options.codec);
    if (this.#resuming !== undefined) {
      await this.#resuming;
      this.#checkOpen();
    }
    const subscription = await StanSubscription.open(this.#host, subject, resolved);
    if (this.#isStopped) {
      subscription.end(undefined);
      this.#checkOpen();
    }
    this.#subscriptions.add(subscription);
    return subscription;
  }

  flush(): Promise<void> {
    return this.#publisher.flushed();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  closed(): Promise<StanError | undefined> {
    return this.#closed;
  }

  isClosed(): boolean {
    return this.#isClosed;
  }

  status(): AsyncIterable<Status> {
    return this.#events.read();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #canRetry(): boolean {
    const { retry } = this.#options;
    return retry === 'auto' ? this.#session.canRepeat : retry;
  }

  #newHost(): SubscriptionHost {
    const connection = this;
    const session = this.#session;
    return {
      nats: this.natsConnection,
      clientId: this.clientId,
      events: this.#events,
      requestTimeoutMs: this.#options.connectTimeout,
      get subjects() {
        return session.subjects;
      },
      get canRepeat() {
        return session.canRepeat;
      },
      get isOpen() {
        return connection.#isOpen;
      },
      get isResuming() {
        return connection.#resuming !== undefined;
      },
      forget: (subscription) => this.#subscriptions.delete(subscription),
    };
  }

  #checkOpen(): void {
    if (!this.#isOpen) throw new ClosedError(`the connection of client "${this.clientId}" is closed`);
  }

  #lost(what: string, serverText: string | undefined): void {
    if (this.#isClosed || this.#resuming !== undefined || this.#closing !== undefined) return;
    const error = new ConnectionLostError(
      what,
      'Connect again, or use the option resume. What had no ack may be stored or not',
      serverText,
    );
    this.#events.tell({ type: 'connectionLost', error });
    if (!this.#options.resume) {
      void this.#end(error);
      return;
    }
    this.#session.stopPings();
    this.#publisher.hold(error.message);
    this.#isRegistered = false;
    this.#resuming = this.#resume(error).finally(() => {
      this.#resuming = undefined;
      if (this.#isOpen) this.#events.tell({ type: 'resumed' });
    });
  }

  get #isOpen(): boolean {
    return !this.#isStopped && this.#closing === undefined;
  }

  /** Registers again, with the subscriptions, as often as it takes. */
  async #resume(lost: ConnectionLostError): Promise<void> {
    const missing = new Set<StanSubscription>();
    let isSameSession = true;
    let waitMs = FIRST_RESUME_MS;
    while (this.#isOpen) {
      try {
        await this.#session.register();
        this.#isRegistered = true;
        // A server that still knows the client has its subscriptions too.
        if (!this.#session.isSame) {
          isSameSession = false;
          for (const subscription of this.#subscriptions) missing.add(subscription);
        }
        await this.#resumeSubscriptions(missing);
        break;
      } catch (error) {
        if (this.natsConnection.isClosed()) return;
        this.#events.tell({ type: 'error', error: error as StanError });
      }
      await pause(waitMs * (1 + RESUME_JITTER * (2 * Math.random() - 1)), this.#ending.signal);
      waitMs = Math.min(MAX_RESUME_MS, waitMs * 2);
    }
    // A program that drains the connection it lent is told of its end by `closed`.
    if (!this.#isRegistered || this.#isClosed || this.natsConnection.isDraining()) return;
    this.#session.startPings();
    this.#publisher.canRetry = this.#canRetry;
    this.#publisher.release(this.#session.newEncoder(), isSameSession, () => lost);
  }

  /** @throws SubscribeError if the server has not answered, or has forgotten the client again */
  async #resumeSubscriptions(missing: Set<StanSubscription>): Promise<void> {
    // The first member of a queue group says where it begins: it is the one that is the furthest behind.
    const inOrder = [...missing].sort((a, b) => a.lastSequence - b.lastSequence);
    for (const subscription of inOrder) {
      if (!this.#isOpen) return;
      try {
        if (!subscription.isClosed()) await subscription.resume();
      } catch (thrown) {
        const error = thrown as StanError;
        if (error.code === 'REQUEST_TIMEOUT' || error.serverText?.includes(STAN_ERROR.unknownClient))
          throw error;
        this.#events.tell({ type: 'error', error });
        subscription.end(error);
      }
      missing.delete(subscription);
    }
  }

  #watchNats(): void {
    this.#unwatchNats = watchNats(this.natsConnection, {
      onDisconnect: (server) => {
        this.#session.natsDisconnected();
        if (!this.#isStopped) this.#publisher.disconnected();
        this.#events.tell({ type: 'disconnect', server });
      },
      onReconnect: (server) => {
        this.#session.natsReconnected();
        this.#events.tell({ type: 'reconnect', server });
        if (!this.#isStopped) this.#publisher.reconnected();
      },
      onClosed: (cause) => this.#onNatsClosed(cause),
    });
  }

  #onNatsClosed(cause: Error | undefined): void {
    if (this.#isClosed || this.#closing !== undefined) return;
    const why = cause === undefined ? '' : `: ${cause.message}`;
    const error = new ConnectionLostError(
      `the connection to NATS of client "${this.clientId}" was closed${why}`,
      'Connect again. With maxReconnectAttempts: -1 (the default here) it is not given up when servers go',
      undefined,
      cause,
    );
    this.#events.tell({ type: 'connectionLost', error });
    this.#end(error);
  }

  async #close(): Promise<void> {
    if (this.#isClosed) return;
    this.#ending.abort();
    await this.#resuming;
    // To a server that has forgotten it, the client of this id is by now somebody else.
    const canLeave = this.#isRegistered;
    if (canLeave && !this.#isStopped) await this.#flushForClose();
    const problem =
      canLeave && !this.natsConnection.isClosed() && !this.#isClosed
        ? await this.#session.leave()
        : undefined;
    if (problem?.code === 'REQUEST_TIMEOUT' && this.#options.allowCloseRetry) {
      this.#stop(undefined);
      this.#closing = undefined;
      throw problem;
    }
    // The first try has ended it, and its answer was lost.
    const isGone = this.#isStopped && problem?.serverText === STAN_ERROR.unknownClient;
    await this.#end(undefined);
    if (problem !== undefined && !isGone) throw problem;
  }

  /** Not for longer than the connect timeout. */
  async #flushForClose(): Promise<void> {
    const done = new AbortController();
    await Promise.race([this.#publisher.flushed(), pause(this.#options.connectTimeout, done.signal)]);
    done.abort();
  }

  /** What waits for an ack fails, and subscriptions end. */
  #stop(error: StanError | undefined): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#session.end();
    this.#publisher.close(
      () =>
        error ??
        new ClosedError(`the connection of client "${this.clientId}" was closed before the ack came`),
    );
    for (const subscription of [...this.#subscriptions]) subscription.end(error);
  }

  async #end(error: StanError | undefined): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unwatchNats();
    this.#stop(error);
    if (this.#options.natsConnection === undefined && !this.natsConnection.isClosed())
      await this.natsConnection.close();
    this.#events.end();
    this.#onClosed(error);
  }
}

const PUBLISH_NAMES: ReadonlySet<string> = new Set(['codec', 'signal'] satisfies (keyof PublishOptions)[]);

/** @throws InvalidOptionError */
function checkPublishOptions(options: PublishOptions): PublishOptions {
  checkObject('the options of publish', options);
  checkNames('publish', options, PUBLISH_NAMES);
  const { signal } = options;
  if (signal !== undefined && typeof signal?.addEventListener !== 'function')
    throw new InvalidOptionError(`signal ${quote(signal)} cannot be`, 'It is an AbortSignal');
  return options;
}

function aborted(subject: string, signal: AbortSignal): StanError {
  return new StanError(`publishing to "${subject}" is not waited for any more`, {
    code: 'ABORTED',
    hint: 'The message may be stored all the same',
    cause: signal.reason,
  });
}

/** Until the signal ends it. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
