import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { STAN_ERROR } from '../../src/protocol/error-texts.js';
import { decodePubAck, encodePubMsg } from '../../src/protocol/messages.js';
import type { FileStore } from '../../src/store/file/file-store.js';
import { InMemoryBroker } from '../broker/in-memory.js';
import { SMALL, Terms, until } from '../store/file-support.js';

const ACKS = '_ACKS';

interface Publish {
  clientId?: string;
  guid: string;
  subject?: string;
}

/** Hands publishes to the broker in one read, and does not wait for anything. */
function publish(world: InMemoryBroker, ...messages: Publish[]): void {
  for (const { clientId = 'a', guid, subject = 'foo' } of messages) {
    const payload = encodePubMsg({ clientId, guid, subject, data: Buffer.from(guid) });
    const buffer = Buffer.concat([Buffer.from(ACKS), payload]);
    const sid = world.link.sidOf('_STAN.pub.c.x');
    world.broker.onMessage(sid, buffer, 0, 0, 0, ACKS.length, ACKS.length, buffer.length);
  }
  world.broker.onBatchEnd();
}

/** What PubAcks have said since the last call: `guid`, or `guid: error`. */
function acks(world: InMemoryBroker): string[] {
  const { sent } = world.link;
  const mine = sent.filter(({ subject }) => subject === ACKS);
  sent.splice(0, sent.length, ...sent.filter(({ subject }) => subject !== ACKS));
  return mine.map(({ payload }) => {
    const { guid, error } = decodePubAck(payload);
    return error === '' ? guid : `${guid}: ${error}`;
  });
}

async function acked(world: InMemoryBroker, ...messages: Publish[]): Promise<string[]> {
  publish(world, ...messages);
  const all: string[] = [];
  await until(() => all.push(...acks(world)) >= messages.length, 'acks');
  return all;
}

function stored(world: InMemoryBroker, name = 'foo'): number {
  return [...world.broker.channels.all()].find((channel) => channel.name === name)?.log.lastSequence ?? 0;
}

async function join(world: InMemoryBroker, ...clientIds: string[]): Promise<void> {
  for (const clientId of clientIds) assert.equal(await world.connect(clientId), '');
}

describe('a publish that comes again under its guid', () => {
  it('is acknowledged, counted and not stored', async () => {
    const world = await InMemoryBroker.start();
    await join(world, 'a');
    assert.deepEqual(await acked(world, { guid: '1' }), ['1']);
    assert.deepEqual(await acked(world, { guid: '1' }, { guid: '2' }, { guid: '1' }), ['1', '2', '1']);
    assert.equal(stored(world), 2);
    assert.equal(world.broker.counters.duplicatePublishes, 2);
  });

  it('within one read is stored once, and both acks wait', async () => {
    const world = await InMemoryBroker.start();
    await join(world, 'a');
    publish(world, { guid: '1' }, { guid: '1' });
    assert.deepEqual(acks(world), []);
    await until(() => stored(world) > 0, 'stored');
    assert.deepEqual(acks(world), ['1', '1']);
    assert.equal(stored(world), 1);
  });

  it('is another message if another connection sends it, also one of the same client id', async () => {
    const world = await InMemoryBroker.start();
    await join(world, 'a', 'b');
    await acked(world, { guid: '1' }, { guid: '1', clientId: 'b' });
    assert.equal(stored(world), 2);
    assert.equal(await world.close('a'), '');
    await join(world, 'a');
    await acked(world, { guid: '1' });
    assert.equal(stored(world), 3);
  });

  it('is another message if it is for another channel, and one there too', async () => {
    const world = await InMemoryBroker.start();
    await join(world, 'a');
    const both = [{ guid: '1' }, { guid: '1', subject: 'bar' }];
    assert.deepEqual(await acked(world, ...both), ['1', '1']);
    assert.deepEqual(await acked(world, ...both), ['1', '1']);
    assert.deepEqual([stored(world), stored(world, 'bar')], [1, 1]);
  });

  it('is taken if it was refused before', async () => {
    const world = await InMemoryBroker.start({ maxChannels: 1 });
    await join(world, 'a');
    await acked(world, { guid: '1', subject: 'bar' });
    assert.deepEqual(await acked(world, { guid: '2' }), [`2: ${STAN_ERROR.tooManyChannels}`]);
    assert.deepEqual(await acked(world, { guid: '2', subject: 'bar' }), ['2']);
    assert.equal(stored(world, 'bar'), 2);
  });

  it('is acknowledged when a limit has dropped the message, and stored again when that was with its channel', async () => {
    const world = await InMemoryBroker.start({ limits: { maxMessages: 1, maxInactivityMs: 1000 } });
    await join(world, 'a');
    await acked(world, { guid: '1' }, { guid: '2' });
    assert.deepEqual(await acked(world, { guid: '1' }), ['1']);
    assert.equal(stored(world), 2);
    await world.pass(2000);
    assert.equal(world.broker.channels.size, 0);
    assert.deepEqual(await acked(world, { guid: '1' }, { guid: '1' }), ['1', '1']);
    assert.equal(stored(world), 1);
  });
});

