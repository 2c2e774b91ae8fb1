import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { nodeFs, type StoreFs } from '../../../src/files/fs.js';
import { testFileSystem } from '../../../src/files/self-test.js';
import { listFresh } from '../../../src/store/file/fresh-list.js';
import { openIdentity } from '../../../src/store/file/identity.js';
import { Terms, temporaryDirectory } from '../file-support.js';
import { failure } from '../sim-fs.js';
import { NO_LIMITS, pubMsg, random, readAll, TestClock } from '../support.js';

/** A mount that remembers listings: until it changes the directory itself, or for ever. */
function remembering(inner: StoreFs, forgets: 'after own changes' | 'never'): StoreFs {
  const listings = new Map<string, string[]>();
  return {
    ...inner,
    list: async (dir) => {
      const names = listings.get(dir) ?? (await inner.list(dir));
      listings.set(dir, names);
      return names;
    },
    open: (path, mode) => {
      if (mode === 'create' && forgets === 'after own changes')
        listings.delete(path.slice(0, path.lastIndexOf('/')));
      return inner.open(path, mode);
    },
  };
}

describe('a listing for a new term', () => {
  it('shows what others made since the mount listed the directory', async (t) => {
    const dir = temporaryDirectory(t);
    const mount = remembering(nodeFs, 'after own changes');
    assert.deepEqual(await mount.list(dir), []);
    await (await nodeFs.open(`${dir}/new`, 'create')).close();
    assert.deepEqual(await mount.list(dir), []);
    assert.deepEqual(await listFresh(mount, dir, 2, 'me'), ['new']);
    assert.deepEqual(await nodeFs.list(dir), ['new'], 'nothing is left');
  });

  it('is refused where a mount does not show its own changes', async (t) => {
    const dir = temporaryDirectory(t);
    const mount = remembering(nodeFs, 'never');
    await mount.list(dir);
    await assert.rejects(listFresh(mount, dir, 2, 'me'), { code: 'unsupported' });
    assert.deepEqual(await nodeFs.list(dir), []);
  });

  it('clears up after those that died while they looked', async (t) => {
    const dir = temporaryDirectory(t);
    await (await nodeFs.open(`${dir}/look.1.dead.1`, 'create')).close();
    assert.deepEqual(await listFresh(nodeFs, dir, 2, 'me'), []);
    assert.deepEqual(await nodeFs.list(dir), []);
  });

  it('need not show the newest journal: it is found by its name', async (t) => {
    const terms = new Terms(t);
    for (let epoch = 1; epoch <= 3; epoch++) {
      const { store, host } = await terms.open();
      const log = store.recovered.logs[0] ?? store.createLog('orders', NO_LIMITS);
      log.append(pubMsg('orders', `of term ${epoch}`), 1);
      await host.commit();
    }
    const hidesTheNewest: StoreFs = {
      ...nodeFs,
      list: async (dir) => (await nodeFs.list(dir)).filter((name) => !name.startsWith('00000003.')),
    };
    const { store } = await terms.open({ fs: hidesTheNewest });
    assert.deepEqual(await readAll(store.recovered.logs[0]!), ['of term 1', 'of term 2', 'of term 3']);
  });
});

describe('the identity of a store', () => {
  it('is not replaced by one who remembers that there was none', async (t) => {
    const dir = temporaryDirectory(t);
    const options = { clusterId: 'test-cluster', clock: new TestClock(), random, dir };
    let made = false;
    const late: StoreFs = {
      ...nodeFs,
      open: (path, mode) => {
        if (path.endsWith('/stanchion.json') && !made) return Promise.reject(failure('ENOENT', path));
        return nodeFs.open(path, mode);
      },
      list: async (path) => (await nodeFs.list(path)).filter((name) => name !== 'stanchion.json'),
      link: async (from, to) => {
        made ||= to.endsWith('/stanchion.json');
        return nodeFs.link(from, to);
      },
    };
    const first = await openIdentity({ ...options, fs: nodeFs });
    assert.deepEqual(await openIdentity({ ...options, fs: late }), first);
    const names = [`stanchion.${first.storeId}.key`, 'stanchion.json'];
    assert.deepEqual((await nodeFs.list(dir)).sort(), names.sort());
  });
});

describe('the self-test of a file system', () => {
  const cases: [name: string, broken: Partial<StoreFs>, message: RegExp][] = [
    [
      'copies and does not delete when it renames',
      { rename: (from, to) => copyFile(from, to) },
      /refuse to rename what is not there/,
    ],
    ['has no hard links', { link: async (_, to) => Promise.reject(failure('ENOTSUP', to)) }, /hard link/],
    [
      'cannot rename folders',
      {
        rename: async (from, to) =>
          (await nodeFs.status(from))?.isDirectory
            ? Promise.reject(failure('EXDEV', to))
            : nodeFs.rename(from, to),
      },
      /refuse to rename a folder onto one that is not empty/,
    ],
    [
      'refuses O_DSYNC',
      {
        open: (path, mode) =>
          mode === 'durable' ? Promise.reject(failure('EINVAL', path)) : nodeFs.open(path, mode),
      },
      /O_DSYNC/,
    ],
    [
      'cannot sync a directory',
      { syncDirectory: (path) => Promise.reject(failure('EINVAL', path)) },
      /sync a directory/,
    ],
  ];
  for (const [name, broken, message] of cases) {
    it(`finds out one that ${name}`, async (t) => {
      const dir = temporaryDirectory(t);
      await assert.rejects(testFileSystem({ ...nodeFs, ...broken }, dir, 1, 'me'), {
        code: 'unsupported',
        message,
      });
    });
  }

  it('says so if there is no room for it: a member then waits and watches', async (t) => {
    const dir = temporaryDirectory(t);
    const full: Partial<StoreFs>[] = [
      { open: (path, mode) => (mode === 'create' ? noRoomFor(path) : nodeFs.open(path, mode)) },
      { makeDirectory: noRoomFor },
      { open: (path, mode) => (path.endsWith('/x') ? noRoomFor(path) : nodeFs.open(path, mode)) },
    ];
    for (const broken of full)
      await assert.rejects(testFileSystem({ ...nodeFs, ...broken }, dir, 1, 'me'), { code: 'no-space' });
  });

  it('can be done by two at once, and clears up after one that died in it', async (t) => {
    const dir = temporaryDirectory(t);
    await nodeFs.makeDirectory(`${dir}/self-test.3.dead.d`);
    await (await nodeFs.open(`${dir}/self-test.3.dead.d/x`, 'create')).close();
    await Promise.all([testFileSystem(nodeFs, dir, 4, 'one'), testFileSystem(nodeFs, dir, 4, 'two')]);
    assert.deepEqual(await nodeFs.list(dir), []);
  });
});

function noRoomFor(path: string): Promise<never> {
  return Promise.reject(failure('ENOSPC', path));
}
