import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { SubscriptionStarter } from '../../src/broker/handlers/start-subscription.js';
import { BrokenInvariant } from '../../src/util/assert.js';
import { BREAKS, BrokenPart } from '../harness/broken-part.js';
import { InMemoryBroker, RecordingLink } from './in-memory.js';

describe('a broker in which something breaks', () => {
  let part: BrokenPart | undefined;

  afterEach(() => part?.restore());

  it('writes nothing of a read in which a subscription request broke it', async () => {
    const world = await InMemoryBroker.start();
    await world.connect('a');
    const { committed } = world.broker.store;
    part = new BrokenPart(SubscriptionStarter.prototype, 'start', 1, BREAKS.invariant);
    await assert.rejects(world.subscribe({ clientId: 'a' }), BrokenInvariant);
    assert.equal(world.broker.store.committed, committed);
    assert.equal(world.broker.isDraining, true);
  });
});

describe('a broker that has been stopped', () => {
  it('says nothing on a link that comes after that', async () => {
    const world = await InMemoryBroker.start();
    await world.connect('a');
    await world.subscribe({ clientId: 'a' });
    world.link.isCongested = true;
    await world.publish('a', 'foo');
    assert.deepEqual(world.sequencesTaken('a'), []);
    world.broker.stop();
    const link = new RecordingLink();
    await world.broker.linkUp(link);
    assert.deepEqual(link.sent, []);
  });
});
