import type { ConnectionOptions as TlsConnectionOptions } from 'node:tls';
import {
  type Authenticator,
  AuthorizationError,
  connect,
  type Msg,
  type NatsConnection,
  type Subscription,
  UserAuthenticationExpiredError,
} from '@nats-io/transport-node';
import { LinkRefusedError } from '../link/link-options.js';
import { type ServerInfo, serverInfoOf } from '../link/server-info.js';
import { messageOf } from './credentials.js';

/** A message on the control connection. */
export type ControlMessage = Pick<Msg, 'subject' | 'data' | 'respond' | 'json'>;

export interface ControlSubscription {
  unsubscribe(): void;
}

/** Sends requests over NATS. A connection of nats.js is a requester too. */
export interface Requester {
  request(
    subject: string,
    payload: Uint8Array | string | undefined,
    options: { timeout: number },
  ): Promise<Pick<ControlMessage, 'data' | 'json'>>;
}

/** The one server that a control connection is made to. */
export interface ControlTarget {
  /** `host:port` */
  readonly server: string;
  /** Name of the connection in the monitoring of nats-server. */
  readonly name: string;
  readonly authenticators: readonly Authenticator[];
  /** Undefined for TLS only if the server requires it. */
  readonly tls: TlsConnectionOptions | undefined;
  /** Whether the server begins with the TLS handshake, before its INFO. */
  readonly tlsFirst: boolean;
  readonly connectTimeoutMs: number;
}

/** The events of a control connection, for its owner. */
export interface ControlEvents {
  /** The connection has ended, and its owner has not closed it. Called once. */
  onDown(reason: string): void;
  /** A callback for what came in has thrown what nothing expects. Default: the exception is dropped. */
  onBroken?(thrown: unknown): void;
  /** The server has sent news of itself or of its cluster. */
  onInfo?(info: ServerInfo): void;
  /** The server has refused something. The text is the server's own. */
  onServerError?(text: string): void;
}

const PING_INTERVAL_MS = 5_000;
const MAX_PINGS_OUT = 2;

/**
 * The control connection, for rare messages: requests, status, the talk of a group. It is a connection of nats.js that does
 * not reconnect: the package gives up for reasons of its own, and its subscribers are not notified. When it is down it is replaced by
 * another, on which everything subscribes again.
 */
export class ControlConnection implements Requester {
  readonly #connection: NatsConnection;
  readonly #events: ControlEvents;
  readonly #subscriptions = new Set<Subscription>();
  /** How many requests wait for answers. */
  #asked = 0;
  #onIdle: (() => void) | undefined;
  #isClosed = false;

  private constructor(connection: NatsConnection, events: ControlEvents) {
    this.#connection = connection;
    this.#events = events;
    const broken = (thrown: unknown): void => events.onBroken?.(thrown);
    this.#listen().catch(broken);
    const ended = connection.closed().then((error) => {
      const wasClosed = this.#isClosed;
      this.#isClosed = true;
      if (!wasClosed)
        events.onDown(error === undefined ? 'the server closed the connection' : wordsOf(error));
    });
    ended.catch(broken);
  }

  /**
   * Connects to a server. The package cannot give up a dial, so the server must have just answered on a data link.
   *
   * @throws LinkRefusedError if the server refuses the login; Error saying why it failed
   */
  static async connect(target: ControlTarget, events: ControlEvents): Promise<ControlConnection> {
    const { server, name, authenticators, tls, tlsFirst, connectTimeoutMs } = target;
    // If one throws inside the package, only a timeout shows.
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
        // It would make an error for each request, in case that the request fails.
        noAsyncTraces: true,
        ...(isSecure && { tls: { ...tls, ...(tlsFirst && { handshakeFirst: true }) } as object }),
      });
      return new ControlConnection(connection, events);
    } catch (error) {
      const words = wordsOf(error);
      // The error of a data link has the same words for the same refusal.
      if (isLoginError(error)) throw new LinkRefusedError(`the server refused: ${words}`);
      throw new Error(words, { cause: error });
    }
  }

  get serverInfo(): ServerInfo {
    return serverInfoOf(this.#connection.info);
  }

  /** Largest payload of a message, in bytes. */
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
    const subscription = this.#connection.subscribe(subject, {
      callback: (error, message) => {
        try {
          callback(error, message);
        } catch (thrown) {
          this.#events.onBroken?.(thrown);
        }
      },
    });
    this.#subscriptions.add(subscription);
    return {
      unsubscribe: () => {
        this.#subscriptions.delete(subscription);
        if (!this.isClosed()) subscription.unsubscribe();
      },
    };
  }

  /**
   * Publishes a message. It is dropped if the connection is down.
   *
   * @throws Error if the subject is invalid, or the payload too large for the server
   */
  publish(subject: string, payload: Uint8Array | string = '', { reply = '' } = {}): void {
    if (!this.isClosed()) this.#connection.publish(subject, payload, reply === '' ? {} : { reply });
  }

  /** @throws Error if there is no responder, no answer in time, or the connection is or goes down */
  request(
    subject: string,
    payload: Uint8Array | string | undefined,
    options: { timeout: number },
  ): Promise<ControlMessage> {
    return this.#counted(this.#connection.request(subject, payload, options));
  }

  /** Resolves when the server has processed everything sent before. @throws Error if the connection is or goes down */
  flush(): Promise<void> {
    return this.#connection.flush();
  }

  /** Closes at once. */
  close(): void {
    this.#isClosed = true;
    void this.#connection.close().catch(() => {});
  }

  /** Takes no more messages, and closes when all requests are answered, at the latest after `maxMs`. */
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

  /** Reads the status of the connection. The package's iterator may outlive its connection, so nothing waits for it. */
  async #listen(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (this.isClosed()) return;
      if (status.type === 'update' || status.type === 'ldm') this.#events.onInfo?.(this.serverInfo);
      else if (status.type === 'error') this.#refused(status.error);
    }
  }

  #refused(error: Error): void {
    // `onDown` reports an error that ends the connection.
    if (!isLoginError(error)) this.#events.onServerError?.(wordsOf(error));
  }
}

function isLoginError(error: unknown): boolean {
  return error instanceof AuthorizationError || error instanceof UserAuthenticationExpiredError;
}

/** The server's error text, which the package may have with the quotes of the protocol. */
function wordsOf(error: unknown): string {
  return messageOf(error).replace(/^'(.*)'$/s, '$1');
}
