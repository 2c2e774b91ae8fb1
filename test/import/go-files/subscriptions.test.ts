import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { GoFileSource } from '../../../src/import/go-files/go-file-source.js';
import { isGroup, storedSubscriptions } from '../../../src/import/target/positions.js';
import { SourceError } from '../../../src/import/types/source-error.js';
import { NO_LIMITS } from '../../data/go-stores/scenario.js';
import { fields, messagesFrom, record, typedRecord, VERSION, writeSlice } from './written-store.js';

/** Fields of SubState. */
const ID = 1;
const CLIENT = 2;
const GROUP = 3;
const INBOX = 4;
const DURABLE = 8;
const LAST_SENT = 9;
const IS_DURABLE = 10;
const IS_CLOSED = 11;

const add = (values: Record<number, string | number>) => typedRecord(1, fields(values));
const update = (values: Record<number, string | number>) => typedRecord(2, fields(values));
const remove = (id: number) => typedRecord(3, fields({ 1: id }));
const ack = (id: number, sequence: number) => typedRecord(4, fields({ 1: id, 2: sequence }));
const deliver = (id: number, sequence: number) => typedRecord(5, fields({ 1: id, 2: sequence }));

describe('the clients and subscriptions of a Go server', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'stanchion-subscriptions-'));
    mkdirSync(join(dir, 'x'));
    writeSlice(join(dir, 'x'), 1, messagesFrom(1, 50));
    writeFileSync(join(dir, 'server.dat'), Buffer.concat([VERSION, record(fields({ 1: 'cluster' }))]));
    writeClients(typedRecord(1, fields({ 1: 'here', 2: 'hb.1' })));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const writeClients = (...records: Buffer[]) =>
    writeFileSync(join(dir, 'clients.dat'), Buffer.concat([VERSION, ...records]));
  const writeSubscriptions = (...records: Buffer[]) =>
    writeFileSync(join(dir, 'x', 'subs.dat'), Buffer.concat([VERSION, ...records]));

  async function open(isLenient = false) {
    const serverSeen = () => Promise.resolve(undefined);
    const source = new GoFileSource({
      dir,
      limits: () => NO_LIMITS,
      isLenient,
      isCrcChecked: true,
      serverSeen,
    });
    const state = await source.open();
    const [channel] = state.channels;
    assert.ok(channel);
    return { state, channel, subscriptions: channel.subscriptions, problems: source.problems };
  }

  it('are the clients that were added last, and not removed', async () => {
    writeClients(
      typedRecord(1, fields({ 1: 'here', 2: 'hb.1' })),
      typedRecord(1, fields({ 1: 'gone', 2: 'hb.2' })),
      typedRecord(2, fields({ 1: 'gone' })),
      typedRecord(1, fields({ 1: 'here', 2: 'hb.3', 3: 'conn', 4: 1, 5: 7, 6: 5 })),
    );
    const { state } = await open();
    assert.deepEqual(state.clients, [
      {
        ...{ clientId: 'here', heartbeatInbox: 'hb.3', connId: new Uint8Array(Buffer.from('conn')) },
        ...{ protocol: 1, pingIntervalSeconds: 7, pingMaxOut: 5 },
      },
    ]);
  });

  it('keep what is pending when a record replaces another, and forget it when it is added again or removed', async () => {
    writeSubscriptions(
      add({ [ID]: 1, [CLIENT]: 'here', [INBOX]: 'a' }),
      deliver(1, 7),
      deliver(1, 3),
      deliver(1, 4),
      deliver(1, 4),
      ack(1, 3),
      update({ [ID]: 1, [CLIENT]: 'here', [INBOX]: 'b', [LAST_SENT]: 6 }),
      add({ [ID]: 2, [CLIENT]: 'here', [INBOX]: 'c' }),
      deliver(2, 1),
      remove(2),
      deliver(2, 2),
      add({ [ID]: 3, [CLIENT]: 'here', [INBOX]: 'd' }),
      deliver(3, 9),
      add({ [ID]: 3, [CLIENT]: 'here', [INBOX]: 'e', [LAST_SENT]: 9 }),
      update({ [ID]: 4, [CLIENT]: 'here', [INBOX]: 'f' }),
      deliver(5, 1),
    );
    const { subscriptions } = await open();
    assert.deepEqual(
      subscriptions.map(({ inbox, lastSent, pending }) => ({ inbox, lastSent, pending })),
      [
        { inbox: 'b', lastSent: 6, pending: [4, 7] },
        { inbox: 'e', lastSent: 9, pending: [] },
        { inbox: 'f', lastSent: 0, pending: [] },
      ],
    );
  });

  it('are online, offline durables, states of groups, or dropped, as the Go server makes of them', async () => {
    writeSubscriptions(
      add({ [ID]: 1, [CLIENT]: 'here', [INBOX]: 'plain' }),
      add({ [ID]: 2, [CLIENT]: 'gone', [INBOX]: 'plain of a client that is gone' }),
      add({ [ID]: 3, [CLIENT]: 'here', [INBOX]: 'durable', [DURABLE]: 'd1', [IS_DURABLE]: 1 }),
      add({ [ID]: 4, [CLIENT]: 'here', [INBOX]: 'closed', [DURABLE]: 'd2', [IS_DURABLE]: 1, [IS_CLOSED]: 1 }),
      // Versions before isDurable and isClosed.
      add({ [ID]: 5, [CLIENT]: 'gone', [INBOX]: 'old durable', [DURABLE]: 'd3' }),
      add({ [ID]: 6, [CLIENT]: 'here', [INBOX]: 'member', [GROUP]: 'g' }),
      add({ [ID]: 7, [CLIENT]: 'gone', [INBOX]: 'member of a client that is gone', [GROUP]: 'g' }),
      add({ [ID]: 8, [INBOX]: 'state', [GROUP]: 'd:g', [IS_DURABLE]: 1, [LAST_SENT]: 4 }),
      add({
        [ID]: 9,
        [CLIENT]: 'here',
        [INBOX]: 'durable member',
        [GROUP]: 'd:g',
        [IS_DURABLE]: 1,
        [LAST_SENT]: 7,
      }),
      add({ [ID]: 10, [CLIENT]: 'gone', [INBOX]: 'ghost', [GROUP]: 'd:g', [IS_DURABLE]: 1, [LAST_SENT]: 9 }),
      deliver(8, 2),
      deliver(8, 3),
    );
    const { subscriptions, problems } = await open();
    assert.deepEqual(
      subscriptions.map(({ inbox, isOnline, isDurable, lastSent }) => [inbox, isOnline, isDurable, lastSent]),
      [
        ['plain', true, false, 0],
        ['durable', true, true, 0],
        ['closed', false, true, 0],
        ['old durable', false, true, 0],
        ['member', true, false, 0],
        ['state', false, true, 7],
        ['durable member', true, true, 7],
      ],
    );
    assert.deepEqual(subscriptions.find(({ inbox }) => inbox === 'state')?.pending, [2, 3]);
    assert.deepEqual(problems, []);
  });

  it('leave to their queue groups what members had not acknowledged whose clients are gone', async () => {
    const member = (id: number, values: Record<number, string | number>) => add({ [ID]: id, ...values });
    writeSubscriptions(
      member(1, { [CLIENT]: 'here', [INBOX]: 'a', [GROUP]: 'd:g', [IS_DURABLE]: 1, [LAST_SENT]: 7 }),
      member(2, { [CLIENT]: 'gone', [INBOX]: 'b', [GROUP]: 'd:g', [IS_DURABLE]: 1 }),
      member(3, { [CLIENT]: 'here', [INBOX]: 'c', [GROUP]: 'plain', [LAST_SENT]: 4 }),
      member(4, { [CLIENT]: 'gone', [INBOX]: 'd', [GROUP]: 'plain' }),
      member(5, { [CLIENT]: 'gone', [INBOX]: 'e', [GROUP]: 'd:alone', [IS_DURABLE]: 1, [LAST_SENT]: 9 }),
      member(6, { [CLIENT]: 'gone', [INBOX]: 'f', [GROUP]: 'alone', [LAST_SENT]: 9 }),
      deliver(1, 6),
      deliver(2, 5),
      // Behind the position of the group: it comes as new.
      deliver(2, 8),
      deliver(4, 2),
      deliver(5, 3),
      deliver(6, 3),
    );
    const { channel, problems } = await open();
    const stored = storedSubscriptions(channel).filter(isGroup);
    assert.deepEqual(
      stored.map(({ queueGroup, isDurable, lastSent, pending }) => [
        queueGroup,
        isDurable,
        lastSent,
        pending,
      ]),
      [
        ['d:g', true, 7, [5]],
        ['plain', false, 4, [2]],
        ['d:alone', true, 9, [3]],
      ],
    );
    assert.deepEqual(
      problems.map(({ isLoss, text }) => [isLoss, /group (\S+) is left from client gone/.exec(text)?.[1]]),
      [
        [false, 'd:g'],
        [false, 'plain'],
        [false, 'd:alone'],
      ],
    );
  });

  it('have one state for a group that has two, the one that is further, with what is pending in either', async () => {
    writeSubscriptions(
      add({ [ID]: 1, [GROUP]: 'd:g', [IS_DURABLE]: 1 }),
      add({ [ID]: 2, [GROUP]: 'd:g', [IS_DURABLE]: 1 }),
      deliver(1, 5),
      deliver(2, 3),
      deliver(2, 8),
    );
    const { subscriptions } = await open();
    assert.deepEqual(
      subscriptions.map(({ lastSent, pending }) => ({ lastSent, pending })),
      [{ lastSent: 8, pending: [3, 5, 8] }],
    );
  });

  it('have one record for a durable that has two: the online one, or the one that is further back, with what is pending in either', async () => {
    writeSubscriptions(
      add({ [ID]: 1, [CLIENT]: 'here', [INBOX]: 'off', [DURABLE]: 'd', [LAST_SENT]: 3, [IS_CLOSED]: 1 }),
      add({ [ID]: 2, [CLIENT]: 'here', [INBOX]: 'on', [DURABLE]: 'd', [LAST_SENT]: 6 }),
      deliver(1, 3),
      deliver(2, 5),
      add({ [ID]: 3, [CLIENT]: 'gone', [INBOX]: 'far', [DURABLE]: 'd', [LAST_SENT]: 9 }),
      add({ [ID]: 4, [CLIENT]: 'gone', [INBOX]: 'near', [DURABLE]: 'd', [LAST_SENT]: 4 }),
      deliver(3, 2),
    );
    const { subscriptions } = await open();
    assert.deepEqual(
      subscriptions.map(({ inbox, lastSent, pending }) => ({ inbox, lastSent, pending })),
      [
        { inbox: 'on', lastSent: 6, pending: [3, 5] },
        { inbox: 'near', lastSent: 4, pending: [2] },
      ],
    );
  });

  it('have been sent messages that no file has: new ones begin behind them', async () => {
    writeSubscriptions(add({ [ID]: 1, [CLIENT]: 'here', [LAST_SENT]: 60 }));
    const { channel, problems } = await open();
    assert.deepEqual([channel.firstSequence, channel.lastSequence, channel.messages], [1, 60, 50]);
    assert.equal(problems[0]?.isLoss, true);
    assert.match(problems[0]?.text ?? '', /up to 60 have been delivered, and the files have them up to 50/);
  });

  for (const [what, bytes] of [
    ['is cut off', add({ [ID]: 2, [CLIENT]: 'here', [INBOX]: 'c' }).subarray(0, 12)],
    ['has a bad CRC', add({ [ID]: 2 }).fill(9, 8, 9)],
    ['has an unknown type', typedRecord(77, fields({ 1: 2 }))],
    ['is no subscription', typedRecord(1, Buffer.from('no protobuf at all'))],
    [
      'has an id above 2^53',
      typedRecord(1, Buffer.from([8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1])),
    ],
  ] as const) {
    it(`are refused with file and offset where a record ${what}, and a lenient import keeps the others`, async () => {
      const good = add({ [ID]: 1, [CLIENT]: 'here', [INBOX]: 'a' });
      const other = what === 'is cut off' ? [] : [add({ [ID]: 3, [CLIENT]: 'here', [INBOX]: 'z' })];
      writeSubscriptions(good, bytes, ...other);
      const path = join(dir, 'x', 'subs.dat');
      await assert.rejects(open(), (error) => {
        assert.ok(error instanceof SourceError);
        assert.equal(error.code, 'damaged');
        assert.ok(
          error.message.startsWith(`${path} at byte ${VERSION.length + good.length}: `),
          error.message,
        );
        return true;
      });
      const { subscriptions, problems } = await open(true);
      assert.deepEqual(
        subscriptions.map(({ inbox }) => inbox),
        ['a', ...other.map(() => 'z')],
      );
      assert.deepEqual(
        problems.map(({ isLoss, where }) => [isLoss, where]),
        [[true, path]],
      );
    });
  }

  it("are not in the files of a cluster's node, which is told as a loss", async () => {
    writeFileSync(
      join(dir, 'server.dat'),
      Buffer.concat([VERSION, record(fields({ 1: 'cluster', 9: 'node-a' }))]),
    );
    const { state, problems } = await open();
    assert.equal(state.clusterId, 'cluster');
    assert.equal(problems[0]?.isLoss, true);
    assert.match(
      problems[0]?.text ?? '',
      /node node-a of a cluster.* in the Raft log, and do not come along/,
    );
  });

  it('reach their server at other subjects, if it told them others', async () => {
    const texts = { 1: 'cluster', 3: 'pub.id', 4: 'sub.id', 5: 'unsub.id', 6: 'close.id' };
    writeFileSync(join(dir, 'server.dat'), Buffer.concat([VERSION, record(fields(texts))]));
    const { state } = await open();
    assert.deepEqual(state.subjects, {
      ...{ publish: 'pub.id', subscribe: 'sub.id', unsubscribe: 'unsub.id', close: 'close.id' },
      subscriptionClose: '',
    });
  });
});
