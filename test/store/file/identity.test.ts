import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { writeFile } from '../../../src/files/file-io.js';
import { DamageError, type StoreError } from '../../../src/files/store-error.js';
import { keyFileName } from '../../../src/store/file/group-key.js';
import { checkIdentity, type OpenedIdentity, openIdentity } from '../../../src/store/file/identity.js';
import { openFileStore } from '../../../src/store/file/open-file-store.js';
import { storeInfo } from '../../../src/store/tools/inspect.js';
import { type RepairOutcome, repairStore } from '../../../src/store/tools/repair-store.js';
import { storeVerify } from '../../../src/store/tools/verify.js';
import { SimFs } from '../sim-fs.js';
import { NO_LIMITS, pubMsg, random, TestClock, TestHost } from '../support.js';

const DIR = '/store';
const clusterId = 'orders';
const clock = new TestClock();
const IDENTITY = `${DIR}/stanchion.json`;

async function newStore(): Promise<{ fs: SimFs; identity: OpenedIdentity; key: string }> {
  const fs = new SimFs();
  await openFileStore({ fs, clock, random, dir: DIR, clusterId, epoch: 1, warn: () => {} }).then(
    async (store) => {
      const host = new TestHost(store);
      store.createLog('foo', NO_LIMITS).append(pubMsg('foo', 'kept', 'guid'), 1);
      await host.commit();
      await store.close();
    },
  );
  await fs.makeDirectory(`${DIR}/lease`);
  await writeFile(fs, `${DIR}/lease/v1.00000001.000001.served-1-1.alone-3000.released`, Buffer.alloc(0));
  const identity = (await checkIdentity(fs, DIR, clusterId))!;
  return { fs: fs.restarted('written'), identity, key: `${DIR}/${keyFileName(identity.storeId)}` };
}

async function repair(fs: SimFs, given?: string): Promise<RepairOutcome> {
  const done = async (): Promise<void> => {};
  const lease = { epoch: 2, fence: done, markServed: done, release: done };
  return repairStore({
    ...{ fs, clock, dir: DIR, random, clusterId: given, isDryRun: false },
    ...{ ask: async () => true, takeLease: async () => lease },
  });
}

function edit(fs: SimFs, path: string, from: string, to: string): void {
  const text = fs.content(path).toString();
  assert.ok(text.includes(from));
  fs.replace(path, Buffer.from(text.replace(from, to)));
}

describe('the identity of a store', () => {
  it('is not made in the folder of a Go server, which is named with the way to bring it along', async () => {
    const fs = new SimFs();
    await fs.makeDirectory(DIR);
    for (const name of ['server.dat', 'clients.dat', 'orders'])
      await writeFile(fs, `${DIR}/${name}`, Buffer.alloc(4));
    await assert.rejects(openIdentity({ fs, dir: DIR, clusterId, clock, random }), {
      code: 'foreign',
      message:
        '/store is the file store of a Go server. Bring it along into another folder, and give that: `stanchion import --from /store --dir NEW`, see docs/migrate.md',
    });
    assert.equal(fs.paths().length, 3);
  });

  it('has a secret of 32 bytes beside it, which every opening finds, and no report shows', async () => {
    const { fs, identity } = await newStore();
    assert.equal(identity.groupKey?.length, 32);
    const again = await openIdentity({ fs, dir: DIR, clusterId, clock, random });
    assert.deepEqual(again, identity);
    const shown = JSON.stringify(await storeInfo({ fs, clock, dir: DIR }));
    assert.ok(!shown.includes('groupKey') && !shown.includes(identity.groupKey.toString('base64url')));
    assert.deepEqual((await storeVerify({ fs, clock, dir: DIR })).damages, []);
  });

  it('shows each flipped bit, in its own file and in that of the key', async () => {
    const { fs, key } = await newStore();
    for (const path of [IDENTITY, key]) {
      const whole = fs.content(path);
      for (let bit = 0; bit < whole.length * 8; bit++) {
        const flipped = Buffer.from(whole);
        flipped[bit >> 3] = flipped[bit >> 3]! ^ (1 << (bit & 7));
        fs.replace(path, flipped);
        await assert.rejects(
          checkIdentity(fs, DIR, clusterId),
          (error) => error instanceof DamageError || (error as StoreError).code === 'newer-version',
          `bit ${bit} of ${path}`,
        );
      }
      fs.replace(path, whole);
    }
    await checkIdentity(fs, DIR, clusterId);
  });

  it('is damaged if it or its key is missing, and nothing is made in its place', async () => {
    for (const which of ['identity', 'key'] as const) {
      const { fs, key } = await newStore();
      await fs.unlink(which === 'key' ? key : IDENTITY);
      const before = fs.paths();
      const options = { fs, clock, random, dir: DIR, clusterId, warn: () => {} };
      await assert.rejects(openFileStore({ ...options, epoch: 2 }), /is missing.*store repair/);
      assert.deepEqual(fs.paths(), before);
    }
  });

  it('is told of by verify, and mended by a repair', async () => {
    const broken: [(fs: SimFs, key: string) => unknown, RegExp, boolean][] = [
      [(fs, key) => fs.unlink(key), /key.*missing/, false],
      [(fs, key) => edit(fs, key, '"groupKey": "', '"groupKey": "x'), /key.*checksum/, false],
      [
        (fs) => edit(fs, IDENTITY, '"createdAt": "2', '"createdAt": "3'),
        /stanchion\.json.*fit its check/,
        true,
      ],
      [(fs) => edit(fs, IDENTITY, '"orders"', '"orderz"'), /stanchion\.json.*fit its checksum/, true],
      [(fs) => edit(fs, IDENTITY, '"formatVersion": 4', '"formatVersion": 1'), /says version 1/, true],
    ];
    for (const [damage, what, keepsKey] of broken) {
      const { fs, key, identity } = await newStore();
      await damage(fs, key);
      const { damages } = await storeVerify({ fs, clock, dir: DIR });
      assert.match(damages.map((found) => `${found.path}: ${found.what}`).join(), what);
      assert.equal((await repair(fs, clusterId)).result, 'repaired');
      assert.deepEqual((await storeVerify({ fs, clock, dir: DIR })).damages, []);
      const mended = await checkIdentity(fs, DIR, clusterId);
      assert.equal(mended?.storeId, identity.storeId);
      assert.equal(mended.groupKey?.equals(identity.groupKey!), keepsKey);
    }
  });

  it('is not mended with a cluster id that its checksum denies, unless someone says so', async () => {
    const { fs } = await newStore();
    edit(fs, IDENTITY, '"orders"', '"orderz"');
    await assert.rejects(repair(fs), /"orderz", may be wrong. Give it: --cluster-id ID/);
    assert.equal((await repair(fs, clusterId)).result, 'repaired');
  });

  it('is made once by two at the same time, with the key of the one that was first', async () => {
    const fs = new SimFs();
    const options = { fs, dir: DIR, clusterId, clock, random };
    const [first, second] = await Promise.all([openIdentity(options), openIdentity(options)]);
    assert.deepEqual(first, second);
    assert.deepEqual(fs.paths().sort(), [`${DIR}/${keyFileName(first.storeId)}`, IDENTITY].sort());
  });
});
