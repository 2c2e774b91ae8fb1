import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FileStore } from '../../../src/store/file/file-store.js';
import { openFileStore } from '../../../src/store/file/open-file-store.js';
import { until } from '../file-support.js';
import { SimFs } from '../sim-fs.js';
import { NO_LIMITS, pubMsg, random, TestClock, TestHost } from '../support.js';

const DIR = '/store';
const ROW_BYTES = 16;
const MESSAGES = 10;

describe('damaged rows of a segment', () => {
  let clock = new TestClock();
  const startMs = clock.wallMs;

  async function open(
    fs: SimFs,
    epoch: number,
  ): Promise<{ store: FileStore; host: TestHost; warnings: string[] }> {
    const warnings: string[] = [];
    const warn = (message: string): void => void warnings.push(message);
    const settings = { clusterId: 'test-cluster', journalBytes: 1024 * 1024 };
    const store = await openFileStore({ fs, clock, random, dir: DIR, epoch, warn, ...settings });
    return { store, host: new TestHost(store), warnings };
  }

  /** Messages 1 to 10, a second apart, in one segment, with these rows damaged. */
  async function withDamagedRows(...damaged: number[]): Promise<SimFs> {
    const fs = new SimFs();
    clock = new TestClock();
    const { store, host } = await open(fs, 1);
    const log = store.createLog('foo', NO_LIMITS);
    await host.commit();
    for (let i = 1; i <= MESSAGES; i++) {
      clock.wallMs = startMs + i * 1000;
      log.append(pubMsg('foo', `message ${i}.`), 1);
      await host.commit();
    }
    store.upkeep.checkpoint();
    await until(() => !store.upkeep.isCheckpointing, 'the checkpoint');
    await store.close();
    const content = fs.content(fs.paths().find((path) => path.endsWith('.seg'))!);
    const rows = content.length - 24 - 40 - MESSAGES * ROW_BYTES;
    for (const sequence of damaged) content[rows + (sequence - 1) * ROW_BYTES + 9]! ^= 1;
    return fs;
  }

  it('let age drop what is old all the same', async () => {
    for (const damaged of [[1], [1, 2, 3], [3, 7, 8], [MESSAGES]]) {
      const fs = await withDamagedRows(...damaged);
      clock.wallMs = startMs + 16_500;
      const { store, warnings } = await open(fs, 2);
      const [log] = store.recovered.logs;
      log!.setLimits({ ...NO_LIMITS, maxAgeMs: 10_000 });
      store.expire();
      assert.equal(log!.firstSequence, 7, `rows ${damaged} are damaged`);
      assert.equal(warnings.filter((warning) => /estimates/.test(warning)).length, 1);
      await store.close();
    }
  });

  it('do not keep a time from being found', async () => {
    const { store } = await open(await withDamagedRows(5, 6), 2);
    const [log] = store.recovered.logs;
    // Those of which the time is not known go with what is behind them: too many rather than too few.
    for (const [second, first] of [
      [1, 1],
      [4, 4],
      [5, 5],
      [7, 5],
      [9, 9],
    ] as const) {
      const at = await log!.sequenceAtTime(BigInt(startMs + second * 1000 - 500) * 1_000_000n);
      assert.equal(at, first, `${second} s`);
    }
    await store.close();
  });
});

describe('a damaged message that is not asked for', () => {
  it('is known as soon as a merge has come by', async () => {
    const clock = new TestClock();
    const fs = new SimFs();
    let known = 0;
    for (let epoch = 1; epoch < 20 && known === 0; epoch++) {
      const settings = { clusterId: 'test-cluster', journalBytes: 1024 * 1024 };
      const store = await openFileStore({ fs, clock, random, dir: DIR, epoch, warn: () => {}, ...settings });
      const host = new TestHost(store);
      const log = store.recovered.logs[0] ?? store.createLog('foo', NO_LIMITS);
      for (let i = 0; i < 3; i++) log.append(pubMsg('foo', `message ${epoch}-${i}.`), 1);
      await host.commit();
      store.upkeep.checkpoint();
      await until(() => store.upkeep.isIdle, 'the checkpoint, and a merge');
      if (epoch === 1) {
        const content = fs.content(fs.paths().find((path) => path.endsWith('.log'))!);
        content[content.indexOf('message 1-1.')]! ^= 1;
      }
      known = store.unreadable.messageCount();
      if (known > 0)
        assert.deepEqual(
          store.unreadable.list().map(({ first, last }) => [first, last]),
          [[2, 2]],
        );
      await store.close();
    }
    assert.equal(known, 1);
  });
});
