import assert from 'node:assert/strict';
import fs from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { missingMountIn, mountIn } from '../../src/run/made-store.js';
import { InProcess } from '../harness/in-process.js';
import { waitFor } from '../harness/wait.js';
import { NatsProcess } from '../nats/nats-process.js';

const MADE =
  /^made a new, empty store in .*\/store, on \/\S* \(\w+, .*\)\. If there was one before, stop now: is its volume mounted/;

describe('a store folder that is empty, or not what it was', () => {
  let nats: NatsProcess;
  before(async () => {
    nats = await NatsProcess.start();
  });
  after(() => nats.stop());

  async function folder(t: TestContext): Promise<string> {
    const dir = await mkdtemp(join(tmpdir(), 'stanchion-made-'));
    t.after(() => rm(dir, { recursive: true, force: true }));
    return join(dir, 'store');
  }

  function start(dir: string, flags: Readonly<Record<string, string>> = {}): Promise<InProcess> {
    return InProcess.start({ store: 'file', dir, 'nats-server': nats.url, 'node-name': 'a', ...flags });
  }

  for (const [who, flags] of [
    ['a broker alone', {}],
    ['a member', { 'ft-group': 'g' }],
  ] as const) {
    it(`is told by ${who} that makes a new store in it, with the mount, and no more once there is one`, async (t) => {
      const dir = await folder(t);
      const first = await start(dir, flags);
      await waitFor(() => first.log.matching(MADE).length === 1, 'it says that the store is new');
      await first.broker.stop();
      const again = await start(dir, flags);
      await waitFor(() => again.log.all.includes('Streaming Server is ready'), 'it serves');
      await again.broker.stop();
      assert.deepEqual(again.log.matching(MADE), []);
    });
  }

  it('ends a broker whose store is removed, which says that, and not that another has taken it', async (t) => {
    const dir = await folder(t);
    const { broker } = await start(dir);
    // It may be making its second journal at the moment.
    fs.renameSync(dir, `${dir}.away`);
    const { exitCode, error } = await broker.stopped;
    assert.equal(exitCode, 1);
    assert.match(
      error?.message ?? '',
      /The store is gone: \S+ holds no store any more, .* Put it back before a broker starts on it again/,
    );
    assert.equal(fs.existsSync(dir), false);
  });

  it('is refused where only the lease of a store is left, which says that brokers have served', async (t) => {
    const dir = await folder(t);
    await (await start(dir)).broker.stop();
    for (const name of fs.readdirSync(dir))
      if (name !== 'lease') fs.rmSync(join(dir, name), { recursive: true });
    const before = fs.readdirSync(dir, { recursive: true });
    const ways: Readonly<Record<string, string>>[] = [{}, { 'ft-group': 'g' }];
    for (const flags of ways)
      await assert.rejects(start(dir, flags), {
        code: 'damaged',
        message: /stanchion\.json.*is missing, and the lease says that brokers have served/,
      });
    assert.deepEqual(fs.readdirSync(dir, { recursive: true }), before, 'nothing is changed');
  });
});

describe('the mount of a folder', () => {
  const LIST = [
    '21 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw',
    '30 21 0:45 / /mnt rw - tmpfs tmpfs rw',
    '31 30 0:46 / /mnt/a\\040b rw,noatime shared:9 master:2 - nfs4 server:/export rw,vers=4.2',
    '32 30 0:47 / /mnt/a\\040b rw - fuse.glusterfs volume rw',
    '',
  ].join('\n');

  it('is the deepest one that holds it, and the last of those', () => {
    assert.equal(mountIn(LIST, '/mnt/a b/store')?.type, 'fuse.glusterfs');
    assert.deepEqual(mountIn(LIST, '/mnt/a bc'), { path: '/mnt', type: 'tmpfs', source: 'tmpfs' });
    assert.equal(mountIn(LIST, '/mntx')?.path, '/');
    assert.equal(mountIn('', '/mntx'), undefined);
  });

  it('is missing where the table of file systems has one that is not there', () => {
    const table = [
      '# /dev/sdb1 /mnt/old ext4',
      '/dev/vda1 / ext4 defaults 0 1',
      'server:/export\t/mnt/vol nfs4 hard 0 0',
      '',
    ].join('\n');
    const root = { path: '/', type: 'ext4', source: '/dev/vda1' };
    assert.equal(missingMountIn(table, '/mnt/vol/store', root), '/mnt/vol');
    assert.equal(missingMountIn(table, '/mnt/vol/store', { ...root, path: '/mnt/vol' }), undefined);
    for (const path of ['/mnt/volume', '/mnt/old', '/srv'])
      assert.equal(missingMountIn(table, path, root), undefined, path);
  });
});
