import { FieldReader } from './field-reader.js';

/*
 * The records that the Go server keeps beside messages, in its files and in its SQL tables: spb/protocol.proto. The decoders throw
 * only `GoWireError`, for bytes that are not the record. Their results share no memory with the bytes.
 */

/** ServerInfo: the subjects that clients learned when they connected. */
export interface GoServerInfo {
  clusterId: string;
  discovery: string;
  publish: string;
  subscribe: string;
  unsubscribe: string;
  close: string;
  subscriptionClose: string;
  /** Not empty in a node of a cluster. */
  nodeId: string;
}

/** ClientInfo. The last four fields came with version 0.10.0. */
export interface GoClient {
  clientId: string;
  heartbeatInbox: string;
  connId: Uint8Array;
  protocol: number;
  pingIntervalSeconds: number;
  pingMaxOut: number;
}

/** SubState. */
export interface GoSubscription {
  /** Unique in its channel. */
  id: number;
  clientId: string;
  /** `durable:group` for a durable queue group. */
  queueGroup: string;
  inbox: string;
  ackInbox: string;
  maxInFlight: number;
  ackWaitSeconds: number;
  durableName: string;
  lastSent: number;
  isDurable: boolean;
  /** A durable whose client has closed the subscription, and not unsubscribed. */
  isClosed: boolean;
}

/** SubStateUpdate: a message was delivered, or acknowledged. */
export interface GoSubscriptionUpdate {
  id: number;
  sequence: number;
}

const serverFields = new FieldReader('ServerInfo');
const clientFields = new FieldReader('ClientInfo');
const clientDeleteFields = new FieldReader('ClientDelete');
const subscriptionFields = new FieldReader('SubState');
const subscriptionDeleteFields = new FieldReader('SubStateDelete');
const updateFields = new FieldReader('SubStateUpdate');

export function decodeGoServerInfo(buffer: Buffer, start: number, end: number): GoServerInfo {
  const info: GoServerInfo = {
    clusterId: '',
    discovery: '',
    publish: '',
    subscribe: '',
    unsubscribe: '',
    close: '',
    subscriptionClose: '',
    nodeId: '',
  };
  const fields = serverFields.reset(buffer, start, end);
  while (fields.next()) {
    if (fields.fieldNumber === 1) info.clusterId = fields.text();
    else if (fields.fieldNumber === 2) info.discovery = fields.text();
    else if (fields.fieldNumber === 3) info.publish = fields.text();
    else if (fields.fieldNumber === 4) info.subscribe = fields.text();
    else if (fields.fieldNumber === 5) info.unsubscribe = fields.text();
    else if (fields.fieldNumber === 6) info.close = fields.text();
    else if (fields.fieldNumber === 7) info.subscriptionClose = fields.text();
    else if (fields.fieldNumber === 9) info.nodeId = fields.text();
  }
  return info;
}

export function decodeGoClient(buffer: Buffer, start: number, end: number): GoClient {
  const client: GoClient = {
    clientId: '',
    heartbeatInbox: '',
    connId: new Uint8Array(0),
    protocol: 0,
    pingIntervalSeconds: 0,
    pingMaxOut: 0,
  };
  const fields = clientFields.reset(buffer, start, end);
  while (fields.next()) {
    if (fields.fieldNumber === 1) client.clientId = fields.text();
    else if (fields.fieldNumber === 2) client.heartbeatInbox = fields.text();
    else if (fields.fieldNumber === 3) client.connId = fields.bytes();
    else if (fields.fieldNumber === 4) client.protocol = fields.int32();
    else if (fields.fieldNumber === 5) client.pingIntervalSeconds = fields.int32();
    else if (fields.fieldNumber === 6) client.pingMaxOut = fields.int32();
  }
  return client;
}

/** ClientDelete. @returns the client's id */
export function decodeGoClientDelete(buffer: Buffer, start: number, end: number): string {
  let clientId = '';
  const fields = clientDeleteFields.reset(buffer, start, end);
  while (fields.next()) if (fields.fieldNumber === 1) clientId = fields.text();
  return clientId;
}

export function decodeGoSubscription(buffer: Buffer, start: number, end: number): GoSubscription {
  const subscription: GoSubscription = {
    id: 0,
    clientId: '',
    queueGroup: '',
    inbox: '',
    ackInbox: '',
    maxInFlight: 0,
    ackWaitSeconds: 0,
    durableName: '',
    lastSent: 0,
    isDurable: false,
    isClosed: false,
  };
  const fields = subscriptionFields.reset(buffer, start, end);
  while (fields.next()) {
    if (fields.fieldNumber === 1) subscription.id = fields.count();
    else if (fields.fieldNumber === 2) subscription.clientId = fields.text();
    else if (fields.fieldNumber === 3) subscription.queueGroup = fields.text();
    else if (fields.fieldNumber === 4) subscription.inbox = fields.text();
    else if (fields.fieldNumber === 5) subscription.ackInbox = fields.text();
    else if (fields.fieldNumber === 6) subscription.maxInFlight = fields.int32();
    else if (fields.fieldNumber === 7) subscription.ackWaitSeconds = fields.int32();
    else if (fields.fieldNumber === 8) subscription.durableName = fields.text();
    else if (fields.fieldNumber === 9) subscription.lastSent = fields.count();
    else if (fields.fieldNumber === 10) subscription.isDurable = fields.flag();
    else if (fields.fieldNumber === 11) subscription.isClosed = fields.flag();
  }
  return subscription;
}

/** SubStateDelete. @returns the subscription's id */
export function decodeGoSubscriptionDelete(buffer: Buffer, start: number, end: number): number {
  let id = 0;
  const fields = subscriptionDeleteFields.reset(buffer, start, end);
  while (fields.next()) if (fields.fieldNumber === 1) id = fields.count();
  return id;
}

/** Into `update`, since a file has many of them. */
export function decodeGoSubscriptionUpdate(
  buffer: Buffer,
  start: number,
  end: number,
  update: GoSubscriptionUpdate,
): void {
  update.id = 0;
  update.sequence = 0;
  const fields = updateFields.reset(buffer, start, end);
  while (fields.next()) {
    if (fields.fieldNumber === 1) update.id = fields.count();
    else if (fields.fieldNumber === 2) update.sequence = fields.count();
  }
}
