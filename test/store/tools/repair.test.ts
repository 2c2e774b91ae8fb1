import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Lease } from '../../../src/lease/lease.js';
import { openFileStore } from '../../../src/store/file/open-file-store.js';
import type { RepairReport } from '../../../src/store/tools/repair.js';
import { type RepairOutcome, repairStore } from '../../../src/store/tools/repair-store.js';
import { storeVerify } from '../../../src/store/tools/verify.js';
import type { ChannelLog, SubscriptionRecord } from '../../../src/store/types/store.js';
import { until } from '../file-support.js';
import { SimFs } from '../sim-fs.js';
import { NO_LIMITS, progressOf, pubMsg, random, read, TestClock, TestHost } from '../support.js';

const DIR = '/store';
const MEBIBYTE = 1024 * 1024;
const clock = new TestClock();
const CHANNELS = ['orders', 'other', 'x'];

/** What was stored: text by channel and sequence. */
type Stored = Map<string, Map<number, string>>;

class Builder {
  readonly fs = new SimFs();
  readonly stored: Stored = new Map();
  #count = 0;

  async lease(epoch: number, work: (lease: Writing) => Promise<void>): Promise<void> {
    const store = await open(this.fs, epoch);
    const host = new TestHost(store);
    const records = store.recovered;
    host.onSnapshot = (sink) => {
      for (const client of records.clients) sink.client(client);
      for (const { record, pending } of records.subscriptions)
        sink.subscription(
          record,
          pending.flatMap((sequence) => [sequence, sequence]),
        );
    };
    const logs = new Map(records.logs.map((log) => [log.name, log]));
    await work({
      store,
      publish: (channel, count) => {
        const log = logs.get(channel) ?? store.createLog(channel, NO_LIMITS);
        logs.set(channel, log);
        for (let i = 0; i < count; i++) {
          const text = `${channel} ${++this.#count} ${'.'.repeat(this.#count % 50)}`;
          const sequence = log.append(pubMsg(channel, text, `guid-${this.#count}`), 1);
          const texts = this.stored.get(channel) ?? new Map<number, string>();
          this.stored.set(channel, texts.set(sequence, text));
        }
        return log;
      },
      commit: () => host.commit(),
      checkpoint: async () => {
        store.upkeep.checkpoint();
        await until(() => !store.upkeep.isCheckpointing, 'the checkpoint');
      },
    });
    await store.close();
  }
}

interface Writing {
  store: Awaited<ReturnType<typeof open>>;
  publish: (channel: string, count: number) => ChannelLog;
  commit: () => Promise<void>;
  checkpoint: () => Promise<void>;
}

async function open(fs: SimFs, epoch: number, warn: (message: string) => void = () => {}) {
  const settings = { clusterId: 'test-cluster', journalBytes: MEBIBYTE };
  await new Lease(fs, DIR).create('test');
  return openFileStore({ fs, clock, random, dir: DIR, epoch, warn, ...settings });
}

/** Two segments, a checkpoint, and the journals of two terms behind it; a durable with messages unacknowledged. */
async function smallStore(): Promise<{ fs: SimFs; stored: Stored; epoch: number }> {
  const builder = new Builder();
  await builder.lease(1, async ({ store, publish, commit, checkpoint }) => {
    for (const channel of CHANNELS) publish(channel, 12);
    await commit();
    await checkpoint();
    publish('orders', 5);
    await commit();
    store.putClient(CLIENT);
    store.putSubscription(DURABLE);
    await commit();
  });
  await builder.lease(2, async ({ store, publish, commit, checkpoint }) => {
    publish('orders', 3);
    await commit();
    await checkpoint();
    for (let batch = 0; batch < 4; batch++) {
      for (const channel of CHANNELS.slice(0, 2)) publish(channel, 2);
      store.recordProgress(
        progressOf(DURABLE.id, [batch * 3 + 1, batch * 3 + 3], [batch * 3 + 1, batch * 3 + 1]),
      );
      await commit();
    }
  });
  await builder.lease(3, async ({ publish, commit }) => {
    publish('new', 3);
    publish('orders', 2);
    await commit();
    publish('orders', 1);
    await commit();
  });
  // The last batch of a term may be torn, as far as anybody can tell. So there is one behind it.
  await builder.lease(4, async () => {});
  return { fs: builder.fs.restarted('synced'), stored: builder.stored, epoch: 4 };
}

