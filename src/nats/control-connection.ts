import type { ConnectionOptions as TlsConnectionOptions } from 'node:tls';
import {
  type Authenticator,
  connect,
  ErrorCode,
  type Msg,
  type NatsConnection,
  NatsError,
  type Status,
  type Subscription,
} from 'nats';
import { LinkRefusedError } from '../link/link.js';
import { type ServerInfo, serverInfoOf } from '../link/server-info.js';
import { messageOf } from './credentials.js';

/** A message on the control connection. */
export type ControlMessage = Pick<Msg, 'subject' | 'data' | 'respond' | 'json'>;

export interface ControlSubscription {
  unsubscribe(): void;
}

/** What one can ask of others over NATS. A connection of the `nats` package can do it too. */
export interface Requester {
  request(
    subject: string,
    payload: Uint8Array | string | undefined,
    options: { timeout: number },
  ): Promise<Pick<ControlMessage, 'data' | 'json'>>;
  /** All answers that come within `maxWait` ms. */
  requestMany(
    subject: string,
    payload: Uint8Array | string | undefined,
    options: { maxWait: number },
  ): Promise<AsyncIterable<Pick<ControlMessage, 'data' | 'json'>>>;
}

/** The one server that a control connection is made to. */
export interface ControlTarget {
  /** `host:port` */
  readonly server: string;
  /** Of the connection, as nats-server's monitoring shows it. */
  readonly name: string;
  readonly authenticators: readonly Authenticator[];
  /** Undefined: with TLS if the server has it. */
  readonly tls: TlsConnectionOptions | undefined;
  /** The server begins with the TLS handshake, before its INFO. */
  readonly tlsFirst: boolean;
  readonly connectTimeoutMs: number;
}

/** What becomes of it, for its owner. */
export interface ControlEvents {
  /** It is over, and its owner has not closed it. Called once. */
  onDown(reason: string): void;
  /** The server says something new of itself or of its cluster. */
  onInfo?(info: ServerInfo): void;
  /** What the server refuses, in its words as far as the package hands them on. */
  onServerError?(text: string): void;
}

const PING_INTERVAL_MS = 5_000;
const MAX_PINGS_OUT = 2;

/**
 * The control connection, for what is rare: requests, status, talk of a group. It is one of the `nats` package, and lives once: the package
 * does not reconnect it, since it gives up for reasons of its own and tells nobody who listens. When it is down there is another, and
 * everything subscribes there again.
 */
export class ControlConnection implements Requester {
  readonly #connection: NatsConnection;
  readonly #events: ControlEvents;
  readonly #subscriptions = new Set<Subscription>();
  /** Questions that wait for answers. */
  #asked = 0;
  #onIdle: (() => void) | undefined;
  #isClosed = false;

  private constructor(connection: NatsConnection, events: ControlEvents) {
    this.#connection = connection;
    this.#events = events;
    void this.#listen();
    void connection.closed().then((error) => {
      const wasClosed = this.#isClosed;
      this.#isClosed = true;
      if (!wasClosed)
        events.onDown(error === undefined ? 'the server closed the connection' : wordsOf(error));
    });
  }

  /**
   * The package cannot give up a dial: the server has to be one that has just answered, on a data link.
   *
   * @throws Error saying why it failed
   */
  static async connect(target: ControlTarget, events: ControlEvents): Promise<ControlConnection> {
    const { server, name, authenticators, tls, tlsFirst, connectTimeoutMs } = target;
    // One that throws within the package shows as a timeout only.
    for (const authenticator of authenticators) authenticator('nonce');
    const isSecure = tls !== undefined || tlsFirst;
    try {
      const connection = await connect({
        servers: server,
        name,
        authenticator: [...authenticators],
        timeout: connectTimeoutMs,
        reconnect: false,
        ignoreClusterUpdates: true,
        pingInterval: PING_INTERVAL_MS,
        maxPingOut: MAX_PINGS_OUT,
        ...(isSecure && { tls: { ...tls, ...(tlsFirst && { handshakeFirst: true }) } as object }),
      });
      return new ControlConnection(connection, events);
    } catch (error) {
      const words = wordsOf(error);
      // In the words of a data link, on which the same server says the same.
      if (error instanceof NatsError && error.isAuthError())
        throw new LinkRefusedError(`the server refused: ${words}`);
      throw new Error(words, { cause: error });
    }
  }

