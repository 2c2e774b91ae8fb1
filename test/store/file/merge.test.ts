import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { nodeFs, type StoreFile, type StoreFs } from '../../../src/files/fs.js';
import { chooseMerge } from '../../../src/store/file/merge-choice.js';
import type { Body } from '../../../src/store/segments/body.js';
import { MAX_MERGED_SEGMENTS } from '../../../src/store/segments/merge-reader.js';
import { Segment } from '../../../src/store/segments/segment.js';
import { checkpointed, SMALL, Terms, until } from '../file-support.js';
import { failure, SimFs } from '../sim-fs.js';
import { NO_LIMITS, pubMsg, readAll } from '../support.js';

describe('a merge', () => {
  it('reads each segment from front to back once, however many have gathered and of however many channels', async (t) => {
    const { fs, reads, release } = heldReads(t, '.seg');
    const terms = new Terms(t, fs);
    const opened = await terms.open(SMALL);
    const { store, host } = opened;
    const logs = Array.from({ length: 50 }, (_, i) => store.createLog(`c${i}`, NO_LIMITS));
    const rounds = 8 + 2 * MAX_MERGED_SEGMENTS;
    for (let round = 1; round <= rounds; round++) {
      for (const log of logs) log.append(pubMsg(log.name, String(round)), 1);
      await host.commit();
      await checkpointed(opened);
    }
    assert.equal(store.upkeep.segments.size, rounds, 'the first merge is held up, and segments gather');
    release();
    await until(() => store.upkeep.isIdle && store.upkeep.segments.size < 8, 'all merges');
    // One read takes in a segment of this size whole.
    assert.deepEqual(
      [...reads].filter(([, count]) => count > 1),
      [],
    );
    assert.equal(reads.size, rounds);
    const all = Array.from({ length: rounds }, (_, i) => String(i + 1));
    for (const log of logs) assert.deepEqual(await readAll(log), all);
  });

  it('leaves no segment behind if all that it has copied is gone by its end', async (t) => {
    const { fs, release } = heldReads(t, '.seg');
    const terms = new Terms(t, fs);
    const opened = await terms.open(SMALL);
    const { store, host } = opened;
    const log = store.createLog('foo', NO_LIMITS);
    for (let round = 1; round <= 8; round++) {
      log.append(pubMsg('foo', String(round)), 1);
      await host.commit();
      await checkpointed(opened);
    }
    assert.equal(store.upkeep.isIdle, false, 'the merge is held up');
    store.deleteLog(log);
    await host.commit();
    release();
    await until(() => store.upkeep.isIdle, 'the merge and the checkpoint behind it');
    assert.deepEqual(readdirSync(`${terms.dir}/segments`), []);
    assert.equal(store.upkeep.segments.size, 0);
  });

  it('reads its files to the end, though limits drop all in them meanwhile and checkpoints are made: none is taken for damaged', async (t) => {
    const { fs, release } = heldReads(t, '.log');
    const terms = new Terms(t, fs);
    const opened = await terms.open({ ...SMALL, spareBytes: 0 });
    const { store, host, warnings } = opened;
    const [short, long] = [store.createLog('short', NO_LIMITS), store.createLog('long', NO_LIMITS)];
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 50; i++) short.append(pubMsg('short', 'x'.repeat(10_000)), 1);
      long.append(pubMsg('long', String(round)), 1);
      await host.commit();
    }
    const journals = (): string[] =>
      readdirSync(`${terms.dir}/journal`).filter((name) => name.endsWith('.log'));
    await checkpointed(opened);
    short.setLimits({ ...NO_LIMITS, maxMessages: 1 });
    await host.commit();
    await checkpointed(opened);
    const copied = journals();
    assert.ok(copied.length >= 4 && !store.upkeep.isIdle, 'a merge of several files is held up');
    long.setLimits({ ...NO_LIMITS, maxMessages: 1 });
    await host.commit();
    await checkpointed(opened);
    release();
    await until(() => store.upkeep.isIdle, 'the merge');
    await checkpointed(opened);
    assert.deepEqual(warnings, []);
    assert.ok(journals().length <= 2, `${copied.join()}, then ${journals().join()}`);
    assert.deepEqual(await readAll(long), ['9']);
  });

  it('takes no more segments than it can read side by side, small or sparse', () => {
    const small = segments(MAX_MERGED_SEGMENTS + 1, { bytes: 1_000_000, liveBytes: 1_000_000 });
    assert.deepEqual([...choose(small)], small.slice(0, MAX_MERGED_SEGMENTS));
    const sparse = segments(MAX_MERGED_SEGMENTS + 1, { bytes: 1_000_000, liveBytes: 1 });
    assert.deepEqual([...choose(sparse)], sparse.slice(0, MAX_MERGED_SEGMENTS));
  });

  it('for which there is no room is tried again by itself, one segment alone, that of which least is alive', async (t) => {
    const disk = new SimFs();
    let refused = 0;
    disk.onOperation = (operation, path) => {
      if (operation !== 'open' || !path.includes('/segments/') || allowed-- > 0) return;
      refused++;
      throw failure('ENOSPC', path);
    };
    let allowed = Number.POSITIVE_INFINITY;
    const terms = new Terms(t, disk);
    const opened = await terms.open(SMALL);
    const { store, host } = opened;
    const short = store.createLog('short', NO_LIMITS);
    const long = store.createLog('long', NO_LIMITS);
    for (let round = 0; round < 25; round++) {
      long.append(pubMsg('long', String(round)), 1);
      for (let i = 0; i < 10; i++) short.append(pubMsg('short', 'x'.repeat(10_000)), 1);
      await host.commit();
    }
    await checkpointed(opened);
    await until(() => store.upkeep.isIdle, 'the checkpoints');
    const firstTwo = (): string[] => disk.paths().filter((path) => /journal.*\.00000[12]\.log$/.test(path));
    assert.equal(firstTwo().length, 2);
    // What is alive in the first two journal files is in the other channel.
    short.setLimits({ ...NO_LIMITS, maxMessages: 2 });
    short.append(pubMsg('short', 'y'), 1);
    await host.commit();
    // The checkpoint's own, and none for the merge behind it.
    allowed = 1;
    store.upkeep.checkpoint();
    await until(() => refused === 1 && !store.upkeep.isCheckpointing, 'a merge without room');
    allowed = Number.POSITIVE_INFINITY;
    await until(
      () => store.upkeep.isIdle && firstTwo().length === 1,
      'a merge, and the checkpoint that lets the file go',
    );
    assert.deepEqual(
      await readAll(long),
      Array.from({ length: 25 }, (_, round) => String(round)),
    );
    const sizes = segments(3, { bytes: 1_000, liveBytes: 400 });
    sizes[1]!.liveBytes = 100;
    assert.deepEqual([...choose(sizes, true)], [sizes[1]]);
  });
});

