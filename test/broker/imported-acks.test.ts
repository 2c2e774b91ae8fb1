import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { SourceSubscription } from '../../src/import/types/source.js';
import { decodePubAck, encodeCloseRequest, encodePubMsg } from '../../src/protocol/messages.js';
import type { FileStore } from '../../src/store/file/file-store.js';
import { openFileStore } from '../../src/store/file/open-file-store.js';
import { client, MadeUpSource, messages, subscription } from '../import/made-up-source.js';
import { importFrom } from '../import/target/import-support.js';
import { until } from '../store/file-support.js';
import { DIR, ROOM } from '../store/leased-store.js';
import { SimFs } from '../store/sim-fs.js';
import { random, TestClock } from '../store/support.js';
import { InMemoryBroker, RecordingLink } from './in-memory.js';

const PLAIN = subscription({
  ackInbox: '_INBOX.plain',
  inbox: '_INBOX.in.me',
  maxInFlight: 3,
  lastSent: 4,
  pending: [2, 4],
});
const DURABLE = subscription({
  ...{ clientId: 'you', ackInbox: '_INBOX.durable', inbox: '_INBOX.in.you', maxInFlight: 100 },
  ...{ durableName: 'd', isDurable: true, lastSent: 10, pending: [9] },
});
const OFFLINE = subscription({
  ...{
    clientId: 'gone',
    ackInbox: '_INBOX.offline',
    durableName: 'd',
    isDurable: true,
    isOnline: false,
    lastSent: 3,
  },
});

async function imported(subscriptions: SourceSubscription[]): Promise<SimFs> {
  const fs = new SimFs();
  const channel = {
    name: 'foo',
    firstSequence: 1,
    lastSequence: 10,
    messages: messages(1, 10),
    subscriptions,
  };
  await importFrom(fs, new MadeUpSource([channel], [client('me'), client('you')]));
  return fs;
}

async function open(t: TestContext, fs: SimFs, epoch: number): Promise<FileStore> {
  const store = await openFileStore({
    ...{ fs, clock: new TestClock(), random, dir: DIR, clusterId: 'test-cluster', epoch, warn: assert.fail },
    ...{ journalBytes: 1024 * 1024, sizes: { log: ROOM, ckpt: ROOM, seg: ROOM }, isTested: true },
  });
  t.after(() => store.close());
  return store;
}

async function serve(t: TestContext, subscriptions: SourceSubscription[]): Promise<InMemoryBroker> {
  return await InMemoryBroker.start({}, await open(t, await imported(subscriptions), 2));
}

/** Waits until these have been delivered: they are read from the disk first. */
async function taken(broker: InMemoryBroker, clientId: string, sequences: number[]): Promise<void> {
  const all: number[] = [];
  await until(() => {
    all.push(...broker.sequencesTaken(clientId));
    return all.length >= sequences.length;
  }, `${sequences} for ${clientId}`);
  assert.deepEqual(all, sequences);
}

function importedSubjects(link: RecordingLink): string[] {
  return link.subjects.filter((subject) => /^_INBOX\.[a-z]+$/.test(subject));
}

const FORMER = {
  publish: '_STAN.pub.NUID',
  subscribe: '_STAN.sub.NUID',
  unsubscribe: '_STAN.unsub.NUID',
  close: '_STAN.close.NUID',
  subscriptionClose: '',
};

describe('the subjects that clients know which came along with an import', () => {
  it('are listened on beside those of the cluster id, until none of these clients is left', async (t) => {
    const fs = new SimFs();
    const source = new MadeUpSource(
      [
        {
          name: 'foo',
          firstSequence: 1,
          lastSequence: 10,
          messages: messages(1, 10),
          subscriptions: [PLAIN],
        },
      ],
      [client('me')],
    );
    source.subjects = FORMER;
    await importFrom(fs, source);
    const broker = await InMemoryBroker.start({}, await open(t, fs, 2));
    const publish = async (subject: string, guid: string): Promise<string> => {
      const message = {
        clientId: 'me',
        connId: Buffer.from('conn-me'),
        guid,
        subject: 'foo',
        data: Buffer.from('x'),
      };
      const replied = broker.link.sent.length;
      await broker.message(subject, encodePubMsg(message), `_INBOX.reply.${guid}`);
      await until(() => broker.link.sent.length > replied, 'an answer');
      const answer = broker.link.sent.find((sent) => sent.subject === `_INBOX.reply.${guid}`);
      return decodePubAck(answer!.payload).error;
    };
    assert.equal(await publish('_STAN.pub.NUID.foo', 'one'), '');
    assert.equal(await publish('_STAN.pub.c.foo', 'two'), '');
    assert.equal(broker.broker.channels.get('foo')?.log.lastSequence, 12);
    await broker.message('_STAN.close.NUID', encodeCloseRequest({ clientId: 'me' }), '_INBOX.reply.close');
    assert.equal(broker.broker.clients.size, 0);
    broker.broker.linkDown();
    const link = new RecordingLink();
    await broker.broker.linkUp(link);
    assert.deepEqual(
      link.subjects.filter((subject) => subject.includes('NUID')),
      [],
    );
  });

  it('are not, if they are nothing that a streaming server listens on: then their clients have to connect again', async (t) => {
    const fs = new SimFs();
    const source = new MadeUpSource([], [client('me')]);
    source.subjects = { ...FORMER, publish: '$SYS' };
    const { leftOut } = await importFrom(fs, source);
    assert.deepEqual(leftOut, [
      'client me: it sends to subjects that no broker listens on. It has to connect again',
    ]);
    const { recovered } = await open(t, fs, 2);
    assert.deepEqual([recovered.clients, recovered.formerSubjects], [[], undefined]);
  });
});

