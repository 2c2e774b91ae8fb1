import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InMemoryBroker } from './in-memory.js';

/** Clients `a`, which has messages 1 to 4, and `b`, which has joined since. */
async function leaverAndHeir(options: { durableName?: string } = {}) {
  const broker = await InMemoryBroker.start();
  for (const id of ['p', 'a', 'b']) await broker.connect(id);
  const join = (clientId: string): Promise<string> =>
    broker.subscribe({ clientId, queueGroup: 'g', ackWaitSeconds: 5, ...options });
  const a = await join('a');
  await broker.publish('p', 'foo', 4);
  assert.deepEqual(broker.sequencesTaken('a'), [1, 2, 3, 4]);
  return { broker, join, a, b: await join('b') };
}

describe('what a member that leaves its queue group has not acknowledged', () => {
  it('goes to others after 100 ms, and not before: its acks may be on their way', async () => {
    const { broker, a } = await leaverAndHeir();
    await broker.end('subclose', 'a', a);
    await broker.pass(60);
    await broker.ack(a, 1, 2, 3);
    await broker.pass(30);
    assert.deepEqual(broker.sequencesTaken('b'), []);
    await broker.pass(10);
    assert.deepEqual(
      broker.taken('b').map(({ sequence, redelivered }) => [sequence, redelivered]),
      [[4, true]],
    );
  });

  it('does not keep others from what is new meanwhile', async () => {
    const { broker, a } = await leaverAndHeir();
    await broker.end('unsub', 'a', a);
    await broker.publish('p', 'foo', 1);
    assert.deepEqual(broker.sequencesTaken('b'), [5]);
    await broker.pass(100);
    assert.deepEqual(broker.sequencesTaken('b'), [1, 2, 3, 4]);
  });

  it('is done if it acknowledges while another has it already', async () => {
    const { broker, a, b } = await leaverAndHeir();
    await broker.pass(5_000);
    // The ack wait of all is over: the other one has them.
    assert.deepEqual(broker.sequencesTaken('b'), [1, 2, 3, 4]);
    await broker.end('subclose', 'a', a);
    await broker.ack(a, 1, 2, 3);
    await broker.pass(5_000);
    assert.deepEqual(broker.sequencesTaken('b'), [4]);
    await broker.ack(b, 4);
    await broker.pass(20_000);
    assert.deepEqual(broker.sequencesTaken('b'), []);
  });

  it('goes before anything new to the first that joins a group without members', async () => {
    const { broker, join, a, b } = await leaverAndHeir({ durableName: 'd' });
    await broker.end('subclose', 'a', a);
    await broker.end('subclose', 'b', b);
    await broker.ack(a, 2);
    await broker.publish('p', 'foo', 1);
    await join('b');
    assert.deepEqual(broker.sequencesTaken('b'), [1, 3, 4, 5]);
  });

  it('is not touched by acks to a group of that name that came later', async () => {
    const { broker, join, a, b } = await leaverAndHeir();
    await broker.end('subclose', 'a', a);
    await broker.end('subclose', 'b', b);
    await join('b');
    assert.deepEqual(broker.sequencesTaken('b'), [1, 2, 3, 4]);
    await broker.ack(a, 1, 2, 3, 4);
    await broker.pass(5_000);
    assert.deepEqual(broker.sequencesTaken('b'), [1, 2, 3, 4]);
  });

  it('is redelivered after that time, whatever late acks come', async () => {
    const { broker, a } = await leaverAndHeir();
    await broker.close('a');
    await broker.pass(100);
    assert.deepEqual(broker.sequencesTaken('b'), [1, 2, 3, 4]);
    assert.equal([...broker.broker.ended.all()].length, 0);
    await broker.ack(a, 1, 2, 3, 4);
    await broker.pass(5_000);
    assert.deepEqual(broker.sequencesTaken('b'), [1, 2, 3, 4]);
  });
});

describe('the acks of a durable that is offline', () => {
  async function offline() {
    const broker = await InMemoryBroker.start();
    for (const id of ['p', 'a']) await broker.connect(id);
    const join = (): Promise<string> => broker.subscribe({ clientId: 'a', durableName: 'd', maxInFlight: 4 });
    const ackInbox = await join();
    await broker.publish('p', 'foo', 5);
    assert.deepEqual(broker.sequencesTaken('a'), [1, 2, 3, 4]);
    await broker.end('subclose', 'a', ackInbox);
    return { broker, join, ackInbox };
  }

  it('count, however late, until it comes back', async () => {
    const { broker, join, ackInbox } = await offline();
    await broker.pass(3_600_000);
    await broker.ack(ackInbox, 1, 2, 3);
    assert.deepEqual(broker.sequencesTaken('a'), []);
    await join();
    assert.deepEqual(broker.sequencesTaken('a'), [4, 5]);
  });

  it('count no more when it has come back: it has another ack inbox', async () => {
    const { broker, join, ackInbox } = await offline();
    const now = await join();
    assert.deepEqual(broker.sequencesTaken('a'), [1, 2, 3, 4]);
    await broker.ack(ackInbox, 1, 2, 3);
    assert.deepEqual(broker.sequencesTaken('a'), []);
    await broker.ack(now, 1, 2, 3);
    assert.deepEqual(broker.sequencesTaken('a'), [5]);
  });
});
