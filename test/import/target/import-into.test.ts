import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Lease } from '../../../src/lease/lease.js';
import { storeInfo } from '../../../src/store/tools/inspect.js';
import type { ChannelLog, MessageRef } from '../../../src/store/types/store.js';
import { DIR, LeasedTerm, repair, verify } from '../../store/leased-store.js';
import { SimFs } from '../../store/sim-fs.js';
import { read, readAll } from '../../store/support.js';
import { client, MadeUpSource, messages, msgProto, subscription } from '../made-up-source.js';
import { clock, importFrom } from './import-support.js';

async function bytesOf(log: ChannelLog, sequence: number): Promise<Buffer> {
  const ref: MessageRef = { buffer: Buffer.alloc(0), start: 0, end: 0 };
  if (!log.find(sequence, ref)) await log.load(sequence);
  assert.ok(log.find(sequence, ref), `message ${sequence}`);
  return Buffer.from(ref.buffer.subarray(ref.start, ref.end));
}

describe('an import', () => {
  it('makes a store that a broker opens as after an orderly end, with each message byte for byte', async () => {
    const fs = new SimFs();
    const wanted = [...messages(5, 300)];
    wanted[7]!.reply = '_INBOX.reply';
    wanted[8]!.data = Buffer.alloc(0);
    wanted[9]!.data = Buffer.alloc(3 * 1024 * 1024, 'large');
    const report = await importFrom(
      fs,
      new MadeUpSource([
        { name: 'orders', firstSequence: 5, lastSequence: 300, messages: wanted },
        { name: 'events', firstSequence: 1, lastSequence: 10, messages: messages(1, 10, 'event') },
      ]),
    );
    assert.equal(report.messages, 306);
    assert.equal(report.missing, 0);
    const found = await verify(fs);
    assert.deepEqual(found.damages, []);
    assert.deepEqual(found.notes, []);
    assert.equal(found.messages, 306);
    const term = await LeasedTerm.begin(fs);
    assert.deepEqual(term.warnings, []);
    const log = term.log('orders');
    assert.deepEqual([log.firstSequence, log.lastSequence, log.messageCount], [5, 300, 296]);
    const protos = wanted.map((message) => msgProto('orders', message));
    assert.equal(
      log.byteCount,
      protos.reduce((sum, { length }) => sum + length, 0),
    );
    for (const [i, proto] of protos.entries()) assert.deepEqual(await bytesOf(log, 5 + i), proto);
    assert.equal((await readAll(term.log('events'))).at(-1), 'event 10');
    const since = wanted[100]!.timestampNs;
    assert.equal(await log.sequenceAtTime(since + 1_000_000n), wanted[100]!.sequence + 1);
    await term.publish('orders', ['new']);
    assert.equal(await read(log, 301), 'new');
    await term.end();
    assert.deepEqual((await verify(fs)).damages, []);
  });

  it('leaves the lease as of a term that has served: what it wrote cannot go missing unnoticed', async () => {
    const fs = new SimFs();
    await importFrom(
      fs,
      new MadeUpSource([{ name: 'a', firstSequence: 1, lastSequence: 3, messages: messages(1, 3) }]),
    );
    const { epoch, servedEpoch, servedBatch, holder } = await new Lease(fs, DIR).read();
    assert.deepEqual(
      { epoch, servedEpoch, servedBatch, holder },
      { epoch: 1, servedEpoch: 1, servedBatch: 1, holder: 'released' },
    );
    await fs.unlink(`${DIR}/checkpoints/00000001.000001.ckpt`);
    await assert.rejects(LeasedTerm.begin(fs), { code: 'damaged' });
  });

  it('is repaired like any store', async () => {
    const fs = new SimFs();
    await importFrom(
      fs,
      new MadeUpSource([{ name: 'a', firstSequence: 1, lastSequence: 9, messages: messages(1, 9) }]),
    );
    const path = `${DIR}/segments/00000001.000001.seg`;
    const content = Buffer.from(fs.content(path));
    content.writeUInt32LE(content.readUInt32LE(64 + 30) ^ 1, 64 + 30);
    fs.replace(path, content);
    assert.equal((await verify(fs)).damages.length, 1);
    const { report } = await repair(fs);
    assert.deepEqual(
      report.lost.map(({ channel, first, last }) => [channel, first, last]),
      [['a', 1, 1]],
    );
    const term = await LeasedTerm.begin(fs);
    assert.deepEqual(
      await readAll(term.log('a')),
      [2, 3, 4, 5, 6, 7, 8, 9].map((i) => `message ${i}`),
    );
    await term.end();
  });

  it('keeps sequences that have no message as gaps, which are no damage', async () => {
    const fs = new SimFs();
    const all = [...messages(3, 5), ...messages(9, 10), ...messages(15, 15)];
    const report = await importFrom(
      fs,
      new MadeUpSource([{ name: 'a', firstSequence: 1, lastSequence: 20, messages: all }]),
    );
    assert.deepEqual(report.gaps, [
      { channel: 'a', first: 6, last: 8 },
      { channel: 'a', first: 11, last: 14 },
      { channel: 'a', first: 16, last: 20 },
    ]);
    assert.equal(report.missing, 12);
    const { damages, notes } = await verify(fs);
    assert.deepEqual(damages, []);
    assert.match(notes[0]!, /^gap: messages 6 to 8 of channel a/);
    const term = await LeasedTerm.begin(fs);
    assert.deepEqual(term.warnings, []);
    assert.equal(term.store.unreadable.of(term.log('a')).length, 0);
    const log = term.log('a');
    assert.deepEqual(
      [log.firstSequence, log.lastSequence, log.messageCount, log.newestMessage],
      [3, 20, 6, 15],
    );
    assert.equal(log.skipLost(6), 9);
    await term.publish('a', ['new']);
    assert.equal(await read(log, 21), 'new');
    await term.checkpoint();
    await term.end();
    assert.deepEqual((await verify(fs)).damages, []);
  });

  it('keeps the next sequence of a channel without messages, and never gives out one that a subscription has had', async () => {
    const fs = new SimFs();
    const ahead = subscription({
      durableName: 'd',
      isDurable: true,
      isOnline: false,
      lastSent: 12,
      pending: [11],
    });
    const report = await importFrom(
      fs,
      new MadeUpSource([
        { name: 'emptied', firstSequence: 43, lastSequence: 42, messages: [] },
        { name: 'never used', firstSequence: 1, lastSequence: 0, messages: [] },
        {
          name: 'behind',
          firstSequence: 1,
          lastSequence: 10,
          messages: messages(1, 10),
          subscriptions: [ahead],
        },
      ]),
    );
    assert.deepEqual(report.raised, [{ channel: 'behind', from: 10, to: 12 }]);
    const term = await LeasedTerm.begin(fs);
    await term.publish('emptied', ['43']);
    await term.publish('never used', ['1']);
    await term.publish('behind', ['13']);
    assert.deepEqual(
      ['emptied', 'never used', 'behind'].map((name) => term.log(name).lastSequence),
      [43, 1, 13],
    );
    assert.equal(await read(term.log('emptied'), 43), '43');
    await term.end();
  });

  it('brings clients, subscriptions and what they have not acknowledged', async () => {
    const fs = new SimFs();
    const plain = subscription({ clientId: 'me', lastSent: 7, pending: [2, 3, 7], ackInbox: '_INBOX.plain' });
    const member = subscription({
      queueGroup: 'dur:q',
      isDurable: true,
      lastSent: 9,
      pending: [8],
      ackInbox: '_INBOX.member',
    });
    const shadow = subscription({
      ...{ clientId: '', inbox: '', ackInbox: '', queueGroup: 'dur:q', isDurable: true, isOnline: false },
      ...{ maxInFlight: 0, ackWaitSeconds: 0, lastSent: 5, pending: [4, 8] },
    });
    await importFrom(
      fs,
      new MadeUpSource(
        [
          {
            name: 'a',
            firstSequence: 1,
            lastSequence: 10,
            messages: messages(1, 10),
            subscriptions: [plain, member, shadow],
          },
        ],
        [client('me'), client('other')],
      ),
    );
    const { clients, subscriptions } = await storeInfo({ fs, clock, dir: DIR });
    assert.deepEqual([clients, subscriptions], [2, 3]);
    const term = await LeasedTerm.begin(fs);
    const { recovered } = term.store;
    assert.deepEqual(
      recovered.clients.map(({ connId, ...rest }) => ({ ...rest, connId: Buffer.from(connId) })),
      [
        { ...client('me'), session: 1 },
        { ...client('other'), session: 2 },
      ],
    );
    assert.ok(recovered.nextSession > 2);
    const ids = recovered.subscriptions.map(({ record }) => record.id);
    assert.equal(new Set(ids).size, 3);
    assert.ok(recovered.nextSubscriptionId > Math.max(...ids));
    const found = recovered.subscriptions.map(({ record: { id: _, channelId, ...record }, pending }) => {
      assert.equal(channelId, term.log('a').id);
      return { ...record, pending };
    });
    assert.deepEqual(
      new Map(found.map((sub) => [sub.ackInbox, sub])),
      new Map([
        ['', { ...shadow, lastSent: 9, pending: [4] }],
        ['_INBOX.plain', plain],
        ['_INBOX.member', member],
      ]),
    );
    await term.end();
  });

  it('refuses more gaps than memory and a broker have room for', async () => {
    const odd = [...messages(1, 210_000)].filter(({ sequence }) => sequence % 2 === 1);
    const channel = { name: 'a', firstSequence: 1, lastSequence: 210_000, messages: odd };
    const fs = new SimFs();
    await assert.rejects(importFrom(fs, new MadeUpSource([channel])), {
      code: 'unsupported',
      message: /made up has more than 100000 gaps between sequences, up to channel a/,
    });
    assert.ok(!fs.paths().some((path) => path.includes('stanchion.json')));
  });

  it('leaves out what would not pass as a line to NATS, and loses no position by it', async () => {
    const fs = new SimFs();
    const bad = '_INBOX.x 1\r\nPUB y 0';
    const durable = { durableName: 'd', isDurable: true, lastSent: 7, pending: [5] };
    const shared = { queueGroup: 'dur:q', isDurable: true, lastSent: 8, pending: [6] };
    const subscriptions = [
      subscription({ clientId: 'me', inbox: bad }),
      subscription({ clientId: 'me', ackInbox: '', ...durable }),
      subscription({ clientId: 'me', ackInbox: 'a.*', ...shared }),
      subscription({ clientId: 'bad', ...shared, lastSent: 9, pending: [9] }),
      subscription({
        clientId: 'me',
        durableName: 'zero',
        isDurable: true,
        maxInFlight: 0,
        ackWaitSeconds: 0,
      }),
    ];
    const channel = {
      name: 'a',
      firstSequence: 1,
      lastSequence: 10,
      messages: messages(1, 10),
      subscriptions,
    };
    const clients = [client('me'), { ...client('bad'), heartbeatInbox: bad }, client('me')];
    const { leftOut } = await importFrom(fs, new MadeUpSource([channel], clients));
    assert.deepEqual(leftOut, [
      'client bad: its heartbeat inbox is no subject to publish to. It has to connect again',
      'client me: another client has the same id. It has to connect again',
      'a subscription of client me to a: its inbox is no subject to publish to. It ends; its client has to subscribe again',
      'a subscription of client me to a: its ack inbox is no subject. It comes along offline',
      'a subscription of client me to a: its ack inbox is no subject. What it has not acknowledged is for the other members',
      'a subscription of client bad to a: its client does not come along. What it has not acknowledged is for the other members',
    ]);
    const term = await LeasedTerm.begin(fs);
    const { clients: found, subscriptions: kept } = term.store.recovered;
    assert.deepEqual(
      found.map(({ clientId }) => clientId),
      ['me'],
    );
    assert.deepEqual(
      kept.map(
        ({ record: { clientId, queueGroup, durableName, isOnline, maxInFlight, lastSent }, pending }) => [
          ...[clientId, queueGroup || durableName, isOnline, maxInFlight, lastSent],
          ...pending,
        ],
      ),
      [
        ['', 'dur:q', false, 0, 9, 6, 9],
        ['me', 'd', false, 10, 7, 5],
        ['me', 'zero', true, 1, 0],
      ],
    );
    await term.end();
  });

  it('writes as many segments as it takes, also within one channel', async () => {
    const fs = new SimFs();
    const text = 'x'.repeat(1000);
    const channels = Array.from({ length: 40 }, (_, i) => `channel.${i}`);
    const report = await importFrom(
      fs,
      new MadeUpSource([
        { name: 'large', firstSequence: 1, lastSequence: 5000, messages: messages(1, 5000, text) },
        ...channels.map((name) => ({
          name,
          firstSequence: 1,
          lastSequence: 3,
          messages: messages(1, 3, name),
        })),
      ]),
      { segmentBytes: 1024 * 1024 },
    );
    assert.equal(report.messages, 5120);
    const { segments } = await storeInfo({ fs, clock, dir: DIR });
    assert.ok(segments.length >= 4, `${segments.length} segments`);
    assert.deepEqual((await verify(fs)).damages, []);
    const term = await LeasedTerm.begin(fs);
    assert.deepEqual(
      await readAll(term.log('large')),
      [...messages(1, 5000, text)].map(({ data }) => data.toString()),
    );
    for (const name of channels) assert.equal((await readAll(term.log(name)))[2], `${name} 3`);
    await term.end();
  });

  it('gives messages from a clock that was ahead its own time, and does not follow that clock', async () => {
    const fs = new SimFs();
    const nowNs = clock.wallNs();
    const late = { sequence: 1, data: Buffer.from('late'), timestampNs: nowNs + 3_600_000_000_000n };
    const back = { sequence: 2, data: Buffer.from('back'), timestampNs: nowNs - 1_000_000_000n };
    await importFrom(
      fs,
      new MadeUpSource([{ name: 'a', firstSequence: 1, lastSequence: 2, messages: [late, back] }]),
    );
    const term = await LeasedTerm.begin(fs);
    assert.equal(term.store.timeProblem, undefined);
    assert.ok(Math.abs(term.store.timeMs - clock.wallMs) < 1000);
    assert.deepEqual(await bytesOf(term.log('a'), 1), msgProto('a', late));
    assert.equal(await term.log('a').sequenceAtTime(nowNs + 1_000_000n), 3);
    await term.end();
  });
});
