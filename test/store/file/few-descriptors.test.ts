import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nodeFs, type StoreFs } from '../../../src/files/fs.js';
import { Measures } from '../../../src/measures/measures.js';
import { checkpointed, SMALL, Terms, until } from '../file-support.js';
import { HastyClock, NO_LIMITS, pubMsg, read } from '../support.js';

const MERGE_RETRY_MS = 2_000;

/** A file system on which, as long as `isShort`, no file or folder can be opened, as in a process with too many open ones. */
class ShortFs {
  isShort = false;

  get fs(): StoreFs {
    return {
      ...nodeFs,
      open: async (path, mode) => await nodeFs.open(this.#checked(path), mode),
      list: async (path) => await nodeFs.list(this.#checked(path)),
      syncDirectory: async (path) => await nodeFs.syncDirectory(this.#checked(path)),
      readSync: (path, ...where) => nodeFs.readSync(this.#checked(path), ...where),
    };
  }

  #checked(path: string): string {
    if (!this.isShort) return path;
    const message = `EMFILE: too many open files, open '${path}'`;
    throw Object.assign(new Error(message), { code: 'EMFILE', syscall: 'open', path });
  }
}

describe('A store in a process without a descriptor to open a file with', () => {
  it('refuses messages with that reason once it has no file for them, and takes them again when it has', async (t) => {
    const short = new ShortFs();
    const terms = new Terms(t, short.fs);
    const measures = new Measures();
    const { store, host, warnings } = await terms.open({ ...SMALL, measures });
    const log = store.createLog('foo', NO_LIMITS);
    const publish = async (): Promise<void> => {
      log.append(pubMsg('foo', 'x'.repeat(20_000)), 1);
      await host.commit();
    };
    await publish();
    await until(
      async () => (await nodeFs.list(`${terms.dir}/reserve`).catch(() => [])).length >= 6,
      'the reserve',
    );
    short.isShort = true;
    store.upkeep.checkpoint();
    const isRefused = (): boolean => typeof store.admit(20_000) === 'object';
    while (!isRefused()) {
      if (store.admit(20_000) === 'yes') await publish();
      else await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.match(JSON.stringify(store.admit(20_000)), /too many open files in this process: raise its limit/);
    assert.match(store.shortage ?? '', /too many open files/);
    assert.ok(measures.shortages > 0);
    assert.equal(warnings.filter((line) => /too many open files/.test(line)).length, 1);
    assert.equal(host.failed, undefined);
    // What is no message goes on.
    await host.commit();
    short.isShort = false;
    await until(() => store.admit(20_000) === 'yes', 'messages are taken again');
    const last = log.lastSequence;
    await publish();
    assert.equal(log.lastSequence, last + 1);
    assert.equal(host.failed, undefined);
  });

  it('does not take what it cannot open for damaged: it is read a moment later', async (t) => {
    const short = new ShortFs();
    const terms = new Terms(t, short.fs);
    const first = await terms.open(SMALL);
    const log = first.store.createLog('foo', NO_LIMITS);
    for (let i = 1; i <= 10; i++) log.append(pubMsg('foo', String(i)), 1);
    await first.host.commit();
    await checkpointed(first);
    await first.store.close();
    const { store, host } = await terms.open(SMALL);
    const [again] = store.recovered.logs;
    assert.ok(again !== undefined);
    short.isShort = true;
    await assert.rejects(again.load(3), { code: 'EMFILE' });
    assert.deepEqual(store.unreadable.list(), []);
    short.isShort = false;
    assert.equal(await read(again, 3), '3');
    assert.equal(host.failed, undefined);
  });

  it('merges later, and leaves no segment alone for it', async (t) => {
    const short = new ShortFs();
    let refused = 0;
    const fs: StoreFs = {
      ...nodeFs,
      open: async (path, mode) => {
        short.isShort = mode === 'read' && path.endsWith('.seg') && refused < 3;
        if (short.isShort) refused++;
        return await short.fs.open(path, mode);
      },
    };
    const terms = new Terms(t, fs);
    const opened = await terms.open({ ...SMALL, clock: new HastyClock(MERGE_RETRY_MS) });
    const { store, host } = opened;
    const logs = Array.from({ length: 10 }, (_, i) => store.createLog(`c${i}`, NO_LIMITS));
    for (let round = 1; round <= 8; round++) {
      for (const log of logs) log.append(pubMsg(log.name, String(round)), 1);
      await host.commit();
      await checkpointed(opened);
    }
    await until(() => store.upkeep.isIdle && store.upkeep.segments.size < 8, 'the merge');
    assert.equal(refused, 3);
    assert.ok([...store.upkeep.segments].every(({ isDamaged }) => !isDamaged));
    assert.equal(host.failed, undefined);
  });
});