const CLIENT = {
  ...{ clientId: 'billing', heartbeatInbox: '_INBOX.hb', connId: Buffer.from('c'), protocol: 1 },
  ...{ pingIntervalSeconds: 5, pingMaxOut: 3, session: 7 },
};
const DURABLE: SubscriptionRecord = {
  ...{ id: 3, channelId: 1, clientId: 'billing', inbox: '_INBOX.a', ackInbox: '_INBOX.b', queueGroup: '' },
  ...{
    durableName: 'ledger',
    isDurable: true,
    isOnline: false,
    maxInFlight: 100,
    ackWaitSeconds: 30,
    lastSent: 0,
  },
};

async function repaired(
  fs: SimFs,
  epoch: number,
  options: Partial<Parameters<typeof repairStore>[0]> = {},
): Promise<RepairOutcome> {
  const lease = { epoch, fence: async () => {}, markServed: async () => {}, release: async () => {} };
  return repairStore({
    ...{ fs, clock, dir: DIR, random, clusterId: undefined, isDryRun: false },
    ask: async () => true,
    takeLease: async () => lease,
    ...options,
  });
}

/** Messages that were told as lost. */
function toldLost({ lost }: Pick<RepairReport, 'lost'>): Set<string> {
  const told = new Set<string>();
  for (const { channel, first, last } of lost)
    for (let sequence = first; sequence <= last; sequence++) told.add(`${channel} ${sequence}`);
  return told;
}

/** Opens the store and compares. @returns messages that are gone */
async function expectAllBut(
  told: ReadonlySet<string>,
  fs: SimFs,
  epoch: number,
  stored: Stored,
  what: string,
): Promise<number> {
  const store = await open(fs, epoch);
  const host = new TestHost(store);
  const logs = new Map(store.recovered.logs.map((log) => [log.name, log]));
  let gone = 0;
  for (const [channel, texts] of stored) {
    const log = logs.get(channel);
    for (const [sequence, text] of texts) {
      const found = log === undefined ? undefined : await read(log, sequence);
      if (told.has(`${channel} ${sequence}`)) {
        gone++;
        // It is passed over: not found, and not waited for.
        assert.equal(found, undefined, `${what}: ${channel} ${sequence} was told as lost`);
        if (log !== undefined && sequence >= log.firstSequence && sequence <= log.lastSequence)
          assert.ok(log.skipLost(sequence) > sequence, `${what}: ${channel} ${sequence}`);
      } else assert.equal(found, text, `${what}: ${channel} ${sequence}`);
    }
    // No sequence is given twice.
    if (log !== undefined) {
      const next = log.append(pubMsg(channel, 'after the repair'), 1);
      assert.ok(next > Math.max(...texts.keys()), `${what}: ${channel} ${next} was given before`);
      await host.commit();
      assert.equal(await read(log, next), 'after the repair');
    }
  }
  await store.close();
  return gone;
}

