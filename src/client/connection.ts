import type { NatsConnection } from 'nats';
import { type Codec, encodeWith } from './codec.js';
import { ClosedError, ConnectionLostError, StanError } from './errors.js';
import { watchNats } from './nats-watch.js';
import type { ResolvedOptions } from './options.js';
import type { OnAck } from './pending.js';
import { checkChannelName } from './pub-encoder.js';
import { Publisher } from './publisher.js';
import { Session } from './session.js';
import { type Status, StatusFeed } from './status.js';
import { resolveSubscribeOptions, type SubscribeOptions } from './subscribe-options.js';
import { StanSubscription, type Subscription, type SubscriptionHost } from './subscription.js';

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
  /** Waits for acks (up to the connect timeout), ends the subscriptions, keeps durables, and leaves. Idempotent. */
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
  #isResuming = false;
  #closing: Promise<void> | undefined;
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

  publish(subject: string, data?: unknown, { codec, signal }: PublishOptions = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(aborted(subject, signal));
      if (signal?.aborted) {
        abort();
        return;
      }
      const bytes = encodeWith(codec ?? this.#options.codec, data);
      this.#checkOpen();
      this.#publisher.publish(subject, bytes, (error, guid) => {
        signal?.removeEventListener('abort', abort);
        if (error === undefined) resolve(guid);
        else reject(error);
      });
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  publishAsync(subject: string, data: unknown, onAck: OnAck): string {
    this.#checkOpen();
    return this.#publisher.publish(subject, encodeWith(this.#options.codec, data), onAck);
  }

  async subscribe(subject: string, options: SubscribeOptions = {}): Promise<Subscription> {
    this.#checkOpen();
    checkChannelName(subject);
    const resolved = resolveSubscribeOptions(options, this.#options.codec);
    const subscription = await StanSubscription.open(this.#host, subject, resolved);
    if (this.#isClosed) {
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
        return !connection.#isClosed;
      },
      forget: (subscription) => this.#subscriptions.delete(subscription),
    };
  }

  #checkOpen(): void {
    if (this.#isClosed || this.#closing !== undefined)
      throw new ClosedError(`the connection of client "${this.clientId}" is closed`);
  }

  #lost(what: string, serverText: string | undefined): void {
    if (this.#isClosed || this.#isResuming || this.#closing !== undefined) return;
    const error = new ConnectionLostError(
      what,
      'Connect again, or use the option resume. What had no ack may be stored or not',
      serverText,
    );
    this.#events.tell({ type: 'connectionLost', error });
    if (this.#options.resume) void this.#resume(error);
    else this.#end(error);
  }

  /** Registers again, as often as it takes. */
  async #resume(lost: ConnectionLostError): Promise<void> {
    this.#isResuming = true;
    this.#session.stopPings();
    this.#publisher.hold(lost.message);
    let waitMs = FIRST_RESUME_MS;
    while (!this.#isClosed && this.#closing === undefined) {
      try {
        await this.#session.register();
        break;
      } catch (error) {
        if (this.natsConnection.isClosed()) return;
        this.#events.tell({ type: 'error', error: error as StanError });
      }
      await sleep(waitMs * (1 + RESUME_JITTER * (2 * Math.random() - 1)));
      waitMs = Math.min(MAX_RESUME_MS, waitMs * 2);
    }
    if (this.#isClosed || this.#closing !== undefined) return;
    this.#session.startPings();
    const isSameSession = this.#session.isSame;
    // A server that still knows the client has its subscriptions too.
    if (!isSameSession) await this.#resumeSubscriptions();
    this.#publisher.canRetry = this.#canRetry;
    this.#publisher.release(this.#session.newEncoder(), isSameSession, () => lost);
    this.#isResuming = false;
    this.#events.tell({ type: 'resumed' });
  }

  async #resumeSubscriptions(): Promise<void> {
    for (const subscription of [...this.#subscriptions]) {
      try {
        await subscription.resume();
      } catch (error) {
        this.#events.tell({ type: 'error', error: error as StanError });
        subscription.end(error as StanError);
      }
    }
  }

  #watchNats(): void {
    this.#unwatchNats = watchNats(this.natsConnection, {
      onDisconnect: (server) => {
        this.#session.natsDisconnected();
        this.#publisher.disconnected();
        this.#events.tell({ type: 'disconnect', server });
      },
      onReconnect: (server) => {
        this.#session.natsReconnected();
        this.#events.tell({ type: 'reconnect', server });
        this.#publisher.reconnected();
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
    const { connectTimeout } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      this.#publisher.flushed(),
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, connectTimeout);
      }),
    ]);
    clearTimeout(timer);
    const canLeave = !this.natsConnection.isClosed() && !this.#isClosed;
    const problem = canLeave ? await this.#session.leave() : undefined;
    await this.#end(undefined);
    if (problem !== undefined) throw problem;
  }

  async #end(error: StanError | undefined): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#session.end();
    this.#unwatchNats();
    const reason = (): StanError =>
      error ?? new ClosedError(`the connection of client "${this.clientId}" was closed before the ack came`);
    this.#publisher.close(reason);
    for (const subscription of [...this.#subscriptions]) subscription.end(error);
    if (this.#options.natsConnection === undefined && !this.natsConnection.isClosed())
      await this.natsConnection.close();
    this.#events.end();
    this.#onClosed(error);
  }
}

function aborted(subject: string, signal: AbortSignal | undefined): StanError {
  return new StanError(`publishing to "${subject}" is not waited for any more`, {
    code: 'ABORTED',
    hint: 'The message may be stored all the same',
    cause: signal?.reason,
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
