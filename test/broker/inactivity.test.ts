import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodePubMsg } from '../../src/protocol/messages.js';
import { InMemoryBroker } from './in-memory.js';

const MAX_INACTIVITY_MS = 1000;

/** Hands a message to the broker, which does not come to commit it yet. */
function send({ broker, link }: InMemoryBroker, clientId: string, subject: string): void {
  const payload = Buffer.from(encodePubMsg({ clientId, subject, guid: 'late', data: Buffer.from('late') }));
  broker.onMessage(link.sidOf('_STAN.pub.c.foo'), payload, 0, 0, 0, 0, 0, payload.length);
}

/** The limit of `foo` ends between the append of its third message and the commit. */
async function withLateMessage(): Promise<InMemoryBroker> {
  const world = await InMemoryBroker.start({ limits: { maxInactivityMs: MAX_INACTIVITY_MS } });
  await world.connect('a');
  await world.publish('a', 'foo', 2);
  await world.pass(MAX_INACTIVITY_MS - 100);
  send(world, 'a', 'foo');
  world.clock.advance(500);
  world.broker.onBatchEnd();
  return world;
}

describe('a channel that is inactive for too long', () => {
  it('is not deleted with a message that is on its way to the disk: it is about to be acknowledged', async () => {
    const world = await withLateMessage();
    await world.pass(1);
    await world.subscribe({ clientId: 'a' });
    assert.deepEqual(world.sequencesTaken('a'), [1, 2, 3]);
  });

  it('is deleted after its limit, counted from when that message is durable', async () => {
    const world = await withLateMessage();
    await world.pass(MAX_INACTIVITY_MS - 100);
    assert.notEqual(world.broker.channels.get('foo'), undefined);
    await world.pass(200);
    assert.equal(world.broker.channels.get('foo'), undefined);
  });
});