describe('a publish that comes again on the file store', () => {
  class Fence {
    readonly #waiting: (() => void)[] = [];
    isHeld = false;
    readonly pass = (): Promise<void> =>
      this.isHeld ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve();
    release(): void {
      this.isHeld = false;
      for (const resolve of this.#waiting.splice(0)) resolve();
    }
    get isWaitedFor(): boolean {
      return this.#waiting.length > 0;
    }
  }

  async function serve(terms: Terms, fence = new Fence()): Promise<[InMemoryBroker, FileStore]> {
    const { store } = await terms.openOnly({ ...SMALL, fence: fence.pass });
    return [await InMemoryBroker.start({}, store), store];
  }

  async function connectOn(world: InMemoryBroker, clientId: string): Promise<void> {
    await world.connect(clientId).catch(() => {});
    await until(() => world.broker.clients.size > 0, 'the client');
  }

  it('is not acknowledged before its original is durable and fenced, at once afterwards', async (t: TestContext) => {
    const fence = new Fence();
    const [world, store] = await serve(new Terms(t), fence);
    await connectOn(world, 'a');
    // Else the fence that is waited for may be that of the connection, and the batch another.
    await until(() => store.committed === store.gathering - 1, 'the commit of the connection');
    fence.isHeld = true;
    const original = store.gathering;
    publish(world, { guid: '1' });
    await until(() => fence.isWaitedFor, 'the fence');
    assert.notEqual(store.gathering, original, 'the original is written');
    publish(world, { guid: '1' });
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(acks(world), []);
    fence.release();
    await until(() => store.committed >= original, 'the commit');
    assert.deepEqual(acks(world), ['1', '1']);
    const { gathering } = store;
    publish(world, { guid: '1' });
    assert.deepEqual(acks(world), ['1'], 'with nothing to wait for');
    assert.equal(store.gathering, gathering, 'nothing is gathered');
    assert.equal(stored(world), 1);
    world.broker.stop();
  });

  for (const from of ['the journal', 'a checkpoint', 'a checkpoint and the journal behind it'] as const) {
    it(`is not stored by the next broker either, which knows of it from ${from}`, async (t: TestContext) => {
      const terms = new Terms(t);
      const [world, store] = await serve(terms);
      await connectOn(world, 'a');
      const guids = Array.from({ length: 200 }, (_, i) => `guid-${i}`);
      const [first, second] = [guids.slice(0, 100), guids.slice(100)];
      await acked(world, ...first.map((guid) => ({ guid })));
      if (from === 'a checkpoint and the journal behind it') await checkpoint(store);
      await acked(world, ...second.map((guid) => ({ guid })), { guid: 'guid-7', subject: 'bar' });
      if (from === 'a checkpoint') await checkpoint(store);
      world.broker.stop();
      // Not closed: nothing is written any more that a broker which was killed would not have written.
      const [next] = await serve(terms);
      assert.equal(next.broker.recentGuids.size, 201);
      assert.deepEqual(await acked(next, ...guids.map((guid) => ({ guid }))), guids);
      assert.equal(stored(next), 200);
      await acked(
        next,
        { guid: 'new' },
        { guid: 'guid-7', subject: 'bar' },
        { guid: 'guid-8', subject: 'bar' },
      );
      assert.deepEqual([stored(next), stored(next, 'bar')], [201, 2]);
      next.broker.stop();
    });
  }

  it('is not stored by any of the next brokers, however many checkpoints, merges and limits came since, and though its channel is gone', async (t: TestContext) => {
    const terms = new Terms(t);
    const limits = { maxMessages: 20 };
    const open = async (): Promise<[InMemoryBroker, FileStore]> => {
      const { store } = await terms.openOnly(SMALL);
      return [await InMemoryBroker.start({ limits }, store), store];
    };
    let [world, store] = await open();
    await connectOn(world, 'a');
    const guids: Publish[] = [];
    for (let term = 1; term <= 3; term++) {
      for (let round = 0; round < 10; round++) {
        const more = Array.from({ length: 30 }, (_, i) => ({
          guid: `${term}-${String(round * 30 + i).padStart(10, '0')}`,
          subject: ['foo', 'bar', `one-${term}-${round}`][i % 3] ?? 'foo',
        }));
        await acked(world, ...more);
        guids.push(...more);
        await checkpoint(store);
        // Within the time for which guids are remembered.
        terms.clock.pass(1000);
      }
      await until(() => store.upkeep.isIdle, 'the merges');
      for (const channel of [...world.broker.channels.all()])
        if (channel.name.startsWith(`one-${term}`)) store.deleteLog(channel.log);
      await acked(world, { guid: `last-${term}` });
      guids.push({ guid: `last-${term}` });
      if (term % 2 === 1) await checkpoint(store);
      world.broker.stop();
      [world, store] = await open();
      assert.equal(world.broker.recentGuids.size, guids.length);
      const again = guids.filter(({ subject = 'foo' }) => !subject.startsWith('one-'));
      const before = [stored(world), stored(world, 'bar')];
      assert.deepEqual(
        await acked(world, ...again),
        again.map(({ guid }) => guid),
      );
      assert.deepEqual([stored(world), stored(world, 'bar')], before);
    }
    world.broker.stop();
  });

  async function checkpoint(store: FileStore): Promise<void> {
    await until(() => !store.upkeep.isCheckpointing, 'the checkpoint before');
    store.upkeep.checkpoint();
    await until(() => !store.upkeep.isCheckpointing, 'the checkpoint');
  }
});
