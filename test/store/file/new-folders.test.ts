import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { nodeFs, type StoreFs } from '../../../src/files/fs.js';
import { openFileStore } from '../../../src/store/file/open-file-store.js';
import { keepAside } from '../../../src/store/tools/repair.js';
import { temporaryDirectory, until } from '../file-support.js';
import { random, TestClock, TestHost } from '../support.js';

/** A file system that keeps which folders were made or got a name, and not synced since. */
function watched(onLink: (unsynced: ReadonlySet<string>) => void): { fs: StoreFs; unsynced: Set<string> } {
  const unsynced = new Set<string>();
  const fs: StoreFs = {
    ...nodeFs,
    makeDirectory: async (path) => {
      const made: string[] = [];
      for (let at = path; (await nodeFs.status(at)) === undefined; at = dirname(at)) made.push(at);
      await nodeFs.makeDirectory(path);
      for (const each of made) unsynced.add(dirname(each));
    },
    removeDirectory: async (path) => {
      await nodeFs.removeDirectory(path);
      unsynced.delete(path);
    },
    link: async (from, to) => {
      onLink(unsynced);
      await nodeFs.link(from, to);
      unsynced.add(dirname(to));
    },
    syncDirectory: async (path) => {
      await nodeFs.syncDirectory(path);
      unsynced.delete(path);
    },
  };
  return { fs, unsynced };
}

function open(t: TestContext, fs: StoreFs, dir: string) {
  const clock = new TestClock();
  const opening = openFileStore({ fs, clock, random, dir, clusterId: 'c', epoch: 1, warn: () => {} });
  t.after(async () => await (await opening).close());
  return opening;
}

describe('A folder that a store makes', () => {
  it('survives a power cut before the store counts, with all the parents that were made for it', async (t) => {
    const base = temporaryDirectory(t);
    const dir = `${base}/a/b/store`;
    let left: string[] = [];
    const { fs } = watched((unsynced) => {
      left = [...unsynced].filter((path) => path !== dir);
    });
    await open(t, fs, dir);
    assert.deepEqual(left, [], 'folders with an entry that is not durable when the identity gets its name');
  });

  it('survives one before anything in it counts, if it is for what is set aside or damaged', async (t) => {
    const dir = `${temporaryDirectory(t)}/store`;
    const { fs, unsynced } = watched(() => {});
    const store = await open(t, fs, dir);
    new TestHost(store);
    await until(async () => (await nodeFs.list(`${dir}/reserve`).catch(() => [])).length >= 6, 'the reserve');
    assert.deepEqual([...unsynced], []);
    const names = await nodeFs.list(`${dir}/journal`);
    await keepAside(
      fs,
      dir,
      7,
      names.map((name) => `${dir}/journal/${name}`),
    );
    assert.deepEqual([...unsynced], []);
  });
});
