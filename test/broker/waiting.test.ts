import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  decodeCloseResponse,
  decodeConnectResponse,
  decodePubAck,
  encodeCloseRequest,
  encodeConnectRequest,
  encodePubMsg,
} from '../../src/protocol/messages.js';
import { MemoryStore } from '../../src/store/memory/memory-store.js';
import type { Admission, StoreHost } from '../../src/store/types/store.js';
import { ManualClock } from '../clock/manual-clock.js';
import { InMemoryBroker } from './in-memory.js';

/** A store that is asked whether there is room, and says what the test has it say. */
class AskedStore extends MemoryStore {
  admission: Admission = 'yes';
  #host: StoreHost | undefined;

  constructor() {
    super({ clock: new ManualClock(), random: (size) => Buffer.alloc(size, 7) });
  }

  override attach(host: StoreHost): void {
    this.#host = host;
    super.attach(host);
  }

  override admit(): Admission {
    return this.admission;
  }

  says(admission: Admission): void {
    this.admission = admission;
    this.#host?.onRoom();
  }
}

const clientId = 'a';
const close = encodeCloseRequest({ clientId });

function publish(guid: string, bytes = 1): Uint8Array {
  return encodePubMsg({ clientId, guid, subject: 'foo', data: Buffer.alloc(bytes, 'x') });
}

function answers({ link }: InMemoryBroker, reply: string): Buffer[] {
  return link.sent.filter(({ subject }) => subject === reply).map(({ payload }) => payload);
}

function errorOfAck(world: InMemoryBroker, reply: string): string | undefined {
  const [answer] = answers(world, reply);
  return answer && decodePubAck(answer).error;
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

async function start(options: { maxPendingBytes?: number } = {}): Promise<[InMemoryBroker, AskedStore]> {
  const store = new AskedStore();
  const world = await InMemoryBroker.start(options, store);
  await world.connect(clientId);
  store.admission = 'later';
  return [world, store];
}

describe('a publish of which it is not known yet whether there is room', () => {
  it('waits, and what the client says after it waits behind it', async () => {
    const [world, store] = await start();
    await world.message('_STAN.pub.c.foo', publish('g1'), 'r1');
    await world.message('_STAN.pub.c.foo', publish('g2'), 'r2');
    await world.message('_STAN.close.c', close, 'r3');
    assert.deepEqual(
      world.link.sent.filter(({ subject }) => /^r\d$/.test(subject)),
      [],
    );
    store.says('yes');
    await settled();
    assert.deepEqual([errorOfAck(world, 'r1'), errorOfAck(world, 'r2')], ['', '']);
    assert.equal(decodeCloseResponse(answers(world, 'r3')[0]!).error, '');
    assert.equal(world.broker.counters.messagesIn, 2, 'each is counted once');
  });

  it('gets an error as soon as it is known that there is none, and what waits behind it goes on', async () => {
    const [world, store] = await start();
    await world.message('_STAN.pub.c.foo', publish('g1'), 'r1');
    const connect = encodeConnectRequest({
      ...{ clientId: 'b', heartbeatInbox: '_INBOX.hb.b' },
      ...{ connId: Buffer.from('conn-b'), protocol: 1 },
    });
    await world.message('_STAN.discover.c', connect, 'r2');
    store.says({ full: 'no space left' });
    await settled();
    assert.equal(errorOfAck(world, 'r1'), 'stanchion: store is full: no space left');
    assert.equal(decodeConnectResponse(answers(world, 'r2')[0]!).error, '');
  });

  it('does not keep acknowledgements from being taken', async () => {
    const [world, store] = await start();
    store.admission = 'yes';
    const ackInbox = await world.subscribe({ clientId, maxInFlight: 1 });
    await world.publish(clientId, 'foo', 2);
    assert.deepEqual(world.sequencesTaken(clientId), [1]);
    store.admission = 'later';
    await world.message('_STAN.pub.c.foo', publish('g3'), 'r3');
    await world.ack(ackInbox, 1);
    assert.deepEqual(world.sequencesTaken(clientId), [2]);
  });

  it('is refused beyond what may wait, in bytes', async () => {
    const [world] = await start({ maxPendingBytes: 10_000 });
    await world.message('_STAN.pub.c.foo', publish('g1', 9_990), 'r1');
    await world.message('_STAN.pub.c.foo', publish('g2', 100), 'r2');
    assert.equal(errorOfAck(world, 'r1'), undefined);
    assert.match(errorOfAck(world, 'r2')!, /too many messages wait for the disk/);
    for (let i = 0; i < 2_000; i++) await world.message('_STAN.close.c', close);
    assert.ok(world.broker.waitingBytes <= 21_000, `${world.broker.waitingBytes} bytes wait`);
  });

  it('is taken in turns of 8 MiB, however much waits: what is due in between is not kept waiting', async () => {
    const [world, store] = await start();
    const mebibyte = 1024 * 1024;
    for (let i = 0; i < 40; i++) {
      await world.message('_STAN.pub.c.foo', publish(`g${i}`, mebibyte - 100), `r${i}`);
    }
    const atOnceBytes: number[] = [];
    let before = world.broker.waitingBytes;
    assert.ok(before > 39 * mebibyte);
    store.says('yes');
    while (world.broker.waitingBytes > 0) {
      await new Promise((resolve) => setImmediate(resolve));
      atOnceBytes.push(before - world.broker.waitingBytes);
      before = world.broker.waitingBytes;
    }
    await settled();
    assert.ok(Math.max(...atOnceBytes) <= 9 * mebibyte, `${atOnceBytes.join(', ')} bytes`);
    for (let i = 0; i < 40; i++) assert.equal(errorOfAck(world, `r${i}`), '');
    const guids = answers(world, 'r39').map((ack) => decodePubAck(ack).guid);
    assert.deepEqual(guids, ['g39']);
    const last = world.broker.channels.get('foo')?.log.lastSequence;
    assert.equal(last, 40);
  });

  it('is refused when the broker is about to leave, and forgotten with its link', async () => {
    const [world] = await start();
    await world.message('_STAN.pub.c.foo', publish('g1'), 'r1');
    world.broker.drain();
    assert.match(errorOfAck(world, 'r1')!, /too many messages wait/);
    const [other, store] = await start();
    await other.message('_STAN.pub.c.foo', publish('g1'), 'r1');
    other.broker.linkDown();
    await other.broker.linkUp(other.link);
    store.says('yes');
    await settled();
    assert.equal(errorOfAck(other, 'r1'), undefined);
    assert.equal(other.broker.waitingBytes, 0);
  });
});
