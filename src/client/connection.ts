// The connection of the client library: it registers, publishes and subscribes, and resumes after the broker has forgotten it.

import { setTimeout as sleep } from 'node:timers/promises';
import { STAN_ERROR } from '../protocol/error-texts.js';
import { onAbort } from './aborts.js';
import { ClosedError, ConnectionLostError, InvalidOptionError, StanError } from './client-errors.js';
import { StanSubscription, type SubscriptionHost } from './client-subscription.js';
import { encodeWith } from './codec.js';
import { quote, type ResolvedOptions } from './connect-options.js';
import { type Status, StatusFeed } from './connection-status.js';
import type { NatsConnection } from './nats-connection.js';
import { watchNats } from './nats-watch.js';
import type { OnAck } from './pending.js';
import { checkChannelName } from './pub-encoder.js';
import { checkPublishOptions, type PublishOptions } from './publish-options.js';
import { Publisher } from './publisher.js';
import { Session } from './session.js';
import type { StanConnection } from './stan-connection.js';
import { resolveSubscribeOptions, type SubscribeOptions } from './subscribe-options.js';
import type { Subscription } from './subscription.js';

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
  /** Whether the server has the client registered, as far as is known. */
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
      // Assigned only after the message is on its way: a publish that throws must leave no listener behind.
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
      connId: session.connId,
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
      'Connect again, or use the option resume. Messages without an ack may be stored or not',
      serverText,
    );
    this.#events.emit({ type: 'connectionLost', error });
    if (!this.#options.resume) {
      void this.#end(error);
      return;
    }
    this.#session.stopPings();
    this.#publisher.hold(error.message);
    this.#isRegistered = false;
    this.#resuming = this.#resume(error).finally(() => {
      this.#resuming = undefined;
      if (this.#isOpen) this.#events.emit({ type: 'resumed' });
    });
  }

  get #isOpen(): boolean {
    return !this.#isStopped && this.#closing === undefined;
  }

  /** Registers again, with the subscriptions, until it succeeds. */
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
        this.#events.emit({ type: 'error', error: error as StanError });
      }
      await pause(waitMs * (1 + RESUME_JITTER * (2 * Math.random() - 1)), this.#ending.signal);
      waitMs = Math.min(MAX_RESUME_MS, waitMs * 2);
    }
    // If the program drains the connection that it lent, `closed` reports the end.
    if (!this.#isRegistered || this.#isClosed || this.natsConnection.isDraining()) return;
    this.#session.startPings();
    this.#publisher.canRetry = this.#canRetry;
    this.#publisher.release(this.#session.newEncoder(), isSameSession, () => lost);
  }

  /** @throws SubscribeError if the server has not answered, or has forgotten the client again */
  async #resumeSubscriptions(missing: Set<StanSubscription>): Promise<void> {
    // The first member of a queue group determines where the group begins, so the one furthest behind comes first.
    const inOrder = [...missing].sort((a, b) => a.lastSequence - b.lastSequence);
    for (const subscription of inOrder) {
      if (!this.#isOpen) return;
      try {
        if (!subscription.isClosed()) await subscription.resume();
      } catch (thrown) {
        const error = thrown as StanError;
        if (error.code === 'REQUEST_TIMEOUT' || error.serverText?.includes(STAN_ERROR.unknownClient))
          throw error;
        this.#events.emit({ type: 'error', error });
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
        this.#events.emit({ type: 'disconnect', server });
      },
      onReconnect: (server) => {
        this.#session.natsReconnected();
        this.#events.emit({ type: 'reconnect', server });
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
      'Connect again. With maxReconnectAttempts: -1 (the default here) it keeps trying when servers are gone',
      undefined,
      cause,
    );
    this.#events.emit({ type: 'connectionLost', error });
    this.#end(error);
  }

  async #close(): Promise<void> {
    if (this.#isClosed) return;
    this.#ending.abort();
    await this.#resuming;
    // A server that has forgotten this client may know another one by the same id: it must not be closed.
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
    // The first request has closed the client, and its answer was lost.
    const isGone = this.#isStopped && problem?.serverText === STAN_ERROR.unknownClient;
    await this.#end(undefined);
    if (problem !== undefined && !isGone) throw problem;
  }

  /** Waits for acks, but not longer than the connect timeout. */
  async #flushForClose(): Promise<void> {
    const done = new AbortController();
    await Promise.race([this.#publisher.flushed(), pause(this.#options.connectTimeout, done.signal)]);
    done.abort();
  }

  /** Fails the messages without an ack, and ends the subscriptions. */
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

function aborted(subject: string, signal: AbortSignal): StanError {
  return new StanError(`publishing to "${subject}" was aborted`, {
    code: 'ABORTED',
    hint: 'The message may be stored all the same',
    cause: signal.reason,
  });
}

/** Waits, or until the signal aborts. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
