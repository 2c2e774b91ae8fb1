import assert from 'node:assert/strict';
import { LEAVE_GRACE_MS } from '../../src/broker/state/ended-subscriptions.js';
import {
  decodeCloseResponse,
  decodeConnectResponse,
  decodePubAck,
  decodeSubscriptionResponse,
  encodeAck,
  encodeCloseRequest,
  encodeConnectRequest,
  encodePing,
  encodePubMsg,
  encodeSubscriptionRequest,
  encodeUnsubscribeRequest,
  StartPosition,
} from '../../src/protocol/messages.js';
import { type ModelSubscription, Receiver } from './model-receiver.js';
import type { ModelConnection, ModelWorld } from './model-world.js';

const DUPLICATE_DURABLE = 'stan: duplicate durable registration';
const UNKNOWN_CLIENT = 'stan: unknown clientID';

/** What clients do: each with what must come of it. */
export function connect(world: ModelWorld, clientId: string): void {
  const connId = world.name(`${clientId}-`);
  const connection: ModelConnection = {
    clientId,
    connId,
    heartbeatInbox: `_HB.${connId}`,
    subscriptions: new Set(),
    isAlive: true,
    isOpen: false,
    lastDeadMs: Number.NEGATIVE_INFINITY,
  };
  world.connectionMade(connection);
  world.note(`connect ${connId}`);
  const owner = world.connections.get(clientId);
  const request = encodeConnectRequest({
    clientId,
    heartbeatInbox: connection.heartbeatInbox,
    connId: Buffer.from(connId),
    protocol: 1,
  });
  if (owner === undefined && world.link !== undefined) world.connectionOpened(connection);
  world.send('_STAN.discover.c', request, (payload) => {
    const { error } = decodeConnectResponse(payload);
    world.note(`${connId} connected: ${error}`);
    if (owner === undefined) assert.equal(error, '', connId);
    else if (error !== '') assert.equal(error, 'stan: clientID already registered');
  });
}

export function close(world: ModelWorld, connection: ModelConnection): void {
  if (world.link === undefined) return;
  world.note(`close ${connection.connId}`);
  for (const sub of connection.subscriptions) sub.endedAtMs = world.clock.monotonicMs();
  world.connectionEnded(connection);
  world.send('_STAN.close.c', encodeCloseRequest({ clientId: connection.clientId }), (payload) => {
    assert.equal(decodeCloseResponse(payload).error, '');
  });
}

export function ping(world: ModelWorld, connection: ModelConnection): void {
  world.send('_STAN.discover.c.pings', encodePing({ connId: Buffer.from(connection.connId) }), () => {});
}

export function publish(world: ModelWorld, connId: string, clientId: string, channelName: string): void {
  if (world.link === undefined) return;
  const guid = world.name('guid-');
  const isKnown = world.connections.get(clientId)?.connId === connId;
  if (isKnown) world.channel(channelName).payloads.push(guid);
  world.note(`publish ${guid} by ${connId} to ${channelName}`);
  world.send(
    `_STAN.pub.c.${channelName}`,
    encodePubMsg({
      clientId,
      connId: Buffer.from(connId),
      guid,
      subject: channelName,
      data: Buffer.from(guid),
    }),
    (payload) => {
      const ack = decodePubAck(payload);
      assert.equal(ack.guid, guid);
      assert.equal(ack.error, isKnown ? '' : 'stan: invalid publish request', guid);
      if (!isKnown) return;
      const channel = world.channel(channelName);
      assert.ok(channel.payloads.indexOf(guid) <= channel.committed, `${guid} acknowledged, not committed`);
    },
  );
}

export interface SubscribeOptions {
  connection: ModelConnection;
  channelName: string;
  durableName: string;
  queueGroup: string;
  maxInFlight: number;
  ackWaitSeconds: number;
  startPosition: StartPosition;
  startSequence: number;
  startDeltaMs: number;
}

