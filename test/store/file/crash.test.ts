import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FileStore } from '../../../src/store/file/file-store.js';
import { openFileStore } from '../../../src/store/file/open-file-store.js';
import type {
  ChannelLog,
  ClientRecord,
  LogLimits,
  SubscriptionRecord,
} from '../../../src/store/types/store.js';
import { until } from '../file-support.js';
import { SimFs } from '../sim-fs.js';
import { NO_LIMITS, progressOf, pubMsg, random, read, TestClock, TestHost } from '../support.js';

const DIR = '/store';
const KEPT = 20;
const LIMITED: LogLimits = { ...NO_LIMITS, maxMessages: KEPT };

/** What a store was given, and when it said that it has it. */
class History {
  messages: { channel: string; sequence: number; data: string; batch: number }[] = [];
  clients: { clientId: string; batch: number }[] = [];
  acked: { sequence: number; batch: number }[] = [];
  deleted: { channel: string; batch: number } | undefined;
  committed = 0;

  /** As it is now: a run that has crashed may still go on for a few turns, and append what nobody hears of. */
  copy(): History {
    const copy = new History();
    copy.messages = [...this.messages];
    copy.clients = [...this.clients];
    copy.acked = [...this.acked];
    copy.deleted = this.deleted;
    copy.committed = this.committed;
    return copy;
  }

  promised<T extends { batch: number }>(entries: readonly T[]): T[] {
    return entries.filter(({ batch }) => batch <= this.committed);
  }
}

/** Small, and each with all that can happen to it. */
const ROOM = { count: 1, leastCount: 1, bytes: 4096, leastBytes: 4096 };

async function open(fs: SimFs, epoch: number): Promise<{ store: FileStore; host: TestHost }> {
  const store = await openFileStore({
    fs,
    clock: new TestClock(),
    random,
    dir: DIR,
    clusterId: 'test-cluster',
    epoch,
    warn: () => {},
    journalBytes: 1024 * 1024,
    checkpointBytes: 512 * 1024,
    blockBytes: 64 * 1024,
    cacheBytes: 64 * 1024,
    sizes: { log: ROOM, ckpt: ROOM, seg: ROOM },
    spareBytes: 0,
  });
  return { store, host: new TestHost(store) };
}

function client(clientId: string, session: number): ClientRecord {
  return {
    clientId,
    heartbeatInbox: `hb.${clientId}`,
    connId: Buffer.from(`conn-${clientId}`),
    protocol: 1,
    pingIntervalSeconds: 5,
    pingMaxOut: 3,
    session,
  };
}

function subscription(id: number, channelId: number): SubscriptionRecord {
  return {
    id,
    channelId,
    clientId: 'one',
    inbox: 'inbox',
    ackInbox: 'ack',
    queueGroup: '',
    durableName: 'durable',
    isDurable: true,
    isOnline: true,
    maxInFlight: 10,
    ackWaitSeconds: 30,
    lastSent: 0,
  };
}

/** Goes once through everything that a store writes: batches, rolls, checkpoints, merges, drops, a second term. */
async function run(fs: SimFs, history: History): Promise<void> {
  let { store, host } = await open(fs, 1);
  const append = (log: ChannelLog, bytes: number): void => {
    const data = `${log.name} ${log.lastSequence + 1} ${'.'.repeat(bytes)}`;
    const batch = store.gathering;
    const sequence = log.append(pubMsg(log.name, data), 1);
    history.messages.push({ channel: log.name, sequence, data, batch: Math.max(batch, store.gathering) });
  };
  const follow = (): void => {
    host.onSnapshot = (sink) => {
      for (const { clientId } of history.clients) sink.client(client(clientId, 1));
      const acked = new Set(history.acked.map(({ sequence }) => sequence));
      sink.subscription(
        { ...subscription(1, 1), lastSent: 10 },
        ranges([1, 2, 3, 4, 5].filter((s) => !acked.has(s))),
      );
    };
    const told = host.onCommitted.bind(host);
    host.onCommitted = (batch) => {
      history.committed = base + batch;
      told(batch);
    };
  };
  let base = 0;
  follow();
  const all = store.createLog('all', NO_LIMITS);
  const limited = store.createLog('limited', LIMITED);
  const gone = store.createLog('gone', NO_LIMITS);
  store.putSubscription(subscription(1, all.id));
  store.putClient(client('one', 1));
  history.clients.push({ clientId: 'one', batch: store.gathering });
  for (let i = 0; i < 10; i++) for (const log of [all, limited, gone]) append(log, 10);
  store.recordProgress(progressOf(1, [1, 5], []));
  await host.commit();
  store.recordProgress(progressOf(1, [], [2, 3]));
  history.acked.push({ sequence: 2, batch: store.gathering }, { sequence: 3, batch: store.gathering });
  for (let i = 0; i < 15; i++) append(limited, 10);
  // So much of the first journal file that it is worth a merge when the channel goes.
  for (let i = 0; i < 6; i++) append(gone, 150_000);
  await host.commit();
  const checkpoint = async (): Promise<void> => {
    store.upkeep.checkpoint();
    await until(() => fs.isStopped || !store.upkeep.isCheckpointing, 'the checkpoint');
  };
  await host.commit();
  await checkpoint();
  history.deleted = { channel: 'gone', batch: store.gathering };
  store.deleteLog(gone);
  for (let i = 0; i < 5; i++) append(all, 10);
  await host.commit();
  // Over the end of the first journal.
  for (let round = 0; round < 12; round++) {
    for (let i = 0; i < 5; i++) append(all, 20_000);
    append(limited, 10);
    await host.commit();
  }
  await checkpoint();
  for (let i = 0; i < 30; i++) append(limited, 10);
  await host.commit();
  await checkpoint();
  await until(() => fs.isStopped || store.upkeep.isIdle, 'the merge, and the checkpoint after it');
  await store.close();
  if (fs.isStopped) return;
  base = history.committed;
  ({ store, host } = await open(fs, 2));
  follow();
  const again = store.recovered.logs.find(({ name }) => name === 'all')!;
  const data = `all ${again.lastSequence + 1} second lease`;
  const batch = base + store.gathering;
  history.messages.push({ channel: 'all', sequence: again.append(pubMsg('all', data), 1), data, batch });
  await host.commit();
  await checkpoint();
}

