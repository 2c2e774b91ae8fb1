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
  /** Of the subject of connect requests [_STAN.discover]. */
  discoverPrefix?: string;
  clientId: string;
}

/** A message as it is given to a subscriber. The payload is `buffer[dataStart, dataEnd)`, during the call only. */
export type OnDelivery = (
  sequence: number,
  isRedelivered: boolean,
  buffer: Buffer,
  dataStart: number,
  dataEnd: number,
) => void;

const REQUEST_MS = 2_000;
/** For connecting and subscribing: a takeover may be under way. */
const MAX_TRIES = 10;
const RETRY_MS = 100;
const RECONNECT_MS = 50;
const CLOSE_MS = 1_000;
const OTHER_DRILL = 'Another drill is at work on this group: wait until it has ended';
/** A bool of MsgProto, which this broker and the Go server write behind the data. */
const REDELIVERED_TAG = 6 << 3;

/** A client of the STAN protocol: as little of one as a drill needs, and nothing between it and what the broker says. */
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
  /** Requests that end what it has subscribed to. */
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

  /** Whether what is published now leaves now. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Below the prefix that it was given: a user may have the permission to listen there and nowhere else. */
  newInbox(): string {
    return createInbox(this.#inboxPrefix);
  }

  /**
   * Subscribes and acknowledges all that comes.
   *
   * @returns what ends the subscription, and a durable with it, before `close` does
   * @throws GroupError if it is refused, or nobody answers
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
        // What comes before the answer comes again after its ack wait.
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

  /** Leaves nothing behind, if a broker is there to hear it, and disconnects. */
  async close(): Promise<void> {
    const { close, unsubscribe } = this.#subjects;
    const requests = [...this.#unsubscribes].map((payload) => this.#tell(unsubscribe, payload));
    await Promise.all(requests);
    await this.#tell(close, encodeCloseRequest({ clientId: this.clientId }));
    await this.nats.close();
  }

  async #tell(subject: string, payload: Uint8Array): Promise<void> {
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

  /** Connect and subscription requests may be repeated: the same one gets the same answer. */
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

/** Looks at what stands behind the data: a timestamp, then perhaps the mark. */
function isRedelivered(buffer: Buffer, dataEnd: number): boolean {
  let pos = dataEnd;
  while (pos < buffer.length) {
    const tag = buffer[pos++]!;
    if (tag === REDELIVERED_TAG) return buffer[pos] !== 0;
    // Only numbers follow the data; one ends with a byte below 0x80.
    while (pos < buffer.length && buffer[pos]! >= 0x80) pos++;
    pos++;
  }
  return false;
}
