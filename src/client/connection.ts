import {
  connect as connectNats,
  createInbox,
  Events,
  type NatsConnection,
  type Status as NatsStatus,
  type Subscription as NatsSubscription,
  nuid,
} from 'nats';
import {
  type ConnectResponse,
  decodeCloseResponse,
  decodeConnectResponse,
  decodePingResponse,
  encodeCloseRequest,
  encodeConnectRequest,
  encodePing,
} from '../protocol/messages.js';
import { ask, isNobody } from './ask.js';
import { type Codec, encodeWith } from './codec.js';
import { ClosedError, ConnectError, ConnectionLostError, StanError } from './errors.js';
import { type ConnectOptions, type ResolvedOptions, resolveOptions } from './options.js';
import { checkChannelName, PubEncoder } from './pub-encoder.js';
import { type OnAck, Publisher } from './publisher.js';
import { say } from './say.js';
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

const PROTOCOL_LEVEL = 1;
const NO_DATA = new Uint8Array();
const REPEAT_MS = 500;
const FIRST_RESUME_MS = 100;
const MAX_RESUME_MS = 5_000;
const RESUME_JITTER = 0.2;
/** What `ConnectResponse.guidMemory` says. */
const SAME_SESSION = 2;

/**
 * Connects to NATS, and to the broker of a cluster id.
 *
 * @throws ConnectError if nobody answers, or the server refuses (`serverText`: `stan: clientID already registered`);
 *   InvalidOptionError; what the `nats` package throws if NATS cannot be reached is the `cause`
 */
export async function connect(options: ConnectOptions): Promise<StanConnection> {
  const resolved = resolveOptions(options);
  const nats = resolved.natsConnection ?? (await openNats(resolved));
  try {
    return await Connection.open(nats, resolved);
  } catch (error) {
    if (resolved.natsConnection === undefined) await nats.close();
    throw error;
  }
}

async function openNats({ natsOptions }: ResolvedOptions): Promise<NatsConnection> {
  try {
    return await connectNats(natsOptions);
  } catch (cause) {
    const servers = String(natsOptions.servers ?? '127.0.0.1:4222');
    throw new ConnectError(`NATS cannot be reached at ${servers}: ${(cause as Error).message}`, {
      code: 'CONNECT_REFUSED',
      hint: 'Is a nats-server there, and are user, password, token or TLS right?',
      cause,
    });
  }
}