describe('the ack inboxes that came along with an import', () => {
  it('are listened on until their subscriptions end; those of offline durables never', async (t) => {
    const broker = await serve(t, [PLAIN, DURABLE, OFFLINE]);
    assert.deepEqual(importedSubjects(broker.link), ['_INBOX.plain', '_INBOX.durable']);
    assert.equal(await broker.end('subclose', 'me', '_INBOX.plain'), '');
    assert.deepEqual(importedSubjects(broker.link), ['_INBOX.durable']);
    await broker.close('you');
    assert.deepEqual(importedSubjects(broker.link), []);
    assert.equal(broker.broker.importedAckInboxes.size, 0);
  });

  it('take acks, and what waited for room goes out', async (t) => {
    const broker = await serve(t, [PLAIN]);
    await taken(broker, 'me', [5]);
    await broker.ack('_INBOX.plain', 4, 5);
    await taken(broker, 'me', [6, 7]);
    const [sub] = [...broker.broker.subscriptions.values()];
    assert.deepEqual(sub!.inFlight.sorted(), [2, 6, 7]);
    assert.equal(broker.broker.counters.acks, 2);
    await broker.message('_INBOX.plain', Buffer.from('no ack'));
    assert.deepEqual([...broker.broker.badInput.counts()], [['malformed Ack', 1]]);
  });

  it('are exchanged for one of the store when a durable comes back', async (t) => {
    const broker = await serve(t, [DURABLE]);
    await broker.end('subclose', 'you', '_INBOX.durable');
    const ackInbox = await broker.subscribe({ clientId: 'you', durableName: 'd' });
    assert.match(ackInbox, /^_INBOX\.[0-9A-Za-z]{22}\./);
    assert.deepEqual(importedSubjects(broker.link), []);
    await taken(broker, 'you', [9]);
    await broker.ack(ackInbox, 9);
    assert.deepEqual([...broker.broker.subscriptions.values()][0]!.inFlight.sorted(), []);
  });

  it('are listened on after a restart, and on each new link; a link that is kept beyond the broker is told of each', async (t) => {
    const fs = await imported([PLAIN, DURABLE]);
    const first = await InMemoryBroker.start({}, await open(t, fs, 2));
    await first.ack('_INBOX.durable', 9);
    await first.end('subclose', 'me', '_INBOX.plain');
    first.broker.linkDown();
    const link = new RecordingLink();
    await first.broker.linkUp(link);
    assert.deepEqual(importedSubjects(link), ['_INBOX.durable']);
    first.broker.drain();
    first.broker.stop();
    assert.ok(first.broker.sids.includes(link.sidOf('_INBOX.durable')));
    const again = await InMemoryBroker.start({}, await open(t, fs, 3));
    assert.deepEqual(importedSubjects(again.link), ['_INBOX.durable']);
  });

  it('may be many thousand', async (t) => {
    const many = Array.from({ length: 5_000 }, (_, i) =>
      subscription({ ackInbox: `_INBOX.many-${i}`, inbox: `_INBOX.in-${i}`, lastSent: 10, pending: [10] }),
    );
    const broker = await serve(t, many);
    assert.equal(broker.broker.importedAckInboxes.size, 5_000);
    await broker.ack('_INBOX.many-4999', 10);
    await broker.ack('_INBOX.many-0', 10);
    assert.equal(broker.broker.counters.acks, 2);
    await broker.close('me');
    assert.equal(broker.broker.importedAckInboxes.size, 0);
    assert.equal(broker.link.ended.length, 5_000);
  });
});