/** A file system that counts the reads of each file with this ending, and holds them up until `release`. */
function heldReads(
  t: TestContext,
  ending: string,
): { fs: StoreFs; reads: Map<string, number>; release: () => void } {
  const reads = new Map<string, number>();
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  t.after(() => release());
  const fs: StoreFs = {
    ...nodeFs,
    open: async (path, mode) => {
      const file = await nodeFs.open(path, mode);
      return mode === 'read' && path.endsWith(ending) ? counted(path, file) : file;
    },
  };
  const counted = (path: string, file: StoreFile): StoreFile => ({
    write: file.write.bind(file),
    size: () => file.size(),
    truncate: async () => {},
    sync: () => file.sync(),
    close: () => file.close(),
    read: async (...where) => {
      await released;
      reads.set(path, (reads.get(path) ?? 0) + 1);
      return await file.read(...where);
    },
  });
  return { fs, reads, release };
}

function choose(segments: Segment[], isShort = false): Iterable<Segment | Body> {
  return chooseMerge({ segments, bodies: [], isShort, spareBytes: 1_000_000 });
}

function segments(count: number, { bytes, liveBytes }: { bytes: number; liveBytes: number }): Segment[] {
  return Array.from({ length: count }, (_, i) => {
    const segment = new Segment({ epoch: 1, number: i + 1 }, `${i + 1}.seg`);
    return Object.assign(segment, { bytes, liveBytes, extentCount: 100, recordBytes: bytes });
  });
}
