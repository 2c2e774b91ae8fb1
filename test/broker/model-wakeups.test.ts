import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeCloseRequest, StartPosition } from '../../src/protocol/messages.js';
import { InMemoryBroker } from './in-memory.js';
import { ack, connect, end, publish, type SubscribeOptions, subscribe } from './model-actions.js';
import { checkConsistency } from './model-consistency.js';
import { SeededRandom } from './model-random.js';
import type { ModelSubscription } from './model-receiver.js';
import { ModelWorld } from './model-world.js';

/** What random lives find too rarely, each by itself. The model looks on. */
class Stage {
  readonly world = new ModelWorld(new SeededRandom(1), 0);

  static async start(...clientIds: string[]): Promise<Stage> {
    const stage = new Stage();
    await stage.world.linkUp();
    for (const id of clientIds) await stage.connect(id);
    return stage;
  }

  async connect(clientId: string): Promise<void> {
    connect(this.world, clientId);
    await this.world.endBatch();
  }

  connection(clientId: string) {
    return this.world.connections.get(clientId)!;
  }

  async publish(count: number): Promise<void> {
    const { connId, clientId } = this.connection('p');
    for (let i = 0; i < count; i++) publish(this.world, connId, clientId, 'foo');
    await this.world.endBatch();
  }

  async subscribe(clientId: string, options: Partial<SubscribeOptions> = {}): Promise<ModelSubscription> {
    subscribe(this.world, {
      connection: this.connection(clientId),
      channelName: 'foo',
      durableName: '',
      queueGroup: '',
      maxInFlight: 10,
      ackWaitSeconds: 2,
      startPosition: StartPosition.FIRST,
      startSequence: 0,
      startDeltaMs: 0,
      ...options,
    });
    await this.world.endBatch();
    return [...this.world.byInbox.values()].at(-1)!;
  }

  async ack(sub: ModelSubscription, ...sequences: number[]): Promise<void> {
    for (const sequence of sequences) ack(this.world, sub, sequence);
    await this.world.endBatch();
  }

  async end(sub: ModelSubscription): Promise<void> {
    end(this.world, sub, 'close');
    await this.world.endBatch();
  }

  cool(): void {
    for (const log of this.world.store.logs.values()) log.cool(log.lastSequence);
  }

  async load(): Promise<void> {
    for (const load of this.world.store.loads.splice(0)) load.finish();
    await this.world.settle();
  }

  /** How often it came again; -1 if it never came. */
  redeliveries(sub: ModelSubscription, sequence: number): number {
    return sub.receiver.messages.get(sequence)?.redeliveries ?? -1;
  }

  holder(sub: ModelSubscription, sequence: number): string | undefined {
    return sub.receiver.messages.get(sequence)?.holder?.clientId;
  }

  async pass(ms: number): Promise<void> {
    await this.world.pass(ms);
    checkConsistency(this.world.broker);
  }
}

describe('while a message is read from disk', () => {
  for (const queueGroup of ['', 'g']) {
    it(`its ack does not keep the next one from its time${queueGroup && ', in a group'}`, async () => {
      const stage = await Stage.start('p', 's');
      const sub = await stage.subscribe('s', { queueGroup });
      await stage.publish(1);
      await stage.pass(1000);
      await stage.publish(1);
      stage.cool();
      await stage.pass(1100);
      assert.equal(stage.world.store.loads.length, 1, 'message 1 is being read to be delivered again');
      await stage.ack(sub, 1);
      await stage.load();
      checkConsistency(stage.world.broker);
      stage.cool();
      await stage.pass(1000);
      await stage.load();
      assert.equal(stage.redeliveries(sub, 2), 1);
    });
  }

  it('a durable that came back and has everything acknowledged goes on', async () => {
    const stage = await Stage.start('p', 's');
    const first = await stage.subscribe('s', { durableName: 'd' });
    await stage.publish(1);
    await stage.end(first);
    stage.cool();
    const second = await stage.subscribe('s', { durableName: 'd' });
    await stage.ack(second, 1);
    await stage.load();
    await stage.publish(1);
    assert.equal(stage.redeliveries(second, 2), 0);
  });

  it('a durable that leaves with everything acknowledged is served when it is back', async () => {
    const stage = await Stage.start('p', 's');
    const first = await stage.subscribe('s', { durableName: 'd' });
    await stage.publish(1);
    await stage.end(first);
    stage.cool();
    const second = await stage.subscribe('s', { durableName: 'd' });
    await stage.ack(second, 1);
    await stage.end(second);
    await stage.load();
    const third = await stage.subscribe('s', { durableName: 'd' });
    await stage.publish(1);
    assert.equal(stage.redeliveries(third, 2), 0);
  });
});

describe('what became due while it could not be sent', () => {
  it('comes when the link is back, not after another ack wait', async () => {
    const stage = await Stage.start('p', 's');
    const sub = await stage.subscribe('s', { ackWaitSeconds: 60 });
    await stage.publish(1);
    await stage.pass(50_000);
    stage.world.linkDown();
    await stage.pass(15_000);
    await stage.world.linkUp();
    await stage.pass(100);
    assert.equal(stage.redeliveries(sub, 1), 1);
  });

  it('comes to a full window when the broker after a restart has its link', async () => {
    const stage = await Stage.start('p', 's');
    const sub = await stage.subscribe('s', { ackWaitSeconds: 60, maxInFlight: 1 });
    await stage.publish(1);
    await stage.pass(100);
    await stage.world.restart();
    await stage.pass(1000);
    await stage.world.linkUp();
    await stage.pass(100);
    assert.equal(stage.redeliveries(sub, 1), 1);
  });

  it('comes to a client that answers again', async () => {
    const stage = await Stage.start('p', 's');
    const sub = await stage.subscribe('s', { ackWaitSeconds: 2 });
    await stage.publish(1);
    stage.connection('s').isAlive = false;
    await stage.pass(2500);
    assert.equal(stage.redeliveries(sub, 1), 0);
    stage.world.revive(stage.connection('s'));
    await stage.pass(1200);
    assert.equal(stage.redeliveries(sub, 1), 1);
  });
});

