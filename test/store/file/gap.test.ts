import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Lease } from '../../../src/lease/lease.js';
import { openFileStore } from '../../../src/store/file/open-file-store.js';
import { repairStore } from '../../../src/store/tools/repair-store.js';
import { storeVerify } from '../../../src/store/tools/verify.js';
import type { ChannelLog } from '../../../src/store/types/store.js';
import { until } from '../file-support.js';
import { SimFs } from '../sim-fs.js';
import { NO_LIMITS, pubMsg, random, read, TestClock, TestHost } from '../support.js';

const DIR = '/store';

describe('a log with messages that a repair could not save', () => {
  let clock = new TestClock();
  const startMs = clock.wallMs;

  async function open(fs: SimFs, epoch: number) {
    const settings = { clusterId: 'test-cluster', journalBytes: 1024 * 1024 };
    await new Lease(fs, DIR).create('test');
    const store = await openFileStore({ fs, clock, random, dir: DIR, epoch, warn: () => {}, ...settings });
    return { store, host: new TestHost(store) };
  }

  /** Messages 1 to 10, a second apart, of which 4, 5 and 8 are lost. */
  async function withGaps(): Promise<SimFs> {
    const fs = new SimFs();
    clock = new TestClock();
    const { store, host } = await open(fs, 1);
    const log = store.createLog('foo', NO_LIMITS);
    await host.commit();
    for (let i = 1; i <= 10; i++) {
      clock.wallMs = startMs + i * 1000;
      log.append(pubMsg('foo', `message ${i}.`), 1);
      await host.commit();
    }
    store.upkeep.checkpoint();
    await until(() => !store.upkeep.isCheckpointing, 'the checkpoint');
    await store.close();
    const journal = fs.content(fs.paths().find((path) => path.endsWith('.log'))!);
    for (const i of [4, 5, 8]) journal[journal.indexOf(`message ${i}.`)]! ^= 1;
    const lease = { epoch: 2, fence: async () => {}, markServed: async () => {}, release: async () => {} };
    await repairStore({
      ...{ fs, clock, dir: DIR, random, clusterId: undefined, isDryRun: false },
      ask: async () => true,
      takeLease: async () => lease,
    });
    return fs;
  }

  const present = async (log: ChannelLog): Promise<number[]> => {
    const found: number[] = [];
    for (
      let sequence = log.skipLost(log.firstSequence);
      sequence <= log.lastSequence;
      sequence = log.skipLost(sequence + 1)
    ) {
      assert.equal(await read(log, sequence), `message ${sequence}.`);
      found.push(sequence);
    }
    return found;
  };

  it('gives the others under their sequences, and does not count those that are lost', async () => {
    const { store } = await open(await withGaps(), 3);
    const [log] = store.recovered.logs;
    assert.deepEqual([log!.firstSequence, log!.lastSequence, log!.messageCount], [1, 10, 7]);
    assert.deepEqual(await present(log!), [1, 2, 3, 6, 7, 9, 10]);
    assert.deepEqual([log!.skipLost(3), log!.skipLost(4), log!.skipLost(5), log!.skipLost(8)], [3, 6, 6, 9]);
    await store.close();
  });

  it('keeps as many messages as its limit says, whatever is lost among them', async () => {
    const { store, host } = await open(await withGaps(), 3);
    const [log] = store.recovered.logs;
    log!.setLimits({ ...NO_LIMITS, maxMessages: 4 });
    assert.deepEqual(await present(log!), [6, 7, 9, 10]);
    assert.equal(log!.firstSequence, 6);
    log!.append(pubMsg('foo', 'message 11.'), 1);
    log!.append(pubMsg('foo', 'message 12.'), 1);
    await host.commit();
    // The gap went with the message before it.
    assert.deepEqual([log!.firstSequence, log!.messageCount], [9, 4]);
    assert.deepEqual(await present(log!), [9, 10, 11, 12]);
    await store.close();
  });

  it('finds where a time begins, in a gap too', async () => {
    const { store } = await open(await withGaps(), 3);
    const [log] = store.recovered.logs;
    for (const [second, expected] of [
      ...[
        [1, 1],
        [3, 3],
        [4, 6],
        [6, 6],
        [8, 9],
        [10, 10],
      ],
    ] as [number, number][]) {
      const at = await log!.sequenceAtTime(BigInt(startMs + second * 1000 - 500) * 1_000_000n);
      assert.equal(log!.skipLost(at), expected, `${second} s`);
    }
    await store.close();
  });

  it('is the same after checkpoints, merges and restarts', async () => {
    const fs = await withGaps();
    for (let epoch = 3; epoch < 14; epoch++) {
      const { store, host } = await open(fs, epoch);
      store.recovered.logs[0]!.append(pubMsg('foo', `message ${epoch + 8}.`), 1);
      await host.commit();
      store.upkeep.checkpoint();
      await until(() => store.upkeep.isIdle, 'the checkpoint, and a merge');
      await store.close();
    }
    const segments = fs.paths().filter((path) => path.endsWith('.seg'));
    assert.ok(segments.length < 8, `they were merged: ${segments.length}`);
    const { damages, notes } = await storeVerify({ fs, clock, dir: DIR });
    assert.deepEqual(damages, []);
    assert.match(notes.join(), /gap: messages 4 to 5 of channel foo, .*gap: message 8 of channel foo/);
    const { store } = await open(fs, 14);
    const [log] = store.recovered.logs;
    assert.deepEqual(await present(log!), [
      1,
      2,
      3,
      6,
      7,
      9,
      10,
      ...Array.from({ length: 11 }, (_, i) => i + 11),
    ]);
    await store.close();
  });
});
