import { randomBytes } from 'node:crypto';
import { STAN_ERROR } from '../protocol/error-texts.js';
import {
  type ConnectResponse,
  decodeCloseResponse,
  decodeConnectResponse,
  decodePingResponse,
  encodeCloseRequest,
  encodeConnectRequest,
  encodePing,
} from '../protocol/messages.js';
import { ask, isNoResponders } from './ask-broker.js';
import { ConnectError, StanError } from './client-errors.js';
import type { ResolvedOptions } from './connect-options.js';
import { listen, newInbox } from './inbox.js';
import type { NatsConnection, NatsSubscription } from './nats-connection.js';
import { PubEncoder } from './pub-encoder.js';
import { publishIfOpen } from './publish-if-open.js';

const PROTOCOL_LEVEL = 1;
const CONN_ID_BYTES = 16;
const NO_DATA = new Uint8Array();
const REPEAT_MS = 500;
/** The value of `ConnectResponse.guidMemory` if the broker still knew the connection. */
const SAME_SESSION = 2;

/** Called when the server says that it has forgotten the client (`serverText`), or answers no pings. */
export type OnLost = (what: string, serverText: string | undefined) => void;

/**
 * The registration of a client at the broker. Pings find out whether the broker still has it, and answered heartbeats show the broker
 * that the client lives. A session can be registered again, as the same connection.
 */
export class Session {
  readonly #nats: NatsConnection;
  readonly #options: ResolvedOptions;
  readonly #onLost: OnLost;
  /** It proves that requests are this client's, so it cannot be guessed. */
  readonly #connId = Buffer.from(randomBytes(CONN_ID_BYTES).toString('base64url'));
  readonly #heartbeatInbox: string;
  readonly #heartbeats: NatsSubscription;
  #response!: ConnectResponse;
  #pingTimer: NodeJS.Timeout | undefined;
  #pings: NatsSubscription | undefined;
  #pingsOut = 0;
  #isNatsUp = true;