describe('a silent member of a queue group', () => {
  it('gets nothing, though it has room, while another one answers; then the other gets it all', async () => {
    const stage = await Stage.start('p', 'a', 'b');
    const a = await stage.subscribe('a', { queueGroup: 'g', maxInFlight: 5, ackWaitSeconds: 1 });
    stage.connection('a').isAlive = false;
    await stage.pass(1200);
    const b = await stage.subscribe('b', { queueGroup: 'g', maxInFlight: 1, ackWaitSeconds: 1 });
    await stage.publish(3);
    assert.deepEqual(
      [1, 2, 3].map((sequence) => stage.holder(b, sequence)),
      ['b', undefined, undefined],
    );
    await stage.ack(b, 1);
    assert.equal(stage.holder(b, 2), 'b');
    stage.world.revive(stage.connection('a'));
    await stage.pass(1000);
    assert.equal(stage.holder(a, 3), 'a', 'it answers again');
  });

  it('does not get back what was taken from it', async () => {
    const stage = await Stage.start('p', 'a', 'b');
    const a = await stage.subscribe('a', { queueGroup: 'g', maxInFlight: 5, ackWaitSeconds: 2 });
    await stage.publish(1);
    stage.connection('a').isAlive = false;
    const b = await stage.subscribe('b', { queueGroup: 'g', maxInFlight: 1, ackWaitSeconds: 60 });
    await stage.publish(1);
    assert.deepEqual([stage.holder(b, 1), stage.holder(b, 2)], ['a', 'b']);
    await stage.pass(2500);
    assert.equal(stage.redeliveries(a, 1), 0);
    await stage.ack(b, 2);
    assert.deepEqual([stage.holder(b, 1), stage.redeliveries(b, 1)], ['b', 1]);
  });
});

describe('a client id that two want', () => {
  it('stays with its owner if NATS was away when it was asked', async () => {
    const stage = await Stage.start('p');
    const owner = stage.connection('p');
    owner.isAlive = false;
    await stage.connect('p');
    stage.world.linkDown();
    await stage.pass(300);
    await stage.world.linkUp();
    await stage.pass(300);
    assert.equal(stage.connection('p'), owner);
  });

  it('stays with who got it while the owner before was asked', async () => {
    const stage = await Stage.start('p');
    stage.connection('p').isAlive = false;
    await stage.connect('p');
    const { broker } = stage.world;
    stage.world.send('_STAN.close.c', encodeCloseRequest({ clientId: 'p' }));
    await stage.world.endBatch();
    assert.equal(broker.clients.size, 0);
    await stage.connect('p');
    const successor = stage.connection('p');
    await stage.pass(700);
    assert.equal(stage.connection('p'), successor);
  });
});

describe('a search for a time', () => {
  it('that fails is answered', async () => {
    const stage = await Stage.start('p');
    const { world } = stage;
    subscribeByTime(stage, 'p');
    await world.endBatch();
    await assert.rejects(async () => {
      world.store.searches.shift()!.fail(new Error('unreadable'));
      await world.settle();
    }, /answered before its start was found/);
    assert.equal(world.broker.subscriptions.size, 0);
  });
});

describe('a channel', () => {
  it('is not deleted as inactive because the wall clock was set back', async () => {
    const broker = await InMemoryBroker.start({ limits: { maxInactivityMs: 10_000 } });
    await broker.connect('p');
    await broker.publish('p', 'foo', 1);
    const { clock } = broker;
    const wallNs = clock.wallNs.bind(clock);
    clock.wallNs = () => wallNs() - 3_600_000_000_000n;
    await broker.pass(9_000);
    await broker.publish('p', 'foo', 1);
    await broker.pass(5_000);
    assert.ok(broker.broker.channels.get('foo'), 'a message came 5 s ago');
    await broker.pass(20_000);
    assert.equal(broker.broker.channels.get('foo'), undefined);
  });
});

describe('a broker that was stopped', () => {
  it('does nothing any more, whatever was under way', async () => {
    const stage = await Stage.start('p', 's', 't');
    await stage.subscribe('s', { durableName: 'd' });
    await stage.publish(2);
    stage.connection('t').isAlive = false;
    // A heartbeat, the check of an owner and a search for a time are under way.
    await stage.pass(1020);
    await stage.connect('t');
    subscribeByTime(stage, 's');
    await stage.world.endBatch();
    const { world } = stage;
    world.broker.drain();
    await world.store.close();
    world.broker.stop();
    world.store.hasGathered = false;
    world.link = undefined;
    for (const search of world.store.searches) {
      search.onFound = undefined;
      search.finish();
    }
    for (let i = 0; i < 2000; i++) {
      world.clock.advance(50);
      await Promise.resolve();
    }
    assert.equal(world.store.hasGathered, false, 'something was appended');
    assert.equal(world.clock.timerCount, 0, 'timers');
  });
});

function subscribeByTime(stage: Stage, clientId: string): void {
  subscribe(stage.world, {
    connection: stage.connection(clientId),
    channelName: 'foo',
    durableName: '',
    queueGroup: '',
    maxInFlight: 1,
    ackWaitSeconds: 1,
    startPosition: StartPosition.TIME_DELTA_START,
    startSequence: 0,
    startDeltaMs: 1,
  });
}
