import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  connect,
  createInbox,
  type NatsConnection,
  type NodeConnectionOptions,
} from '@nats-io/transport-node';
import { STAN_ERROR } from '../protocol/error-texts.js';
import {
  decodeConnectResponse,
  decodeSubscriptionResponse,
  encodeAck,
  encodeCloseRequest,
  encodeConnectRequest,
  encodeSubscriptionRequest,
  encodeUnsubscribeRequest,
  type SubscriptionRequest,
} from '../protocol/messages.js';
import { decodeMsgProtoView, newMsgProtoView } from '../protocol/msgproto.js';
import { type StanSubjects, stanSubjects } from '../protocol/stan-subjects.js';
import { GroupError } from './watched-group.js';

export interface StanClientOptions {
  /** Servers and credentials. */
  nats: NodeConnectionOptions;
  clusterId: string;
  /** Prefix of the subject of connect requests [_STAN.discover]. */
  discoverPrefix?: string;
  clientId: string;
}

/** Called for each message of a subscription. The payload is `buffer[dataStart, dataEnd)`, and valid only during the call. */
export type OnDelivery = (
  sequence: number,
  isRedelivered: boolean,
  buffer: Buffer,
  dataStart: number,
  dataEnd: number,
) => void;

const REQUEST_MS = 2_000;
/** Limit of tries to connect or subscribe: a takeover may be under way. */
const MAX_TRIES = 10;
const RETRY_MS = 100;
const RECONNECT_MS = 50;
const CLOSE_MS = 1_000;
const OTHER_DRILL = 'Another drill is at work on this group: wait until it has ended';
/** Tag of a bool of MsgProto, which this broker and the Go server write behind the data. */
const REDELIVERED_TAG = 6 << 3;

/** A minimal client of the STAN protocol. The drill has one of its own, so that no retry of a library hides what the broker does. */
export class StanClient {
  readonly clientId: string;
  readonly connId = randomBytes(16);
  readonly nats: NatsConnection;
  /** Messages go to `<prefix>.<channel>`. */
  publishPrefix = '';
  #isConnected = true;
  readonly #clusterId: string;
  readonly #subjects: StanSubjects;
  readonly #inboxPrefix: string | undefined;
  /** The encoded requests that end its subscriptions. */
  readonly #unsubscribes = new Set<Uint8Array>();

  private constructor(connection: NatsConnection, options: StanClientOptions) {
    const { nats, clusterId, discoverPrefix, clientId } = options;
    this.nats = connection;
    this.#clusterId = clusterId;
    this.#subjects = stanSubjects(clusterId, discoverPrefix);
    this.#inboxPrefix = nats.inboxPrefix;
    this.clientId = clientId;
    void this.#watchConnection();
  }

  /** @throws Error if NATS cannot be reached; GroupError if no broker answers, or it refuses */
  static async connect(options: StanClientOptions): Promise<StanClient> {
    const nats = await connect({
      ...options.nats,
      name: `stanchion drill ${options.clientId}`,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_MS,
    });
    const client = new StanClient(nats, options);
    try {
      await client.#join();
    } catch (error) {
      await nats.close();
      throw error;
    }
    return client;
  }

