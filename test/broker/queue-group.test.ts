import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InMemoryBroker } from './in-memory.js';

async function groupOfTwo(options: { maxInFlight?: number; durableName?: string } = {}) {
  // Silent clients stay: what is about their silence is not to be settled by their end.
  const broker = await InMemoryBroker.start({ heartbeatFailCount: 1_000 });
  for (const id of ['p', 'a', 'b']) await broker.connect(id);
  const join = (clientId: string): Promise<string> =>
    broker.subscribe({ clientId, queueGroup: 'g', ackWaitSeconds: 5, ...options });
  return { broker, join, a: await join('a'), b: await join('b') };
}

describe('a queue group', () => {
  it('gives each message to one member, and the members take turns', async () => {
    const { broker } = await groupOfTwo();
    await broker.publish('p', 'foo', 6);
    const a = broker.sequencesTaken('a');
    const b = broker.sequencesTaken('b');
    assert.equal(a.length, 3);
    assert.equal(b.length, 3);
    assert.deepEqual(
      [...a, ...b].sort((x, y) => x - y),
      [1, 2, 3, 4, 5, 6],
    );
  });

  it('goes on with the member that has room when another one is at its MaxInflight', async () => {
    const { broker, a } = await groupOfTwo({ maxInFlight: 1 });
    await broker.publish('p', 'foo', 5);
    assert.deepEqual(broker.sequencesTaken('a'), [1]);
    assert.deepEqual(broker.sequencesTaken('b'), [2]);
    await broker.ack(a, 1);
    assert.deepEqual(broker.sequencesTaken('a'), [3]);
    await broker.ack(a, 3);
    assert.deepEqual(broker.sequencesTaken('a'), [4]);
    assert.deepEqual(broker.sequencesTaken('b'), []);
  });

  it('gives a message whose ack wait has ended to another member, flagged and counted', async () => {
    const { broker, a, b } = await groupOfTwo();
    await broker.publish('p', 'foo', 1);
    const [first, second] = broker.taken('a').length === 1 ? (['a', 'b'] as const) : (['b', 'a'] as const);
    await broker.pass(5_100);
    const [again] = broker.taken(second);
    assert.equal(again?.sequence, 1);
    assert.equal(again?.redelivered, true);
    assert.equal(again?.redeliveryCount, 1);
    assert.deepEqual(broker.sequencesTaken(first), []);
    // The ack of the one that had it first counts too: the message is done, whoever did it.
    await broker.ack(first === 'a' ? a : b, 1);
    await broker.pass(20_000);
    assert.deepEqual(broker.sequencesTaken('a'), []);
    assert.deepEqual(broker.sequencesTaken('b'), []);
  });

  it('delivers again to the same member if the others have no room and its client answers', async () => {
    const { broker } = await groupOfTwo({ maxInFlight: 1 });
    await broker.publish('p', 'foo', 2);
    assert.deepEqual(broker.sequencesTaken('a'), [1]);
    assert.deepEqual(broker.sequencesTaken('b'), [2]);
    await broker.pass(5_100);
    assert.deepEqual(broker.sequencesTaken('a'), [1]);
    assert.deepEqual(broker.sequencesTaken('b'), [2]);
  });

  it('gives what a silent member holds to the next one that has room, before anything new', async () => {
    const { broker, b } = await groupOfTwo({ maxInFlight: 1 });
    await broker.publish('p', 'foo', 3);
    assert.deepEqual(broker.sequencesTaken('a'), [1]);
    assert.deepEqual(broker.sequencesTaken('b'), [2]);
    broker.alive.delete('_INBOX.hb.a');
    await broker.pass(2_500);
    await broker.ack(b, 2);
    assert.deepEqual(broker.sequencesTaken('b'), [3]);
    await broker.pass(2_700);
    // Its ack wait is over; the other one is busy until it acks.
    await broker.ack(b, 3);
    assert.deepEqual(broker.sequencesTaken('b'), [1]);
  });

  it('hands what a leaving member has not acknowledged to the others, within their MaxInflight', async () => {
    const { broker, a, b } = await groupOfTwo({ maxInFlight: 2 });
    await broker.publish('p', 'foo', 6);
    assert.deepEqual(broker.sequencesTaken('a'), [1, 3]);
    assert.deepEqual(broker.sequencesTaken('b'), [2, 4]);
    assert.equal(await broker.end('subclose', 'a', a), '');
    await broker.pass(100);
    assert.deepEqual(broker.sequencesTaken('b'), []);
    await broker.ack(b, 2, 4);
    const taken = broker.taken('b');
    assert.deepEqual(
      taken.map((message) => message.sequence),
      [1, 3],
    );
    assert.ok(taken.every((message) => message.redelivered));
    await broker.ack(b, 1, 3);
    assert.deepEqual(broker.sequencesTaken('b'), [5, 6]);
  });

  it('that is not durable ends with its last member', async () => {
    const { broker, join, a, b } = await groupOfTwo();
    await broker.publish('p', 'foo', 2);
    await broker.end('subclose', 'a', a);
    await broker.end('subclose', 'b', b);
    broker.link.sent.length = 0;
    await join('a');
    // A new group, which starts at the beginning as its first member wants.
    const taken = broker.taken('a');
    assert.deepEqual(
      taken.map((message) => [message.sequence, message.redelivered]),
      [
        [1, false],
        [2, false],
      ],
    );
  });

  it('that is durable keeps its position and what is pending while it has no members', async () => {
    const { broker, join, a, b } = await groupOfTwo({ durableName: 'd' });
    await broker.publish('p', 'foo', 4);
    await broker.ack(a, ...broker.sequencesTaken('a').slice(0, 1));
    await broker.ack(b, ...broker.sequencesTaken('b'));
    await broker.close('a');
    await broker.close('b');
    await broker.publish('p', 'foo', 1);
    await broker.connect('a');
    await join('a');
    assert.deepEqual(
      broker.taken('a').map((message) => [message.sequence, message.redelivered]),
      [
        [3, true],
        [5, false],
      ],
    );
  });

  it('that is durable ends when its last member unsubscribes', async () => {
    const { broker, join, a, b } = await groupOfTwo({ durableName: 'd' });
    await broker.publish('p', 'foo', 2);
    await broker.end('unsub', 'a', a);
    await broker.end('unsub', 'b', b);
    broker.link.sent.length = 0;
    await join('a');
    assert.deepEqual(
      broker.taken('a').map((message) => [message.sequence, message.redelivered]),
      [
        [1, false],
        [2, false],
      ],
    );
  });
});