class Connection implements StanConnection {
  readonly clusterId: string;
  readonly clientId: string;
  readonly natsConnection: NatsConnection;
  readonly #options: ResolvedOptions;
  readonly #events = new StatusFeed();
  readonly #connId = Buffer.from(nuid.next());
  readonly #heartbeatInbox = createInbox();
  readonly #heartbeats: NatsSubscription;
  #response!: ConnectResponse;
  #publisher!: Publisher;
  readonly #host: SubscriptionHost;
  readonly #subscriptions = new Set<StanSubscription>();
  #pingTimer: NodeJS.Timeout | undefined;
  #pings: NatsSubscription | undefined;
  #pingsOut = 0;
  #isNatsUp = true;
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
    this.#host = this.#newHost();
    this.#heartbeats = nats.subscribe(this.#heartbeatInbox, {
      callback: (error, message) => {
        if (error === null && message.reply) say(nats, message.reply, NO_DATA);
      },
    });
  }

  static async open(nats: NatsConnection, options: ResolvedOptions): Promise<Connection> {
    const connection = new Connection(nats, options);
    try {
      connection.#response = await connection.#register();
    } catch (error) {
      connection.#heartbeats.unsubscribe();
      throw error;
    }
    connection.#publisher = new Publisher(nats, options, connection.#events, connection.#newEncoder());
    connection.#publisher.canRetry = connection.#canRetry;
    connection.#startPings();
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
    return retry === 'auto' ? this.#response.guidMemory > 0 : retry;
  }

  #newEncoder(): PubEncoder {
    return new PubEncoder(this.#response.pubPrefix, this.clientId, this.#connId);
  }

  #newHost(): SubscriptionHost {
    const connection = this;
    return {
      nats: this.natsConnection,
      clientId: this.clientId,
      events: this.#events,
      requestTimeoutMs: this.#options.connectTimeout,
      get subjects() {
        const { subRequests, unsubRequests, subCloseRequests } = connection.#response;
        return { subscribe: subRequests, unsubscribe: unsubRequests, subscriptionClose: subCloseRequests };
      },
      get canRepeat() {
        return connection.#response.guidMemory > 0;
      },
      forget: (subscription) => this.#subscriptions.delete(subscription),
    };
  }

  /** @throws ConnectError */
  async #register(): Promise<ConnectResponse> {
    const { clusterId, clientId, discoverPrefix, connectTimeout, pingIntervalSeconds, pingMaxOut } =
      this.#options;
    const subject = `${discoverPrefix}.${clusterId}`;
    const payload = encodeConnectRequest({
      clientId,
      heartbeatInbox: this.#heartbeatInbox,
      protocol: PROTOCOL_LEVEL,
      connId: this.#connId,
      pingInterval: pingIntervalSeconds,
      pingMaxOut,
      wantsGuidMemory: true,
    });
    const answer = await ask(this.natsConnection, subject, payload, {
      timeout: connectTimeout,
      repeatMs: REPEAT_MS,
    });
    if (answer === undefined) {
      throw new ConnectError(
        `no broker of cluster id "${clusterId}" has answered on ${subject} within ${connectTimeout} ms`,
        {
          code: 'CONNECT_TIMEOUT',
          hint: `Is a broker active that has this cluster id? \`stanchion status --cluster-id ${clusterId}\` tells`,
        },
      );
    }
    const response = decodeConnectResponse(answer);
    const { error: serverText } = response;
    if (serverText === '') return response;
    throw new ConnectError(`client "${clientId}" was refused by cluster id "${clusterId}": ${serverText}`, {
      code: 'CONNECT_REFUSED',
      serverText,
      hint: serverText.includes('already registered')
        ? 'Another connection that is alive has this client id: choose another one, or close that one'
        : 'Change what the server names',
    });
  }

  #checkOpen(): void {
    if (this.#isClosed || this.#closing !== undefined)
      throw new ClosedError(`the connection of client "${this.clientId}" is closed`);
  }

  // Pings tell whether the server still knows this connection. Heartbeats tell the server that it is alive.

  #startPings(): void {
    const { pingRequests, pingInterval, pingMaxOut } = this.#response;
    clearInterval(this.#pingTimer);
    this.#pings?.unsubscribe();
    this.#pings = undefined;
    this.#pingsOut = 0;
    // A server of protocol level 0 has none.
    if (pingRequests === '' || pingInterval <= 0) return;
    const inbox = createInbox();
    const pings = this.natsConnection.subscribe(inbox, {
      callback: (error, message) => {
        if (error !== null || isNobody(message) || this.#pings !== pings) return;
        const { error: serverText } = decodePingResponse(message.data);
        if (serverText === '') this.#pingsOut = 0;
        else this.#lost(`the server no longer knows client "${this.clientId}": ${serverText}`, serverText);
      },
    });
    this.#pings = pings;
    const payload = encodePing({ connId: this.#connId });
    this.#pingTimer = setInterval(() => {
      // While NATS is away, who says nothing has not been asked.
      if (!this.#isNatsUp || this.natsConnection.isClosed()) return;
      if (this.#pingsOut >= pingMaxOut) {
        const seconds = pingInterval * pingMaxOut;
        this.#lost(`the broker has not answered ${pingMaxOut} pings in ${seconds} s`, undefined);
        return;
      }
      this.#pingsOut++;
      say(this.natsConnection, pingRequests, payload, { reply: inbox });
    }, pingInterval * 1_000);
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
    clearInterval(this.#pingTimer);
    this.#publisher.hold(lost.message);
    let waitMs = FIRST_RESUME_MS;
    while (!this.#isClosed && this.#closing === undefined) {
      try {
        this.#response = await this.#register();
        break;
      } catch (error) {
        if (this.natsConnection.isClosed()) return;
        this.#events.tell({ type: 'error', error: error as StanError });
      }
      await sleep(waitMs * (1 + RESUME_JITTER * (2 * Math.random() - 1)));
      waitMs = Math.min(MAX_RESUME_MS, waitMs * 2);
    }
    if (this.#isClosed || this.#closing !== undefined) return;
    this.#startPings();
    const isSameSession = this.#response.guidMemory === SAME_SESSION;
    // A server that still knows the client has its subscriptions too.
    if (!isSameSession) await this.#resumeSubscriptions();
    this.#publisher.canRetry = this.#canRetry;
    this.#publisher.release(this.#newEncoder(), isSameSession, () => lost);
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

  /** A borrowed connection may live much longer than this one, and must not keep it. */
  #watchNats(): void {
    // The package's iterators have a stop, which its types do not tell.
    const feed: AsyncIterable<NatsStatus> & { stop?(): void } = this.natsConnection.status();
    let watching: Connection | undefined = this;
    this.#unwatchNats = () => {
      watching = undefined;
      feed.stop?.();
    };
    void this.natsConnection.closed().then((error) => {
      if (watching !== undefined) watching.#onNatsClosed(error ?? undefined);
    });
    void this.#readNats(feed);
  }

  async #readNats(feed: AsyncIterable<NatsStatus>): Promise<void> {
    for await (const { type, data } of feed) {
      if (this.#isClosed) return;
      if (type === Events.Disconnect) {
        this.#isNatsUp = false;
        this.#publisher.disconnected();
        this.#events.tell({ type: 'disconnect', server: String(data) });
      } else if (type === Events.Reconnect) {
        this.#isNatsUp = true;
        this.#pingsOut = 0;
        this.#events.tell({ type: 'reconnect', server: String(data) });
        this.#publisher.reconnected();
      }
    }
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
    let problem: StanError | undefined;
    if (!this.natsConnection.isClosed() && !this.#isClosed) {
      const payload = encodeCloseRequest({ clientId: this.clientId });
      const answer = await ask(this.natsConnection, this.#response.closeRequests, payload, {
        timeout: connectTimeout,
      });
      problem = closeProblem(this.clientId, answer, connectTimeout);
    }
    await this.#end(undefined);
    if (problem !== undefined) throw problem;
  }

  async #end(error: StanError | undefined): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#pingTimer);
    this.#unwatchNats();
    const reason = (): StanError =>
      error ?? new ClosedError(`the connection of client "${this.clientId}" was closed before the ack came`);
    this.#publisher.close(reason);
    for (const subscription of [...this.#subscriptions]) subscription.end(error);
    if (!this.natsConnection.isClosed()) {
      this.#heartbeats.unsubscribe();
      this.#pings?.unsubscribe();
      if (this.#options.natsConnection === undefined) await this.natsConnection.close();
    }
    this.#events.end();
    this.#onClosed(error);
  }
}

function closeProblem(
  clientId: string,
  answer: Uint8Array | undefined,
  timeoutMs: number,
): StanError | undefined {
  const hint = 'The broker ends it by itself once its heartbeats are not answered';
  if (answer === undefined) {
    return new StanError(
      `the broker has not answered within ${timeoutMs} ms that client "${clientId}" closes`,
      {
        code: 'REQUEST_TIMEOUT',
        hint,
      },
    );
  }
  const { error: serverText } = decodeCloseResponse(answer);
  if (serverText === '') return undefined;
  return new StanError(`client "${clientId}" could not be closed: ${serverText}`, {
    code: 'CONNECT_REFUSED',
    serverText,
    hint,
  });
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
