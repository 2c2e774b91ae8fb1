import assert from 'node:assert/strict';
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { nodeFs, type StoreFs } from '../../../src/files/fs.js';
import { Block } from '../../../src/store/batch/block.js';
import { decodeCheckpoint } from '../../../src/store/format/checkpoint-format.js';
import { storeVerify } from '../../../src/store/tools/verify.js';
import type { ChannelLog } from '../../../src/store/types/store.js';
import { checkpointed, type OpenedStore, SMALL, Terms, until } from '../file-support.js';
import { HastyClock, HeldClock, NO_LIMITS, pubMsg, read, readAll } from '../support.js';

const ONLY_LAST = { ...NO_LIMITS, maxMessages: 1 };
const LOOK_AGAIN_MS = 3_000;
const DEAD_MS = 30_000;

/** Those that are kept to be used again have a temporary name. */
function journals({ dir }: Terms): string[] {
  const names = readdirSync(`${dir}/journal`).filter((name) => name.endsWith('.log'));
  return names.sort().map((name) => `${dir}/journal/${name}`);
}

function bodiesOf({ dir }: Terms, { store }: Pick<OpenedStore, 'store'>): string[] {
  const name = readdirSync(`${dir}/checkpoints`).find((file) => file.endsWith('.ckpt')) ?? assert.fail();
  const path = `${dir}/checkpoints/${name}`;
  const { bodies } = decodeCheckpoint(path, readFileSync(path), store.storeId);
  return bodies.map(
    ({ epoch, number }) =>
      `${dir}/journal/${`${epoch}`.padStart(8, '0')}.${`${number}`.padStart(6, '0')}.log`,
  );
}

function logOf({ store }: Pick<OpenedStore, 'store'>, name: string): ChannelLog {
  return store.recovered.logs.find((log) => log.name === name) ?? assert.fail(name);
}

async function damages({ fs, clock, dir }: Terms): Promise<string[]> {
  const found = await storeVerify({ fs, clock, dir });
  // These stores are opened without a lease.
  const inFiles = found.damages.filter(({ path }) => path !== `${dir}/lease`);
  return inFiles.map(({ path, what }) => `${path}: ${what}`);
}

/** Messages of 10 KB, one in turn for each channel, over several journal files. */
async function fill(opened: OpenedStore, logs: readonly ChannelLog[], rounds: number): Promise<void> {
  for (let round = 1; round <= rounds; round++) {
    for (const log of logs) log.append(pubMsg(log.name, textOf(log.name, log.lastSequence + 1)), 1);
    await opened.host.commit();
  }
}

function textOf(name: string, sequence: number): string {
  return `${name} ${sequence} `.padEnd(10_000, 'x');
}

async function expectAll(log: ChannelLog, first = 1): Promise<void> {
  assert.equal(log.firstSequence, first);
  const expected = Array.from({ length: log.lastSequence - first + 1 }, (_, i) =>
    textOf(log.name, first + i),
  );
  assert.deepEqual(await readAll(log), expected);
}

async function closedStore(t: TestContext, names: readonly string[], rounds: number): Promise<Terms> {
  const terms = new Terms(t);
  const opened = await terms.open(SMALL);
  await fill(
    opened,
    names.map((name) => opened.store.createLog(name, NO_LIMITS)),
    rounds,
  );
  await checkpointed(opened);
  await until(() => opened.store.upkeep.isIdle, 'all that is under way');
  await opened.store.close();
  return terms;
}