function ranges(sequences: readonly number[]): number[] {
  return sequences.flatMap((sequence) => [sequence, sequence]);
}

/** The invariants, as a broker that opens the store sees them. */
async function check(fs: SimFs, history: History, epoch: number): Promise<void> {
  const { store, host } = await open(fs, epoch);
  const logs = new Map(store.recovered.logs.map((log) => [log.name, log]));
  const given = new Map(
    history.messages.map(({ channel, sequence, data }) => [`${channel} ${sequence}`, data]),
  );
  for (const log of logs.values()) {
    log.setLimits(log.name === 'limited' ? LIMITED : NO_LIMITS);
    for (let sequence = log.firstSequence; sequence <= log.lastSequence; sequence++) {
      assert.equal(
        await read(log, sequence),
        given.get(`${log.name} ${sequence}`),
        `${log.name} ${sequence}`,
      );
    }
  }
  const isDeleted = history.deleted !== undefined && history.deleted.batch <= history.committed;
  if (isDeleted) assert.ok(!logs.has('gone'), 'what was deleted stays so');
  for (const { channel, sequence } of history.promised(history.messages)) {
    if (channel === 'gone' && history.deleted !== undefined) continue;
    const log = logs.get(channel);
    assert.ok(log !== undefined && log.lastSequence >= sequence, `${channel} ${sequence} was promised`);
    if (channel === 'all') assert.equal(log.firstSequence, 1);
    else assert.ok(log.firstSequence <= Math.max(1, log.lastSequence - KEPT + 1));
  }
  const clients = new Set(store.recovered.clients.map(({ clientId }) => clientId));
  for (const { clientId } of history.promised(history.clients)) assert.ok(clients.has(clientId), clientId);
  const [recovered] = store.recovered.subscriptions;
  const acked = new Set(history.acked.map(({ sequence }) => sequence));
  for (const { sequence } of history.promised(history.acked))
    assert.ok(!recovered!.pending.includes(sequence));
  for (const sequence of recovered?.pending ?? []) assert.ok(sequence <= 5);
  if (history.promised(history.acked).length > 0) {
    for (const sequence of [1, 4, 5])
      assert.ok(recovered!.pending.includes(sequence) && !acked.has(sequence));
  }
  // It goes on where it was.
  const all = logs.get('all');
  if (all !== undefined) {
    const next = all.lastSequence + 1;
    assert.equal(all.append(pubMsg('all', 'after'), 1), next);
    given.set(`all ${next}`, 'after');
    history.messages.push({ channel: 'all', sequence: next, data: 'after', batch: 0 });
    await host.commit();
  }
  await store.close();
}

describe('a crash', () => {
  it('between any two operations on the file system loses nothing that was committed', async () => {
    const whole = new SimFs();
    await run(whole, new History());
    assert.ok(whole.operations > 100);
    assert.ok(!whole.paths().includes(`${DIR}/journal/00000001.000001.log`), 'the first body was merged');
    assert.ok(whole.paths().includes(`${DIR}/journal/00000001.000002.log`), 'messages stay in journal files');
    for (let stopAt = 2; stopAt <= whole.operations + 1; stopAt++) {
      // That nothing unsynced is left is the harder half.
      for (const keep of stopAt % 3 === 0 ? (['synced', 'written'] as const) : (['synced'] as const)) {
        const fs = new SimFs();
        fs.stopAt = stopAt;
        const running = new History();
        await Promise.race([run(fs, running), until(() => fs.isStopped, 'the crash')]);
        const history = running.copy();
        const after = fs.restarted(keep);
        try {
          await check(after, history, 3);
          await check(after.restarted('synced'), history, 4);
        } catch (error) {
          throw new Error(`stopped at operation ${stopAt}, ${keep}: ${(error as Error).message}`, {
            cause: error,
          });
        }
      }
    }
  });
});