describe('stanchion store repair', () => {
  let whole: SimFs;
  let stored: Stored;
  let epoch: number;
  before(async () => {
    ({ fs: whole, stored, epoch } = await smallStore());
  });

  it('has nothing to do with a store that is well, and changes nothing', async () => {
    const fs = whole.restarted('synced');
    const paths = fs.paths();
    const { result, notes } = await repaired(fs, epoch + 1);
    assert.deepEqual([result, notes], ['well', []]);
    assert.deepEqual(fs.paths(), paths);
  });

  it('of a byte flipped anywhere loses what it says and nothing else', async (t) => {
    let flips = 0;
    let lost = 0;
    const files = whole
      .paths()
      .filter((path) =>
        /(stanchion|journal\/.*|segments\/.*|checkpoints\/.*)\.(log|seg|ckpt|json)$/.test(path),
      );
    assert.ok(files.length >= 6, files.join());
    for (const path of files) {
      const used = usedBytes(whole.content(path));
      const step = Math.max(1, Math.floor(used / 9)) | 1;
      for (let at = 0; at < used; at += step) {
        const fs = whole.restarted('synced');
        fs.content(path)[at]! ^= 1 << (flips % 8);
        const what = `${path}, bit ${flips % 8} of byte ${at}`;
        const isNoDamage =
          /json$/.test(path) &&
          (await storeVerify({ fs, clock, dir: DIR }).catch(() => undefined))?.damages.length === 0;
        if (isNoDamage) continue;
        const outcome = await repaired(fs, epoch + 1).catch((error: Error) => {
          if (/Give it: --cluster-id/.test(error.message))
            return repaired(fs, epoch + 1, { clusterId: 'test-cluster' });
          throw new Error(`${what}: ${error.message}`, { cause: error });
        });
        flips++;
        if (outcome.result === 'well') {
          assert.deepEqual((await storeVerify({ fs, clock, dir: DIR })).damages, [], what);
          continue;
        }
        const { damages } = await storeVerify({ fs, clock, dir: DIR });
        assert.deepEqual(damages, [], what);
        const { lost: certain, doubtful, also } = outcome.report;
        const told = toldLost({ lost: [...certain, ...doubtful] });
        assert.ok(told.size <= stored.size, `${what}: ${JSON.stringify(outcome.report.lost)}`);
        assert.ok(also.length <= 1, what);
        lost += await expectAllBut(told, fs.restarted('synced'), epoch + 2, stored, what);
      }
    }
    t.diagnostic(`${flips} flips cost ${lost} messages`);
  });

  it('of several damages at once reports everything that is gone', async (t) => {
    const files = whole
      .paths()
      .filter((path) => /(journal|segments|checkpoints)\/.*\.(log|seg|ckpt)$/.test(path));
    const below = seededRandom(7);
    let gone = 0;
    for (let run = 0; run < 25; run++) {
      const fs = whole.restarted('synced');
      const hits: string[] = [];
      for (let hit = below(6); hit >= 0; hit--) {
        const path = files[below(files.length)]!;
        const at = below(usedBytes(whole.content(path)));
        if (below(4) === 0) zero(fs.content(path), at, below(256));
        else fs.content(path)[at]! ^= 1 << below(8);
        hits.push(`${path} ${at}`);
      }
      const what = `run ${run}: ${hits.join(', ')}`;
      const { result, report } = await repaired(fs, epoch + 1);
      assert.deepEqual((await storeVerify({ fs, clock, dir: DIR })).damages, [], what);
      // Torn by a crash, as far as anybody can tell; or of channels and messages of which nothing is left to tell.
      if (result === 'well' || report.also.some((other) => /nothing shows/.test(other))) continue;
      const told = toldLost({ lost: [...report.lost, ...report.doubtful] });
      const known = new Map(stored);
      if (report.also.length > 0) known.delete('new');
      gone += await expectAllBut(told, fs.restarted('synced'), epoch + 2, known, what);
    }
    t.diagnostic(`${gone} messages are gone`);
    assert.ok(gone > 0);
  });

  /** The journal file, before the checkpoint, in which a message stays. */
  const bodyWith = (text: string): string =>
    whole.paths().find((path) => path.endsWith('.log') && whole.content(path).includes(text)) ??
    assert.fail();

  it('that is interrupted anywhere is done by the next one, with the same loss', async (t) => {
    const body = bodyWith('orders 3 ');
    const journal = whole.paths().find((path) => path.endsWith('00000002.000001.log'))!;
    const damagedStore = (): SimFs => {
      const fs = whole.restarted('synced');
      fs.content(body)[fs.content(body).indexOf('orders 3 ')]! ^= 1;
      fs.content(journal)[fs.content(journal).indexOf('other 4') + 3]! ^= 1;
      return fs;
    };
    const uninterrupted = damagedStore();
    const before = uninterrupted.operations;
    const { report } = await repaired(uninterrupted, epoch + 1);
    const told = toldLost(report);
    assert.equal(told.size, 2);
    const operations = uninterrupted.operations - before;
    for (let at = 1; at <= operations; at += 3) {
      const keep = at % 2 === 0 ? 'synced' : 'written';
      const stopped = damagedStore();
      stopped.stopAt = stopped.operations + at;
      // What is asked of a machine without power is never answered.
      await Promise.race([repaired(stopped, epoch + 1), until(() => stopped.isStopped, 'the end of power')]);
      const fs = stopped.restarted(keep);
      const what = `${keep}, stopped at operation ${at} of ${operations}`;
      const { result, report: second } = await repaired(fs, epoch + 2);
      // Once the checkpoint is there, the store itself tells what is lost; what is left to do is to take old files out.
      const lost = toldLost(second);
      if (result === 'repaired' && lost.size > 0) assert.deepEqual(lost, told, what);
      assert.deepEqual((await storeVerify({ fs, clock, dir: DIR })).damages, [], what);
      assert.equal(await expectAllBut(told, fs.restarted('synced'), epoch + 3, stored, what), 2);
      const kept = fs.paths().filter((path) => path.startsWith(`${DIR}/damaged/`));
      for (const path of [body, journal])
        assert.ok(
          kept.some((one) => one.endsWith(path.slice(DIR.length))),
          what,
        );
    }
    t.diagnostic(`${operations} operations`);
  });

  it('of a segment that is interrupted anywhere leaves a store that opens, as it did before', async () => {
    const body = bodyWith('orders 3 ');
    const damagedStore = (): SimFs => {
      const fs = whole.restarted('synced');
      fs.content(body)[fs.content(body).indexOf('orders 3 ')]! ^= 1;
      return fs;
    };
    const uninterrupted = damagedStore();
    const before = uninterrupted.operations;
    await repaired(uninterrupted, epoch + 1);
    const operations = uninterrupted.operations - before;
    for (let at = 1; at <= operations; at++) {
      const stopped = damagedStore();
      stopped.stopAt = stopped.operations + at;
      await Promise.race([repaired(stopped, epoch + 1), until(() => stopped.isStopped, 'the end of power')]);
      const store = await open(stopped.restarted(at % 2 === 0 ? 'synced' : 'written'), epoch + 2);
      for (const { name, lastSequence } of store.recovered.logs)
        assert.ok(lastSequence >= Math.max(...(stored.get(name)?.keys() ?? [])), `${name}, stopped at ${at}`);
      assert.equal(store.recovered.logs.length, stored.size);
      await store.close();
    }
  });

  it('of a file of which the disk does not give a sector keeps what is elsewhere', async (t) => {
    for (const path of whole
      .paths()
      .filter((name) => /(journal|segments|checkpoints)\/.*\.(log|seg|ckpt)$/.test(name))) {
      const fs = whole.restarted('synced');
      const sick = usedBytes(whole.content(path)) >> 1;
      const look = fs.open.bind(fs);
      t.mock.method(fs, 'open', async (...[name, mode]: Parameters<SimFs['open']>) => {
        const file = await look(name, mode);
        if (name !== path) return file;
        const { read } = file;
        file.read = (buffer, start, end, position) => {
          const isSick = position <= sick && sick < position + end - start;
          const error = Object.assign(new Error(`EIO: i/o error, read '${path}'`), { code: 'EIO', path });
          return isSick ? Promise.reject(error) : read.call(file, buffer, start, end, position);
        };
        return file;
      });
      const { damages } = await storeVerify({ fs, clock, dir: DIR });
      assert.ok(
        damages.some((damage) => damage.path === path),
        `${path}: ${JSON.stringify(damages)}`,
      );
      const { report } = await repaired(fs, epoch + 1);
      const told = toldLost({ lost: [...report.lost, ...report.doubtful] });
      const known = new Map(stored);
      if (report.also.some((other) => /a channel that was made just then/.test(other))) known.delete('new');
      await expectAllBut(told, fs.restarted('synced'), epoch + 2, known, path);
    }
  });

  const DAMAGES: Record<string, (fs: SimFs, path: string, used: number) => void> = {
    'a sector of zeros': (fs, path, used) => zero(fs.content(path), used >> 2),
    'a sector of rubbish': (fs, path, used) => zero(fs.content(path), used >> 1, 0x5a),
    'zeros at the beginning': (fs, path) => zero(fs.content(path), 0),
    'cut in the middle': (fs, path, used) => fs.replace(path, fs.content(path).subarray(0, used >> 1)),
    emptied: (fs, path) => fs.replace(path, Buffer.alloc(0)),
    removed: (fs, path) => void fs.unlink(path),
  };
  for (const [kind, damage] of Object.entries(DAMAGES)) {
    it(`of a file with ${kind} keeps what is elsewhere, and gives no sequence again`, async () => {
      for (const path of whole
        .paths()
        .filter((name) => /(journal|segments|checkpoints)\/.*\.(log|seg|ckpt)$/.test(name))) {
        const fs = whole.restarted('synced');
        damage(fs, path, usedBytes(whole.content(path)));
        const outcome = await repaired(fs, epoch + 1);
        const what = `${path} ${kind}`;
        assert.deepEqual((await storeVerify({ fs, clock, dir: DIR })).damages, [], what);
        const { lost, doubtful } = outcome.report;
        const told = toldLost({ lost: [...lost, ...doubtful] });
        // A channel of which everything lay in what is lost: nobody knows of it any more, and that is told.
        const known = new Map(stored);
        if (outcome.report.also.some((other) => /a channel that was made just then/.test(other)))
          known.delete('new');
        await expectAllBut(told, fs.restarted('synced'), epoch + 2, known, what);
      }
    });
  }
});

/** The same numbers each time: whole ones from 0 to below the limit. */
function seededRandom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * limit);
  };
}

function zero(content: Buffer, from: number, value = 0): void {
  content.fill(value, from, Math.min(content.length, from + 512));
}

function usedBytes(content: Buffer): number {
  let end = content.length;
  while (end > 0 && content[end - 1] === 0) end--;
  return end;
}