describe('Messages behind a checkpoint', () => {
  it('stay in the journal: a segment has their rows only, and they are read from there after a restart', async (t) => {
    const terms = await closedStore(t, ['a', 'b', 'c'], 100);
    const segments = readdirSync(`${terms.dir}/segments`).map(
      (name) => statSync(`${terms.dir}/segments/${name}`).size,
    );
    assert.ok(segments.reduce((sum, size) => sum + size, 0) < 20_000, segments.join());
    assert.ok(journals(terms).length >= 3);
    assert.deepEqual(await damages(terms), []);
    const opened = await terms.open(SMALL);
    for (const name of ['a', 'b', 'c']) await expectAll(logOf(opened, name));
  });

  it('are served by the terms that follow, from the journals of all that came before', async (t) => {
    const terms = new Terms(t);
    for (let term = 1; term <= 4; term++) {
      const opened = await terms.open(SMALL);
      const log = opened.store.recovered.logs[0] ?? opened.store.createLog('a', NO_LIMITS);
      await fill(opened, [log], 60);
      if (term % 2 === 0) await checkpointed(opened);
      await until(() => opened.store.upkeep.isIdle, 'all that is under way');
      await opened.store.close();
    }
    const last = await terms.open(SMALL);
    await checkpointed(last);
    assert.deepEqual(await damages(terms), []);
    await expectAll(logOf(last, 'a'));
    assert.ok(bodiesOf(terms, last).some((path) => path.includes('/00000001.')));
  });

  for (const [what, limits] of [
    ['number', { ...NO_LIMITS, maxMessages: 20 }],
    ['bytes', { ...NO_LIMITS, maxBytes: 205_000 }],
    ['age', { ...NO_LIMITS, maxAgeMs: 10_000 }],
  ] as const) {
    it(`give their journal files back when a limit on ${what} has dropped all in them`, async (t) => {
      const terms = new Terms(t);
      const opened = await terms.open({ ...SMALL, spareBytes: 100_000_000 });
      const { store } = opened;
      const log = store.createLog('a', NO_LIMITS);
      await fill(opened, [log], 500);
      await checkpointed(opened);
      const before = journals(terms).length;
      terms.clock.pass(11_000);
      await fill(opened, [log], 20);
      log.setLimits(limits);
      store.expire();
      await opened.host.commit();
      await checkpointed(opened);
      const after = journals(terms).length;
      assert.ok(before >= 4 && after <= before - 2, `${before} journal files, then ${after}`);
      assert.equal(log.firstSequence, 501);
      await store.close();
      assert.deepEqual(await damages(terms), []);
      const again = logOf(await terms.open(SMALL), 'a');
      await expectAll(again, 501);
    });
  }

  for (const [what, keptBytes, droppedBytes, rounds] of [
    ['a third is dropped, and the next message does not fit behind the rest', 430_000, 210_000, 50],
    ['limits drop most messages around those that stay', 100_000, 900_000, 12],
  ] as const) {
    it(`take at most twice their bytes on disk, and what the journal needs: ${what}`, async (t) => {
      const terms = new Terms(t);
      const opened = await terms.open(SMALL);
      const { store, host } = opened;
      const [kept, dropped] = [store.createLog('kept', NO_LIMITS), store.createLog('dropped', ONLY_LAST)];
      for (let i = 0; i < rounds; i++) {
        kept.append(pubMsg('kept', 'x'.repeat(keptBytes)), 1);
        dropped.append(pubMsg('dropped', 'x'.repeat(droppedBytes)), 1);
        await host.commit();
        if (i % 5 === 4) await checkpointed(opened);
      }
      const alive = rounds * keptBytes + droppedBytes;
      const taken = (): number => {
        const folders = ['journal', 'segments'].map((name) => `${terms.dir}/${name}`);
        const files = folders.flatMap((folder) => readdirSync(folder).map((name) => `${folder}/${name}`));
        return files.reduce((sum, path) => sum + statSync(path).size, 0);
      };
      // The file that is written, the next one, two to be used again, and as much that is of no use.
      const most = 2 * alive + 5 * (SMALL.journalBytes ?? 0);
      await checkpointed(opened);
      await until(() => store.upkeep.isIdle, 'merges');
      await checkpointed(opened);
      assert.ok(taken() <= most, `${taken()} bytes are taken for ${alive} that are alive`);
    });
  }

  it('are outlived by no older checkpoint, which counts on their journal files', async (t) => {
    const checkpoints: number[] = [];
    const onGone = (path: string): void => {
      if (!/\/journal\/[^/]*\.log$/.test(path)) return;
      const names = readdirSync(path.replace(/journal\/[^/]*$/, 'checkpoints'));
      checkpoints.push(names.filter((name) => name.endsWith('.ckpt')).length);
    };
    const fs: StoreFs = {
      ...nodeFs,
      rename: (from, to) => {
        onGone(from);
        return nodeFs.rename(from, to);
      },
      unlink: (path) => {
        onGone(path);
        return nodeFs.unlink(path);
      },
    };
    const terms = new Terms(t, fs);
    for (let term = 1; term <= 2; term++) {
      const opened = await terms.open(SMALL);
      const log = opened.store.recovered.logs[0] ?? opened.store.createLog('a', ONLY_LAST);
      for (let times = 0; times < 2; times++) {
        await fill(opened, [log], 150);
        await checkpointed(opened);
      }
      await until(() => opened.store.upkeep.isIdle, 'all that is under way');
      await opened.store.close();
    }
    assert.ok(checkpoints.length >= 4, `${checkpoints.length} journal files are given back`);
    assert.deepEqual([...new Set(checkpoints)], [1]);
  });

  it('give their journal files back when their channel is deleted', async (t) => {
    const terms = new Terms(t);
    const opened = await terms.open(SMALL);
    const log = opened.store.createLog('a', NO_LIMITS);
    await fill(opened, [log], 300);
    await checkpointed(opened);
    const before = journals(terms).length;
    opened.store.deleteLog(log);
    await opened.host.commit();
    await checkpointed(opened);
    assert.ok(before >= 4 && journals(terms).length <= 2, journals(terms).join());
  });

  it('give their journal files back when their channel is deleted while a checkpoint is made, though no other one is due', async (t) => {
    let onCheckpoint: (() => Promise<void>) | undefined;
    const fs: StoreFs = {
      ...nodeFs,
      open: async (path, mode) => {
        if (mode === 'create' && path.includes('/checkpoints/')) {
          const work = onCheckpoint;
          onCheckpoint = undefined;
          await work?.();
        }
        return await nodeFs.open(path, mode);
      },
    };
    const terms = new Terms(t, fs);
    const clock = new HeldClock(DEAD_MS);
    const opened = await terms.open({ ...SMALL, clock });
    const log = opened.store.createLog('a', NO_LIMITS);
    await fill(opened, [log], 300);
    const before = journals(terms).length;
    await until(() => opened.store.upkeep.isIdle, 'the checkpoints of the traffic');
    onCheckpoint = async () => {
      opened.store.deleteLog(log);
      await opened.host.commit();
      // It comes to nothing: a checkpoint is being made.
      clock.end();
    };
    await checkpointed(opened);
    await until(() => opened.store.upkeep.isIdle, 'all that is under way');
    clock.end();
    await until(() => journals(terms).length <= 2, 'the files to go');
    assert.ok(before >= 4, `${before} journal files`);
  });

  it('are copied out of files of which little is alive', async (t) => {
    const terms = new Terms(t);
    const opened = await terms.open({ ...SMALL, spareBytes: 0 });
    const { store } = opened;
    const [short, long] = ['short', 'long'].map((name) => store.createLog(name, NO_LIMITS));
    assert.ok(short !== undefined && long !== undefined);
    for (let i = 0; i < 10; i++) {
      await fill(opened, [short], 50);
      await fill(opened, [long], 1);
    }
    await checkpointed(opened);
    const before = journals(terms).length;
    short.setLimits({ ...NO_LIMITS, maxMessages: 1 });
    await opened.host.commit();
    await checkpointed(opened);
    await until(() => store.upkeep.isIdle, 'merges, and the checkpoints behind them');
    const after = journals(terms).length;
    assert.ok(after <= before - 2, `${before} journal files, then ${after}`);
    await expectAll(long);
    await store.close();
    assert.deepEqual(await damages(terms), []);
    await expectAll(logOf(await terms.open(SMALL), 'long'));
  });

  it('are sorted by channel when 16 files have those of many', async (t) => {
    const terms = new Terms(t);
    const opened = await terms.open(SMALL);
    const { store, host } = opened;
    const logs = Array.from({ length: 40 }, (_, i) => store.createLog(`c${i}`, NO_LIMITS));
    const texts = new Map<string, string[]>(logs.map(({ name }) => [name, []]));
    for (let round = 1; store.upkeep.segments.size === 0 || journals(terms).length <= 17; round++) {
      for (const log of logs) {
        const text = `${log.name} ${round} `.padEnd(1_500, 'x');
        log.append(pubMsg(log.name, text), 1);
        texts.get(log.name)?.push(text);
      }
      await host.commit();
      if (journals(terms).length <= 12 && round > 400) break;
    }
    await checkpointed(opened);
    await until(() => store.upkeep.isIdle, 'the sort, and the checkpoint behind it');
    await checkpointed(opened);
    await until(() => store.upkeep.isIdle, 'what is left');
    assert.ok(journals(terms).length < 16, journals(terms).join());
    for (const log of logs) assert.deepEqual(await readAll(log), texts.get(log.name));
    await store.close();
    assert.deepEqual(await damages(terms), []);
    const again = await terms.open(SMALL);
    for (const { name } of logs) assert.deepEqual(await readAll(logOf(again, name)), texts.get(name));
  });
});

