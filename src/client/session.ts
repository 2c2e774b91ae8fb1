import { nuid } from '@nats-io/transport-node';
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
import { ask, isNobody } from './ask-broker.js';
import { ConnectError, StanError } from './client-errors.js';
import type { ResolvedOptions } from './connect-options.js';
import { listen, newInbox } from './inbox.js';
import type { NatsConnection, NatsSubscription } from './nats-connection.js';
import { PubEncoder } from './pub-encoder.js';
import { say } from './say.js';

const PROTOCOL_LEVEL = 1;
const NO_DATA = new Uint8Array();
const REPEAT_MS = 500;
/** What `ConnectResponse.guidMemory` says. */
const SAME_SESSION = 2;

/** Told when the server is known to have forgotten the client (`serverText`), or answers no pings. */
export type OnLost = (what: string, serverText: string | undefined) => void;

/**
 * What the broker knows of a client. Pings tell whether it still does, heartbeats tell it that the client is alive. It may be
 * registered again, as the same connection.
 */
export class Session {
  readonly #nats: NatsConnection;
  readonly #options: ResolvedOptions;
  readonly #onLost: OnLost;
  readonly #connId = Buffer.from(nuid.next());
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
      if (error === null && message.reply) say(nats, message.reply, NO_DATA);
    });
  }

  /** Subjects in NATS. `subscriptionClose` is '' if the server cannot. */
  get subjects(): { subscribe: string; unsubscribe: string; subscriptionClose: string } {
    const { subRequests, unsubRequests, subCloseRequests } = this.#response;
    return { subscribe: subRequests, unsubscribe: unsubRequests, subscriptionClose: subCloseRequests };
  }

  /** The broker stores a guid of this connection once, and answers a request that it knows as it did before. */
  get canRepeat(): boolean {
    return this.#response.guidMemory > 0;
  }

  /** When it was registered last, the broker knew it, with its guids and subscriptions. */
  get isSame(): boolean {
    return this.#response.guidMemory === SAME_SESSION;
  }

  newEncoder(): PubEncoder {
    return new PubEncoder(this.#response.pubPrefix, this.#options.clientId, this.#connId);
  }

  /** @throws ConnectError */
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
    });
    const answer = await ask(this.#nats, subject, payload, { timeout: connectTimeout, repeatMs: REPEAT_MS });
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
    if (serverText !== '') {
      throw new ConnectError(`client "${clientId}" was refused by cluster id "${clusterId}": ${serverText}`, {
        code: 'CONNECT_REFUSED',
        serverText,
        hint: serverText.includes('already registered')
          ? 'Another connection that is alive has this client id: choose another one, or close that one'
          : 'Change what the server names',
      });
    }
    this.#response = response;
  }

  startPings(): void {
    const { pingRequests, pingInterval, pingMaxOut } = this.#response;
    const { clientId } = this.#options;
    this.stopPings();
    this.#pingsOut = 0;
    // A server of protocol level 0 has none.
    if (pingRequests === '' || pingInterval <= 0) return;
    const inbox = newInbox(this.#nats);
    const pings = listen(this.#nats, inbox, (error, message) => {
      if (error !== null || isNobody(message) || this.#pings !== pings) return;
      const { error: serverText } = decodePingResponse(message.data);
      if (serverText === '') this.#pingsOut = 0;
      else this.#onLost(`the server no longer knows client "${clientId}": ${serverText}`, serverText);
    });
    this.#pings = pings;
    const payload = encodePing({ connId: this.#connId });
    this.#pingTimer = setInterval(() => {
      // While NATS is away, who says nothing has not been asked.
      if (!this.#isNatsUp || this.#nats.isClosed()) return;
      if (this.#pingsOut >= pingMaxOut) {
        const seconds = pingInterval * pingMaxOut;
        this.#onLost(`the broker has not answered ${pingMaxOut} pings in ${seconds} s`, undefined);
        return;
      }
      this.#pingsOut++;
      say(this.#nats, pingRequests, payload, { reply: inbox });
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

  /**
   * Tells the broker that the client closes.
   *
   * @returns what went wrong
   */
  async leave(): Promise<StanError | undefined> {
    const { clientId, connectTimeout } = this.#options;
    // This broker closes this connection and no other, so that it may be asked twice. Others know the id only.
    const payload = encodeCloseRequest({ clientId, connId: this.#connId });
    if (this.#nats.isDraining()) {
      // No answer would come through.
      say(this.#nats, this.#response.closeRequests, payload);
      return undefined;
    }
    const startMs = performance.now();
    const answer = await ask(this.#nats, this.#response.closeRequests, payload, {
      timeout: connectTimeout,
      ...(this.canRepeat && { repeatMs: REPEAT_MS }),
    });
    const hint = 'The broker ends it by itself once its heartbeats are not answered';
    if (answer === undefined) {
      return new StanError(
        `the broker has not answered within ${connectTimeout} ms that client "${clientId}" closes`,
        { code: 'REQUEST_TIMEOUT', hint },
      );
    }
    const { error: serverText } = decodeCloseResponse(answer);
    if (serverText === '') return undefined;
    // The first try has ended it, and its answer was lost.
    const wasRepeated = this.canRepeat && performance.now() - startMs >= REPEAT_MS;
    if (wasRepeated && serverText === STAN_ERROR.unknownClient) return undefined;
    return new StanError(`client "${clientId}" could not be closed: ${serverText}`, {
      code: 'CONNECT_REFUSED',
      serverText,
      hint,
    });
  }

  /** Neither pings nor heartbeats any more. */
  end(): void {
    this.stopPings();
    if (!this.#nats.isClosed()) this.#heartbeats.unsubscribe();
  }
}