  get serverInfo(): ServerInfo {
    return serverInfoOf(this.#connection.info);
  }

  /** Bytes that a message may have. */
  get maxPayload(): number {
    return this.serverInfo.maxPayload;
  }

  isClosed(): boolean {
    return this.#isClosed || this.#connection.isClosed();
  }

  subscribe(
    subject: string,
    { callback }: { callback(error: Error | null, message: ControlMessage): void },
  ): ControlSubscription {
    const subscription = this.#connection.subscribe(subject, { callback });
    this.#subscriptions.add(subscription);
    return {
      unsubscribe: () => {
        this.#subscriptions.delete(subscription);
        if (!this.isClosed()) subscription.unsubscribe();
      },
    };
  }

  /**
   * Dropped if the connection is down.
   * @throws NatsError if the subject is none, or the server does not take so much
   */
  publish(subject: string, payload: Uint8Array | string = '', { reply = '' } = {}): void {
    if (!this.isClosed()) this.#connection.publish(subject, payload, reply === '' ? {} : { reply });
  }

  /** @throws NatsError: nobody listens, there is no answer in time, or the connection is or goes down */
  request(
    subject: string,
    payload: Uint8Array | string | undefined,
    options: { timeout: number },
  ): Promise<ControlMessage> {
    return this.#counted(this.#connection.request(subject, payload, options));
  }

  requestMany(
    subject: string,
    payload: Uint8Array | string | undefined,
    options: { maxWait: number },
  ): Promise<AsyncIterable<ControlMessage>> {
    return this.#counted(this.#connection.requestMany(subject, payload, options)) as Promise<
      AsyncIterable<ControlMessage>
    >;
  }

  /** Resolves when the server has dealt with everything before. @throws NatsError when the connection is, or goes, down */
  flush(): Promise<void> {
    return this.#connection.flush();
  }

  /** Closes at once. */
  close(): void {
    this.#isClosed = true;
    void this.#connection.close().catch(() => {});
  }

  /** Takes no more messages; closes when nothing that was asked waits for an answer, at the latest after `maxMs`. */
  async retire(maxMs: number): Promise<void> {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#subscriptions.clear();
    if (this.#asked > 0 && !this.isClosed()) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, maxMs);
        timer.unref();
        this.#onIdle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    if (!this.isClosed()) await this.flush().catch(() => {});
    this.close();
  }

  async #counted<T>(asked: Promise<T>): Promise<T> {
    this.#asked++;
    try {
      return await asked;
    } finally {
      if (--this.#asked === 0) this.#onIdle?.();
    }
  }

  /** The package's iterator need not end with its connection: nothing waits for it. */
  async #listen(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (this.isClosed()) return;
      if (status.type === 'update' || status.type === 'ldm') this.#events.onInfo?.(this.serverInfo);
      else if (status.type === 'error') this.#refused(status);
    }
  }

  #refused({ data, permissionContext }: Status): void {
    // What ends the connection is told by its end.
    if (LAST_CODES.has(String(data))) return;
    if (permissionContext === undefined) {
      // The package keeps the words to itself.
      this.#events.onServerError?.(`${data}: a limit on subscriptions, most often`);
      return;
    }
    const { operation, subject } = permissionContext;
    const what = operation === 'subscription' ? 'Subscription' : 'Publish';
    this.#events.onServerError?.(`Permissions Violation for ${what} to ${JSON.stringify(subject)}`);
  }
}

const LAST_CODES: ReadonlySet<string> = new Set([
  ErrorCode.AuthorizationViolation,
  ErrorCode.AuthenticationExpired,
  ErrorCode.AuthenticationTimeout,
  ErrorCode.AccountExpired,
]);

/** The package has the server's words in what an error is made from, or in the error with the quotes of the protocol. */
function wordsOf(error: unknown): string {
  const words =
    error instanceof NatsError && error.chainedError !== undefined
      ? messageOf(error.chainedError)
      : messageOf(error);
  return words.replace(/^'(.*)'$/s, '$1');
}