describe('A journal file in which messages stay', () => {
  /** Each channel has a file to itself, nearly. */
  async function filePerChannel(t: TestContext): Promise<{ terms: Terms; pathOf: (name: string) => string }> {
    const terms = new Terms(t);
    for (const name of ['a', 'b', 'c']) {
      const opened = await terms.open(SMALL);
      await fill(opened, [opened.store.createLog(name, NO_LIMITS)], 20);
      await checkpointed(opened);
      await opened.store.close();
    }
    return { terms, pathOf: (name) => `${terms.dir}/journal/0000000${'abc'.indexOf(name) + 1}.000001.log` };
  }

  it('that is missing makes the messages in it unreadable and no others, until it is put back', async (t) => {
    const { terms, pathOf } = await filePerChannel(t);
    renameSync(pathOf('b'), `${terms.dir}/away`);
    const opened = await terms.open({ ...SMALL, clock: new HastyClock(LOOK_AGAIN_MS) });
    const { store, warnings } = opened;
    assert.deepEqual(
      store.unreadable.list().map(({ channel, first, last }) => [channel, first, last]),
      [['b', 1, 20]],
    );
    assert.match(warnings.join('\n'), new RegExp(`${pathOf('b')}: the file is missing`));
    assert.match((await damages(terms)).join('\n'), new RegExp(`${pathOf('b')}: the file is missing`));
    await expectAll(logOf(opened, 'a'));
    await expectAll(logOf(opened, 'c'));
    renameSync(`${terms.dir}/away`, pathOf('b'));
    await until(() => store.unreadable.messageCount() === 0, 'the mark to go');
    await expectAll(logOf(opened, 'b'));
  });

  it('that is short makes the messages behind its end unreadable', async (t) => {
    const { terms, pathOf } = await filePerChannel(t);
    const at = readFileSync(pathOf('b')).indexOf('b 11 ');
    truncateSync(pathOf('b'), at + 5_000);
    const opened = await terms.open(SMALL);
    assert.deepEqual(
      opened.store.unreadable.list().map(({ channel, first, last }) => [channel, first, last]),
      [['b', 11, 20]],
    );
    assert.equal(await read(logOf(opened, 'b'), 10), textOf('b', 10));
    await expectAll(logOf(opened, 'a'));
    assert.notDeepEqual(await damages(terms), []);
  });

  it('with a byte that has changed makes one message unreadable', async (t) => {
    const { terms, pathOf } = await filePerChannel(t);
    const content = readFileSync(pathOf('b'));
    const at = content.indexOf('b 11 ') + 100;
    content[at] = 0;
    writeFileSync(pathOf('b'), content);
    const opened = await terms.open(SMALL);
    const log = logOf(opened, 'b');
    await assert.rejects(log.load(11), { code: 'damaged' });
    assert.equal(await read(log, 10), textOf('b', 10));
    assert.equal(await read(log, 12), textOf('b', 12));
    assert.deepEqual(
      opened.store.unreadable.list().map(({ channel, first, last }) => [channel, first, last]),
      [['b', 11, 11]],
    );
    assert.match((await damages(terms)).join('\n'), /message 11 is not whole \(channel b\)/);
  });

  it('with another header than the checkpoint names keeps what older terms have left', async (t) => {
    const { terms, pathOf } = await filePerChannel(t);
    const content = readFileSync(pathOf('b'));
    content[20] ^= 1;
    writeFileSync(pathOf('b'), content);
    const opened = await terms.open(SMALL);
    await checkpointed(opened);
    assert.deepEqual(opened.store.segmentProblems, [`${pathOf('b')}: its header is not whole`]);
    await expectAll(logOf(opened, 'b'));
  });

  it('is not removed before a checkpoint that does not name it is there', async (t) => {
    const terms = await closedStore(t, ['a'], 300);
    const opened = await terms.open(SMALL);
    const named = bodiesOf(terms, opened);
    assert.ok(named.length >= 3);
    logOf(opened, 'a').setLimits({ ...NO_LIMITS, maxMessages: 1 });
    await opened.host.commit();
    for (const path of named) assert.ok(existsSync(path), path);
    await checkpointed(opened);
    const left = bodiesOf(terms, opened);
    for (const path of named)
      assert.equal(existsSync(path), left.includes(path) || path >= (journals(terms).at(-2) ?? ''), path);
    rmSync(named[0] ?? '', { force: true });
    assert.deepEqual(await damages(terms), []);
  });

  it('that the broker uses again while a verification reads it is not taken for damaged', async (t) => {
    const terms = new Terms(t);
    const opened = await terms.open(SMALL);
    const log = opened.store.createLog('a', NO_LIMITS);
    await fill(opened, [log], 300);
    await checkpointed(opened);
    await until(() => opened.store.upkeep.isIdle, 'all that is under way');
    const [body] = bodiesOf(terms, opened);
    let isUsedAgain = false;
    const fs: StoreFs = {
      ...nodeFs,
      open: async (path, mode) => {
        const file = await nodeFs.open(path, mode);
        if (path !== body || isUsedAgain) return file;
        isUsedAgain = true;
        log.setLimits({ ...NO_LIMITS, maxMessages: 1 });
        for (let i = 0; i < 4; i++) {
          await fill(opened, [log], 150);
          await checkpointed(opened);
        }
        return file;
      },
    };
    const { damages } = await storeVerify({ fs, clock: terms.clock, dir: terms.dir });
    assert.ok(isUsedAgain && body !== undefined && !existsSync(body));
    assert.deepEqual(
      damages.filter(({ path }) => path !== `${terms.dir}/lease`),
      [],
    );
  });
});

describe('A journal that keeps no files', () => {
  it('has its messages copied to segments, which are read and merged as those of former stores are', async (t) => {
    t.mock.method(Block.prototype, 'placeOf', () => undefined);
    const terms = new Terms(t);
    const opened = await terms.open(SMALL);
    const { store } = opened;
    const logs = ['a', 'b'].map((name) => store.createLog(name, NO_LIMITS));
    for (let round = 1; round <= 9; round++) {
      await fill(opened, logs, 20);
      await checkpointed(opened);
    }
    await until(() => store.upkeep.isIdle, 'merges');
    assert.deepEqual(bodiesOf(terms, opened), []);
    const segments = readdirSync(`${terms.dir}/segments`);
    const bytes = segments.reduce((sum, name) => sum + statSync(`${terms.dir}/segments/${name}`).size, 0);
    assert.ok(bytes > 2 * 9 * 20 * 10_000, `${bytes} bytes`);
    await store.close();
    assert.deepEqual(await damages(terms), []);
    const again = await terms.open(SMALL);
    for (const name of ['a', 'b']) await expectAll(logOf(again, name));
  });
});