  /** Whether NATS is connected. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** A new inbox below the configured prefix: a user may have permission for no other. */
  newInbox(): string {
    return createInbox(this.#inboxPrefix);
  }

  /**
   * Subscribes, and acknowledges every message.
   *
   * @returns ends the subscription, and a durable with it; otherwise `close` does
   * @throws GroupError if the broker refuses, or does not answer
   */
  async subscribe(
    request: Partial<SubscriptionRequest>,
    onDelivery: OnDelivery,
  ): Promise<() => Promise<void>> {
    const inbox = this.newInbox();
    const view = newMsgProtoView();
    const { subject = '' } = request;
    let ackInbox = '';
    const listening = this.nats.subscribe(inbox, {
      callback: (error, { data }) => {
        if (error !== null) return;
        const buffer = Buffer.from(data.buffer, data.byteOffset, data.length);
        if (!decodeMsgProtoView(buffer, 0, buffer.length, view)) return;
        const { sequence } = view;
        onDelivery(sequence, isRedelivered(buffer, view.dataEnd), buffer, view.dataStart, view.dataEnd);
        // A message before the answer is redelivered after its ack wait.
        if (ackInbox !== '') this.nats.publish(ackInbox, encodeAck({ subject, sequence }));
      },
    });
    const payload = encodeSubscriptionRequest({ ...request, clientId: this.clientId, inbox });
    const { subscribe } = this.#subjects;
    const response = decodeSubscriptionResponse(await this.#request(subscribe, payload));
    if (response.error !== '')
      throw new GroupError(`client ${this.clientId} cannot subscribe to ${subject}: ${response.error}`);
    ackInbox = response.ackInbox;
    const { clientId } = this;
    const { durableName = '' } = request;
    const unsubscribe = encodeUnsubscribeRequest({
      clientId,
      subject,
      inbox: response.ackInbox,
      durableName,
    });
    this.#unsubscribes.add(unsubscribe);
    return async () => {
      const answer = await this.#request(this.#subjects.unsubscribe, unsubscribe);
      const { error } = decodeSubscriptionResponse(answer);
      if (error !== '')
        throw new GroupError(`client ${clientId} cannot unsubscribe from ${subject}: ${error}`);
      this.#unsubscribes.delete(unsubscribe);
      listening.unsubscribe();
    };
  }

  /** Ends its subscriptions and the client at the broker, if one answers, and disconnects. */
  async close(): Promise<void> {
    const { close, unsubscribe } = this.#subjects;
    const requests = [...this.#unsubscribes].map((payload) => this.#tryRequest(unsubscribe, payload));
    await Promise.all(requests);
    await this.#tryRequest(close, encodeCloseRequest({ clientId: this.clientId }));
    await this.nats.close();
  }

  async #tryRequest(subject: string, payload: Uint8Array): Promise<void> {
    if (this.#isConnected) await this.nats.request(subject, payload, { timeout: CLOSE_MS }).catch(() => {});
  }

  async #join(): Promise<void> {
    const heartbeatInbox = this.newInbox();
    this.nats.subscribe(heartbeatInbox, {
      callback: (error, message) => {
        if (error === null) message.respond();
      },
    });
    const { clientId, connId } = this;
    const payload = encodeConnectRequest({
      clientId,
      connId,
      heartbeatInbox,
      protocol: 1,
      pingInterval: 5,
      pingMaxOut: 3,
    });
    const { discover } = this.#subjects;
    const response = decodeConnectResponse(await this.#request(discover, payload));
    if (response.error !== '') {
      const hint = response.error === STAN_ERROR.clientIdRegistered ? `. ${OTHER_DRILL}` : '';
      throw new GroupError(
        `client ${clientId} cannot connect to cluster "${this.#clusterId}": ${response.error}${hint}`,
      );
    }
    this.publishPrefix = response.pubPrefix;
  }

  /** Sends a connect or subscription request, and repeats it without an answer: these requests are idempotent. */
  async #request(subject: string, payload: Uint8Array): Promise<Uint8Array> {
    for (let tries = 1; ; tries++) {
      try {
        return (await this.nats.request(subject, payload, { timeout: REQUEST_MS })).data;
      } catch (error) {
        if (tries === MAX_TRIES || this.nats.isClosed()) {
          const reason = (error as Error).message;
          throw new GroupError(`no broker of cluster "${this.#clusterId}" answers on ${subject}: ${reason}`);
        }
        await sleep(RETRY_MS);
      }
    }
  }

  async #watchConnection(): Promise<void> {
    for await (const { type } of this.nats.status()) {
      if (type === 'disconnect') this.#isConnected = false;
      else if (type === 'reconnect') this.#isConnected = true;
    }
    this.#isConnected = false;
  }
}

/** Whether a MsgProto has the mark of a redelivery behind its data and timestamp. */
function isRedelivered(buffer: Buffer, dataEnd: number): boolean {
  let pos = dataEnd;
  while (pos < buffer.length) {
    const tag = buffer[pos++];
    if (tag === REDELIVERED_TAG) return buffer[pos] !== 0;
    // Only numbers follow the data; one ends with a byte below 0x80.
    while (pos < buffer.length && buffer[pos] >= 0x80) pos++;
    pos++;
  }
  return false;
}
