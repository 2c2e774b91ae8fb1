import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeSubscriptionResponse, encodeSubscriptionRequest } from '../../src/protocol/messages.js';
import { InMemoryBroker } from './in-memory.js';

const KINDS = {
  'a subscription': {},
  'a durable': { durableName: 'd' },
  'a member of a queue group': { queueGroup: 'q' },
  'a member of a durable queue group': { queueGroup: 'q', durableName: 'd' },
};

describe('a subscription request that comes again', () => {
  for (const [kind, options] of Object.entries(KINDS)) {
    it(`for ${kind} gets the same answer, and each message comes once`, async () => {
      const world = await InMemoryBroker.start({ limits: { maxSubscriptions: 1 } });
      await world.connect('a');
      const ackInbox = await world.subscribe({ clientId: 'a', ...options });
      assert.equal(await world.subscribe({ clientId: 'a', ...options }), ackInbox);
      assert.equal(world.broker.subscriptions.size, 1);
      await world.publish('a', 'foo', 2);
      assert.deepEqual(world.sequencesTaken('a'), [1, 2]);
    });
  }

  it('before the first one is durable waits with it', async () => {
    const world = await InMemoryBroker.start();
    await world.connect('a');
    const payload = encodeSubscriptionRequest({
      clientId: 'a',
      subject: 'foo',
      inbox: '_INBOX.in.a',
      maxInFlight: 1,
      ackWaitSeconds: 30,
    });
    const { broker, link } = world;
    for (const reply of ['r1', 'r2']) {
      const buffer = Buffer.concat([Buffer.from(reply), payload]);
      broker.onMessage(link.sidOf('_STAN.sub.c'), buffer, 0, 0, 0, reply.length, reply.length, buffer.length);
    }
    broker.onBatchEnd();
    const answers = () => link.sent.filter(({ subject }) => subject === 'r1' || subject === 'r2');
    assert.equal(answers().length, 0);
    await new Promise((resolve) => setImmediate(resolve));
    const [first, second] = answers().map((sent) => decodeSubscriptionResponse(sent.payload).ackInbox);
    assert.ok(first !== undefined && first !== '');
    assert.equal(second, first);
    assert.equal(broker.subscriptions.size, 1);
  });

  it('for another group, durable or channel is another subscription', async () => {
    const world = await InMemoryBroker.start();
    await world.connect('a');
    const others = [
      { durableName: 'd' },
      { durableName: 'e' },
      { queueGroup: 'q' },
      { queueGroup: 'r' },
      { queueGroup: 'r', durableName: 'd' },
      { subject: 'bar' },
      {},
    ];
    const ackInboxes = new Set<string>();
    for (const other of others) ackInboxes.add(await world.subscribe({ clientId: 'a', ...other }));
    assert.equal(ackInboxes.size, others.length);
  });

  it('after it was closed is a new one', async () => {
    const world = await InMemoryBroker.start();
    await world.connect('a');
    const first = await world.subscribe({ clientId: 'a' });
    assert.equal(await world.end('subclose', 'a', first), '');
    assert.notEqual(await world.subscribe({ clientId: 'a' }), first);
  });
});