export function subscribe(world: ModelWorld, options: SubscribeOptions): void {
  const { link } = world;
  if (link === undefined) return;
  const { connection, channelName, durableName, queueGroup } = options;
  const { clientId } = connection;
  const inbox = world.name('_IN.');
  let expected: { error: string; sub?: ModelSubscription } | undefined;
  world.note(`subscribe ${inbox} of ${connection.connId} to ${channelName}: ${describe(options)}`);

  const taken = (start: number): void => {
    if (!connection.isOpen) {
      expected = { error: UNKNOWN_CLIENT };
      return;
    }
    const isDurable = durableName !== '';
    let key = inbox;
    if (queueGroup !== '') key = `group ${channelName} ${durableName} ${queueGroup}`;
    else if (isDurable) key = `durable ${channelName} ${clientId} ${durableName}`;
    let receiver = world.receivers.get(key);
    if (receiver !== undefined && queueGroup === '' && receiver.online.size > 0) {
      expected = { error: DUPLICATE_DURABLE };
      return;
    }
    if (receiver === undefined) {
      const kind = { isDurable, isGroup: queueGroup !== '' };
      receiver = new Receiver(key, world.channel(channelName), start, kind);
      world.receivers.set(key, receiver);
    }
    const sub: ModelSubscription = {
      receiver,
      clientId,
      inbox,
      maxInFlight: options.maxInFlight,
      ackWaitMs: options.ackWaitSeconds * 1000,
      ackInbox: '',
      isAnswered: false,
      isEnded: false,
    };
    receiver.online.add(sub);
    receiver.newest = sub;
    connection.subscriptions.add(sub);
    world.byInbox.set(inbox, sub);
    expected = { error: '', sub };
  };

  const isByTime = options.startPosition === StartPosition.TIME_DELTA_START;
  const { first, last } = world.channel(channelName);
  const searchesBefore = world.store.searches.length;
  if (!isByTime) taken(startBefore(options, first, last));
  world.send(
    '_STAN.sub.c',
    encodeSubscriptionRequest({
      clientId,
      subject: channelName,
      inbox,
      queueGroup,
      durableName,
      maxInFlight: options.maxInFlight,
      ackWaitSeconds: options.ackWaitSeconds,
      startPosition: options.startPosition,
      startSequence: options.startSequence,
      startTimeDelta: BigInt(options.startDeltaMs) * 1_000_000n,
    }),
    (payload) => {
      const { error, ackInbox } = decodeSubscriptionResponse(payload);
      world.note(`${inbox} answered: ${error}`);
      assert.ok(expected, `${inbox} answered before its start was found`);
      assert.equal(error, expected.error, inbox);
      if (expected.sub === undefined) return;
      expected.sub.ackInbox = ackInbox;
      expected.sub.isAnswered = true;
    },
  );
  if (!isByTime) return;
  const search = world.store.searches[searchesBefore];
  assert.ok(search, `${inbox}: its start is looked for`);
  search.onFound = (sequence) => taken(sequence - 1);
}

function startBefore(options: SubscribeOptions, first: number, last: number): number {
  switch (options.startPosition) {
    case StartPosition.FIRST:
      return first - 1;
    case StartPosition.LAST_RECEIVED:
      return Math.max(0, last - 1);
    case StartPosition.SEQUENCE_START:
      return Math.min(Math.max(first, options.startSequence) - 1, last);
    default:
      return last;
  }
}

function describe(options: SubscribeOptions): string {
  const { durableName, queueGroup, maxInFlight, ackWaitSeconds, startPosition, startSequence } = options;
  return JSON.stringify({
    durableName,
    queueGroup,
    maxInFlight,
    ackWaitSeconds,
    startPosition,
    startSequence,
  });
}

export function end(world: ModelWorld, sub: ModelSubscription, how: 'close' | 'unsubscribe'): void {
  if (world.link === undefined) return;
  const wasOnline = !sub.isEnded;
  world.note(`${how} ${sub.inbox}`);
  const isByInbox = !sub.isAnswered || world.random.chance(20);
  if (wasOnline) {
    sub.endedAtMs = world.clock.monotonicMs();
    world.subscriptionEnded(sub, how);
  }
  world.send(
    how === 'close' ? '_STAN.subclose.c' : '_STAN.unsub.c',
    encodeUnsubscribeRequest({
      clientId: sub.clientId,
      subject: sub.receiver.channel.name,
      inbox: isByInbox ? sub.inbox : sub.ackInbox,
    }),
    (payload) => {
      const { error } = decodeSubscriptionResponse(payload);
      assert.equal(error, wasOnline ? '' : 'stan: invalid subscription', sub.inbox);
    },
  );
}

export function ack(world: ModelWorld, sub: ModelSubscription, sequence: number): void {
  if (world.link === undefined || !sub.isAnswered) return;
  world.note(`ack ${sequence} of ${sub.inbox}`);
  const { receiver } = sub;
  if (isHeard(world, sub)) receiver.acked(sequence);
  world.send(sub.ackInbox, encodeAck({ subject: receiver.channel.name, sequence }));
}

/** Whether its acks count: as long as it is there, and for a while after its end. */
function isHeard(world: ModelWorld, sub: ModelSubscription): boolean {
  const { receiver } = sub;
  if (receiver.online.has(sub)) return true;
  if (world.receivers.get(receiver.key) !== receiver) return false;
  // A durable that came back has another ack inbox than it had: acks to that one are nobody's.
  if (!receiver.kind.isGroup) return receiver.newest === sub;
  const isKept =
    world.broker.ended.get(Number.parseInt(sub.ackInbox.split('.').at(-1) ?? '', 10)) !== undefined;
  // If the broker ended it by itself, when is not known to the millisecond.
  if (sub.endedAtMs !== undefined) {
    const isDue = world.clock.monotonicMs() < sub.endedAtMs + LEAVE_GRACE_MS;
    assert.equal(isKept, isDue, `acks of ${sub.inbox}, which has left ${receiver.key}, are heard`);
  }
  return isKept;
}
