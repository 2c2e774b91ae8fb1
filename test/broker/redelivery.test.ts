import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InMemoryBroker } from './in-memory.js';

async function oneSubscriber(options: { maxInFlight?: number; durableName?: string } = {}) {
  const broker = await InMemoryBroker.start();
  await broker.connect('p');
  await broker.connect('s');
  const subscribe = (): Promise<string> => broker.subscribe({ clientId: 's', ackWaitSeconds: 5, ...options });
  return { broker, subscribe, ackInbox: await subscribe() };
}

describe('redelivery', () => {
  it('comes after the ack wait, with flag and count, again and again until the ack', async () => {
    const { broker, ackInbox } = await oneSubscriber();
    await broker.publish('p', 'foo', 2);
    assert.deepEqual(
      broker.taken('s').map((message) => message.redelivered),
      [false, false],
    );
    await broker.ack(ackInbox, 2);
    await broker.pass(4_900);
    assert.deepEqual(broker.taken('s'), []);
    for (let count = 1; count <= 3; count++) {
      await broker.pass(count === 1 ? 200 : 5_000);
      const taken = broker.taken('s');
      assert.deepEqual(
        taken.map((message) => [message.sequence, message.redelivered, message.redeliveryCount]),
        [[1, true, count]],
      );
    }
    await broker.ack(ackInbox, 1);
    await broker.pass(20_000);
    assert.deepEqual(broker.taken('s'), []);
  });

  it('keeps the order of the channel among what is due together', async () => {
    const { broker } = await oneSubscriber();
    await broker.publish('p', 'foo', 8);
    broker.taken('s');
    await broker.pass(5_100);
    assert.deepEqual(broker.sequencesTaken('s'), [1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('waits while the client does not answer heartbeats, and comes when it answers again', async () => {
    const { broker } = await oneSubscriber();
    await broker.publish('p', 'foo', 1);
    broker.taken('s');
    await broker.pass(3_500);
    broker.alive.delete('_INBOX.hb.s');
    await broker.pass(1_700);
    assert.deepEqual(broker.taken('s'), []);
    broker.alive.add('_INBOX.hb.s');
    await broker.pass(5_100);
    assert.deepEqual(broker.sequencesTaken('s'), [1]);
  });

  it('is not due for a message that a limit has dropped: it counts as acknowledged', async () => {
    const broker = await InMemoryBroker.start({ limits: { maxMessages: 2 } });
    await broker.connect('s');
    await broker.subscribe({ clientId: 's', maxInFlight: 1, ackWaitSeconds: 5 });
    await broker.publish('s', 'foo', 4);
    assert.deepEqual(broker.sequencesTaken('s'), [1]);
    await broker.pass(5_100);
    // The next message that there is.
    assert.deepEqual(broker.sequencesTaken('s'), [3]);
  });

  it('of a durable that comes back is first, in order, and then comes what is new', async () => {
    const { broker, subscribe, ackInbox } = await oneSubscriber({ durableName: 'd', maxInFlight: 3 });
    await broker.publish('p', 'foo', 5);
    assert.deepEqual(broker.sequencesTaken('s'), [1, 2, 3]);
    await broker.ack(ackInbox, 2);
    assert.deepEqual(broker.sequencesTaken('s'), [4]);
    await broker.end('subclose', 's', ackInbox);
    const again = await subscribe();
    assert.deepEqual(
      broker.taken('s').map((message) => [message.sequence, message.redelivered]),
      [
        [1, true],
        [3, true],
        [4, true],
      ],
    );
    await broker.ack(again, 1, 3, 4);
    assert.deepEqual(
      broker.taken('s').map((message) => [message.sequence, message.redelivered]),
      [[5, false]],
    );
  });
});

describe('a client that stops answering', () => {
  it('is closed after its last failed heartbeat: regular subscriptions end, durables wait for it', async () => {
    const broker = await InMemoryBroker.start();
    await broker.connect('p');
    await broker.connect('s');
    await broker.subscribe({ clientId: 's', durableName: 'd' });
    await broker.subscribe({ clientId: 's', inbox: '_INBOX.regular' });
    broker.alive.delete('_INBOX.hb.s');
    await broker.pass(2_900);
    assert.ok(broker.broker.clients.get('s'));
    await broker.pass(1_000);
    assert.equal(broker.broker.clients.get('s'), undefined);
    const channel = broker.broker.channels.get('foo')!;
    assert.equal(channel.subscriptions.length, 0);
    assert.equal(channel.durables.size, 1);
    assert.equal(channel.subscriptionCount, 1);
  });
});

describe('a channel that is not used', () => {
  it('is deleted one limit after its last message, also if that came with its creation', async () => {
    const broker = await InMemoryBroker.start({ limits: { maxInactivityMs: 10_000 } });
    await broker.connect('p');
    await broker.publish('p', 'foo', 3);
    await broker.pass(9_900);
    assert.ok(broker.broker.channels.get('foo'));
    await broker.pass(200);
    assert.equal(broker.broker.channels.get('foo'), undefined);
  });

  it('is deleted after its inactivity limit, with offline durables, and begins anew at sequence 1', async () => {
    const broker = await InMemoryBroker.start({ limits: { maxInactivityMs: 10_000 } });
    await broker.connect('p');
    const ackInbox = await broker.subscribe({ clientId: 'p', durableName: 'd' });
    await broker.publish('p', 'foo', 3);
    await broker.pass(30_000);
    assert.ok(broker.broker.channels.get('foo'), 'an active subscription keeps it');
    await broker.end('subclose', 'p', ackInbox);
    await broker.pass(6_000);
    await broker.publish('p', 'foo', 1);
    await broker.pass(6_000);
    assert.ok(broker.broker.channels.get('foo'), 'a message starts the time anew');
    await broker.pass(4_100);
    assert.equal(broker.broker.channels.get('foo'), undefined);
    await broker.publish('p', 'foo', 1);
    await broker.subscribe({ clientId: 'p', durableName: 'd' });
    assert.deepEqual(broker.sequencesTaken('p').slice(-1), [1]);
  });
});

describe('a broker that is about to end', () => {
  it('delivers nothing that it could not record any more', async () => {
    const { broker } = await oneSubscriber({ maxInFlight: 100, durableName: 'd' });
    await broker.publish('p', 'foo', 1);
    assert.deepEqual(broker.sequencesTaken('s'), [1]);
    broker.link.isCongested = true;
    await broker.publish('p', 'foo', 2);
    broker.broker.drain();
    broker.link.isCongested = false;
    broker.broker.linkDrained();
    await broker.pass(60_000);
    assert.deepEqual(broker.sequencesTaken('s'), []);
  });
});
