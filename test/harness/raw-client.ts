import { connect as connectNats, createInbox, type NatsConnection } from 'nats';
import {
  type CloseResponse,
  type ConnectRequest,
  type ConnectResponse,
  decodeCloseResponse,
  decodeConnectResponse,
  decodeMsgProto,
  decodePingResponse,
  decodePubAck,
  decodeSubscriptionResponse,
  encodeAck,
  encodeCloseRequest,
  encodeConnectRequest,
  encodePing,
  encodePubMsg,
  encodeSubscriptionRequest,
  encodeUnsubscribeRequest,
  type MsgProto,
  type PingResponse,
  type PubAck,
  type PubMsg,
  type SubscriptionRequest,
  type SubscriptionResponse,
  type UnsubscribeRequest,
} from '../../src/protocol/messages.js';
import { type StanSubjects, stanSubjects } from '../../src/protocol/stan-subjects.js';
import { waitFor, within } from './wait.js';

const REQUEST_TIMEOUT_MS = 20_000;
const EMPTY = new Uint8Array(0);
/** Of all clients: some share a client id, and so a connection. */
let nextGuid = 1;

/** The protocol by hand, for what no well-behaved client does. */
export class RawClient {
  readonly nats: NatsConnection;
  readonly subjects: StanSubjects;
  /** Heartbeats that have come. */
  heartbeats = 0;
  /** A client that is there answers its heartbeats. */
  answersHeartbeats = true;
  readonly heartbeatInbox = createInbox();

  private constructor(nats: NatsConnection, clusterId: string) {
    this.nats = nats;
    this.subjects = stanSubjects(clusterId);
    nats.subscribe(this.heartbeatInbox, {
      callback: (_error, message) => {
        this.heartbeats++;
        if (this.answersHeartbeats) message.respond();
      },
    });
  }

  static async open(natsUrl: string, clusterId: string): Promise<RawClient> {
    const nats = await connectNats({ servers: natsUrl, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    return new RawClient(nats, clusterId);
  }

  /** @returns the payload of the answer */
  async request(subject: string, payload: Uint8Array): Promise<Uint8Array> {
    const answer = await this.nats.request(subject, payload, { timeout: REQUEST_TIMEOUT_MS });
    return answer.data;
  }

  /** Connects with this client's heartbeat inbox, at protocol level 1 unless told otherwise. */
  async connect(request: Partial<ConnectRequest>): Promise<ConnectResponse> {
    const bytes = encodeConnectRequest({
      heartbeatInbox: this.heartbeatInbox,
      protocol: 1,
      pingInterval: 5,
      pingMaxOut: 3,
      ...request,
    });
    return decodeConnectResponse(await this.request(this.subjects.discover, bytes));
  }

  /** As `connect`, and fails if it is refused. The connection id is the client id's bytes. */
  async join(clientId: string): Promise<void> {
    const { error } = await this.connect({ clientId, connId: Buffer.from(clientId) });
    if (error !== '') throw new Error(error);
  }

  async publish(message: Partial<PubMsg>): Promise<PubAck> {
    const bytes = encodePubMsg({ guid: `guid-${nextGuid++}`, ...message });
    return decodePubAck(await this.request(this.#publishSubject(message.subject), bytes));
  }

  /** Publishes and does not wait. */
  send(message: Partial<PubMsg>, reply?: string): void {
    const bytes = encodePubMsg({ guid: `guid-${nextGuid++}`, ...message });
    this.nats.publish(this.#publishSubject(message.subject), bytes, reply === undefined ? {} : { reply });
  }

  // What NATS would not take as a subject can still be sent as the name of a channel.
  #publishSubject(channel: string | undefined): string {
    const isSubject = channel !== undefined && /^[\w-]+(\.[\w-]+)*$/.test(channel) && channel.length < 1000;
    return `${this.subjects.publish}.${isSubject ? channel : 'any'}`;
  }

  async subscribe(request: Partial<SubscriptionRequest>): Promise<RawSubscription> {
    const inbox = request.inbox ?? createInbox();
    const subscription = new RawSubscription(this, inbox);
    const bytes = encodeSubscriptionRequest({ maxInFlight: 1024, ackWaitSeconds: 30, ...request, inbox });
    const reply = createInbox();
    const answer = new Promise<Uint8Array>((resolve) => {
      this.nats.subscribe(reply, {
        max: 1,
        callback: (_error, message) => {
          subscription.countAtResponse = subscription.messages.length;
          resolve(message.data);
        },
      });
    });
    this.nats.publish(this.subjects.subscribe, bytes, { reply });
    subscription.response = decodeSubscriptionResponse(await within(answer, 'the subscription is answered'));
    return subscription;
  }

  async requestSubscription(request: Partial<SubscriptionRequest>): Promise<SubscriptionResponse> {
    return decodeSubscriptionResponse(
      await this.request(this.subjects.subscribe, encodeSubscriptionRequest(request)),
    );
  }

  async unsubscribe(request: Partial<UnsubscribeRequest>): Promise<SubscriptionResponse> {
    return decodeSubscriptionResponse(
      await this.request(this.subjects.unsubscribe, encodeUnsubscribeRequest(request)),
    );
  }

  async closeSubscription(request: Partial<UnsubscribeRequest>): Promise<SubscriptionResponse> {
    return decodeSubscriptionResponse(
      await this.request(this.subjects.subscriptionClose, encodeUnsubscribeRequest(request)),
    );
  }

  async close(clientId: string): Promise<CloseResponse> {
    return decodeCloseResponse(await this.request(this.subjects.close, encodeCloseRequest({ clientId })));
  }

  async ping(connId: Uint8Array): Promise<PingResponse> {
    return decodePingResponse(await this.request(this.subjects.pings, encodePing({ connId })));
  }

  ack(ackInbox: string, channel: string, sequence: number): void {
    this.nats.publish(ackInbox, encodeAck({ subject: channel, sequence }));
  }

  /** Cuts the connection; the broker is told nothing. */
  async drop(): Promise<void> {
    await this.nats.close();
  }
}

export class RawSubscription {
  readonly inbox: string;
  readonly messages: MsgProto[] = [];
  response: SubscriptionResponse = { ackInbox: '', error: '' };
  /** How many messages had come when the request was answered. */
  countAtResponse = 0;

  constructor(client: RawClient, inbox: string) {
    this.inbox = inbox;
    client.nats.subscribe(inbox, {
      callback: (_error, message) => {
        this.messages.push(decodeMsgProto(message.data ?? EMPTY));
      },
    });
  }

  get sequences(): number[] {
    return this.messages.map(({ sequence }) => sequence);
  }

  async got(count: number): Promise<void> {
    await waitFor(
      () => this.messages.length >= count,
      () => `${count} messages; got ${this.sequences.join(' ')}`,
    );
  }
}