  constructor(nats: NatsConnection, options: ResolvedOptions, onLost: OnLost) {
    this.#nats = nats;
    this.#options = options;
    this.#onLost = onLost;
    this.#heartbeatInbox = newInbox(nats);
    this.#heartbeats = listen(nats, this.#heartbeatInbox, (error, message) => {
      if (error === null && message.reply) publishIfOpen(nats, message.reply, NO_DATA);
    });
  }

  /** NATS subjects for requests. `subscriptionClose` is '' if the server does not have it. */
  get subjects(): { subscribe: string; unsubscribe: string; subscriptionClose: string } {
    const { subRequests, unsubRequests, subCloseRequests } = this.#response;
    return { subscribe: subRequests, unsubscribe: unsubRequests, subscriptionClose: subCloseRequests };
  }

  /** Whether the broker stores a guid of this connection once, and gives a repeated request the same answer. */
  get canRepeat(): boolean {
    return this.#response.guidMemory > 0;
  }

  /** Whether the broker still knew the connection at the last registration, with its guids and subscriptions. */
  get isSame(): boolean {
    return this.#response.guidMemory === SAME_SESSION;
  }

  /** What proves to the broker that a request is this connection's. */
  get connId(): Uint8Array {
    return this.#connId;
  }

  newEncoder(): PubEncoder {
    return new PubEncoder(this.#response.pubPrefix, this.#options.clientId, this.#connId);
  }

  /** @throws ConnectError if the broker refuses or does not answer */
  async register(): Promise<void> {
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
      sendsConnId: true,
    });
    const answer = await ask(this.#nats, subject, payload, { timeout: connectTimeout, repeatMs: REPEAT_MS });
    if (answer === undefined) {
      throw new ConnectError(
        `no broker of cluster id "${clusterId}" has answered on ${subject} within ${connectTimeout} ms`,
        {
          code: 'CONNECT_TIMEOUT',
          hint: `Is a broker with this cluster id active? See \`stanchion status --cluster-id ${clusterId}\``,
        },
      );
    }
    const response = decodeConnectResponse(answer);
    const { error: serverText } = response;
    if (serverText !== '') {
      throw new ConnectError(`client "${clientId}" was refused by cluster id "${clusterId}": ${serverText}`, {
        code: 'CONNECT_REFUSED',
        serverText,
        hint: serverText.includes('already registered')
          ? 'Another living connection has this client id: choose another one, or close that connection'
          : 'Change what the server complains about',
      });
    }
    this.#response = response;
  }

  startPings(): void {
    const { pingRequests, pingInterval, pingMaxOut } = this.#response;
    const { clientId } = this.#options;
    this.stopPings();
    this.#pingsOut = 0;
    // A server of protocol level 0 has no pings.
    if (pingRequests === '' || pingInterval <= 0) return;
    const inbox = newInbox(this.#nats);
    const pings = listen(this.#nats, inbox, (error, message) => {
      if (error !== null || isNoResponders(message) || this.#pings !== pings) return;
      const { error: serverText } = decodePingResponse(message.data);
      if (serverText === '') this.#pingsOut = 0;
      else this.#onLost(`the server no longer knows client "${clientId}": ${serverText}`, serverText);
    });
    this.#pings = pings;
    const payload = encodePing({ connId: this.#connId });
    this.#pingTimer = setInterval(() => {
      // While NATS is disconnected, no ping would reach the broker.
      if (!this.#isNatsUp || this.#nats.isClosed()) return;
      if (this.#pingsOut >= pingMaxOut) {
        const seconds = pingInterval * pingMaxOut;
        this.#onLost(`the broker has not answered ${pingMaxOut} pings in ${seconds} s`, undefined);
        return;
      }
      this.#pingsOut++;
      publishIfOpen(this.#nats, pingRequests, payload, { reply: inbox });
    }, pingInterval * 1_000);
  }

  stopPings(): void {
    clearInterval(this.#pingTimer);
    if (!this.#nats.isClosed()) this.#pings?.unsubscribe();
    this.#pings = undefined;
  }

  natsDisconnected(): void {
    this.#isNatsUp = false;
  }

  natsReconnected(): void {
    this.#isNatsUp = true;
    this.#pingsOut = 0;
  }

  /** Closes the client at the broker. @returns the error, if there was one */
  async leave(): Promise<StanError | undefined> {
    const { clientId, connectTimeout } = this.#options;
    // Stanchion closes only this connection, so the request is idempotent. Other brokers know clients by their id alone.
    const payload = encodeCloseRequest({ clientId, connId: this.#connId });
    if (this.#nats.isDraining()) {
      // A draining connection receives no answers.
      publishIfOpen(this.#nats, this.#response.closeRequests, payload);
      return undefined;
    }
    const startMs = performance.now();
    const answer = await ask(this.#nats, this.#response.closeRequests, payload, {
      timeout: connectTimeout,
      ...(this.canRepeat && { repeatMs: REPEAT_MS }),
    });
    const hint = 'The broker closes the client by itself after unanswered heartbeats';
    if (answer === undefined) {
      return new StanError(
        `the broker has not answered the close of client "${clientId}" within ${connectTimeout} ms`,
        { code: 'REQUEST_TIMEOUT', hint },
      );
    }
    const { error: serverText } = decodeCloseResponse(answer);
    if (serverText === '') return undefined;
    // The first request has closed the client, and its answer was lost.
    const wasRepeated = this.canRepeat && performance.now() - startMs >= REPEAT_MS;
    if (wasRepeated && serverText === STAN_ERROR.unknownClient) return undefined;
    return new StanError(`client "${clientId}" could not be closed: ${serverText}`, {
      code: 'CONNECT_REFUSED',
      serverText,
      hint,
    });
  }

  /** Stops pings and heartbeats. */
  end(): void {
    this.stopPings();
    if (!this.#nats.isClosed()) this.#heartbeats.unsubscribe();
  }
}
