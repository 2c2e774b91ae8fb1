import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, it, type TestContext } from 'node:test';
import { nodeFs } from '../../src/files/fs.js';
import { testFileSystem } from '../../src/files/self-test.js';
import { MOVED } from '../../src/lease/carry-over.js';
import { Lease } from '../../src/lease/lease.js';
import type { LeaseState } from '../../src/lease/lease-state.js';
import { StoreAnchor } from '../../src/lease/store-anchor.js';
import type { FileStore } from '../../src/store/file/file-store.js';
import { checkIdentity, openIdentity } from '../../src/store/file/identity.js';
import { openFileStore } from '../../src/store/file/open-file-store.js';
import { newTerm } from '../harness/lease-states.js';
import { waitFor } from '../harness/wait.js';
import { FORMER_CLUSTER_ID, FORMER_MESSAGES, putFormerStore } from '../store/former/former-store.js';
import { oldLease } from '../store/former/old-term.js';
import { NO_LIMITS, pubMsg, random, readAll, TestClock, TestHost } from '../store/support.js';
import { type GlusterMount, GlusterVolume, NO_GLUSTER } from './gluster.js';

const clusterId = 'test-cluster';
const clock = new TestClock();

function open(t: TestContext, dir: string, epoch: number, cluster = clusterId): Promise<FileStore> {
  const opening = openFileStore({
    fs: nodeFs,
    clock,
    random,
    dir,
    clusterId: cluster,
    epoch,
    warn: () => {},
  });
  // Its files are of no more use after the test; a dead mount may refuse.
  opening.then((store) => t.after(() => store.close().catch(() => {}))).catch(() => {});
  return opening;
}

/** Publishes and waits until all is committed. */
async function publish(store: FileStore, host: TestHost, from: number, count: number): Promise<void> {
  const log = store.recovered.logs[0] ?? logs.get(store) ?? store.createLog('orders', NO_LIMITS);
  logs.set(store, log);
  for (let i = from; i < from + count; i++) log.append(pubMsg('orders', `message ${i}`), 1);
  const batch = store.gathering;
  store.commit();
  await waitFor(() => host.committed >= batch || host.failed !== undefined, 'the commit');
}
const logs = new WeakMap<FileStore, ReturnType<FileStore['createLog']>>();

function messages(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `message ${i + 1}`);
}

describe('two GlusterFS mounts of one volume', { skip: NO_GLUSTER }, () => {
  let a: GlusterMount;
  let b: GlusterMount;
  let volume: GlusterVolume;
  let number = 0;

  before(async () => {
    volume = await GlusterVolume.start();
    a = await volume.mount();
    b = await volume.mount();
  });
  after(() => volume.stop());

  /** A directory on both mounts. */
  function pair(): [string, string] {
    const name = `store-${++number}`;
    fs.mkdirSync(`${a.dir}/${name}`);
    return [`${a.dir}/${name}`, `${b.dir}/${name}`];
  }

  it('do all that the store asks of a file system, for two at once', async () => {
    const [onA, onB] = pair();
    await Promise.all([testFileSystem(nodeFs, onA, 1, 'a'), testFileSystem(nodeFs, onB, 1, 'b')]);
    assert.deepEqual(fs.readdirSync(onA), []);
  });

  it('let each name of the lease be changed once, also where it is remembered', async () => {
    const [onA, onB] = pair();
    const one = new Lease(nodeFs, onA);
    const two = new Lease(nodeFs, onB);
    await Promise.all([one.create('a'), two.create('b')]);
    let state: LeaseState = await one.read();
    for (let epoch = 1; epoch <= 100; epoch++) {
      assert.deepEqual(await two.readFresh('b'), state);
      const [byA, byB] = await Promise.all([
        one.takeOver(state, newTerm(epoch, 'a')),
        two.takeOver(state, newTerm(epoch, 'b')),
      ]);
      assert.ok((byA === 'lost') !== (byB === 'lost'), `epoch ${epoch} has one winner`);
      assert.equal(await (byA === 'lost' ? two : one).takeOver(state, newTerm(epoch, 'late')), 'lost');
      state = byA === 'lost' ? (byB as LeaseState) : byA;
    }
    assert.equal(fs.readdirSync(`${onA}/lease`).length, 1);
  });

  it('let the lease of a store of release 0.1.0 be moved once, by one of both, and from the name that it has', async () => {
    for (let round = 1; round <= 20; round++) {
      const [onA, onB] = pair();
      await putFormerStore(nodeFs, onA);
      const [one, two] = [new Lease(nodeFs, onA), new Lease(nodeFs, onB)];
      const old = oldLease(nodeFs, onA);
      await Promise.all([one.create('a'), two.create('b')]);
      const state = await old.read();
      const [byOne, byTwo] = [await one.readFresh('a'), await two.readFresh('b')];
      const taken = await Promise.all([
        one.takeOver(byOne, newTerm(3, 'a')),
        two.takeOver(byTwo, newTerm(3, 'b')),
        old.renew(state),
      ]);
      const [won, ...others] = taken.filter((next) => next !== 'lost');
      assert.deepEqual(others, [], 'one of them has it');
      assert.deepEqual(
        await two.readFresh('b'),
        taken[2] === 'lost' ? won : { ...byTwo, counter: byTwo.counter + 1 },
      );
      assert.equal(await two.takeOver(byTwo, newTerm(3, 'late')), 'lost');
    }
  });

  it('open a store of release 0.1.0 one after the other', async (t) => {
    const [onA, onB] = pair();
    await putFormerStore(nodeFs, onA);
    for (const [dir, epoch] of [
      [onB, 3],
      [onA, 4],
    ] as const) {
      const lease = new Lease(nodeFs, dir);
      await lease.create('member');
      assert.notEqual(
        await lease.takeOver(await lease.readFresh('member'), newTerm(epoch, 'member')),
        'lost',
      );
      const store = await open(t, dir, epoch, FORMER_CLUSTER_ID);
      const found = store.recovered.logs.map(({ name, lastSequence }) => [name, lastSequence]);
      assert.deepEqual(Object.fromEntries(found), FORMER_MESSAGES);
    }
    assert.deepEqual(fs.readdirSync(`${onB}/reign`), [MOVED]);
  });

  it('give a store one identity, also when both saw that there was none', async () => {
    const [onA, onB] = pair();
    const options = { fs: nodeFs, clusterId, clock, random };
    assert.equal(await checkIdentity(nodeFs, onB, clusterId), undefined);
    const [byA, byB] = await Promise.all([
      openIdentity({ ...options, dir: onA }),
      openIdentity({ ...options, dir: onB }),
    ]);
    assert.deepEqual(byA, byB);
    const names = [`stanchion.${byA.storeId}.key`, 'stanchion.json'];
    assert.deepEqual(fs.readdirSync(onA).sort(), names.sort());
  });

  it('show a successor everything that was committed, whatever it listed before', async (t) => {
    const [onA, onB] = pair();
    const first = await open(t, onA, 1);
    const host = new TestHost(first);
    await publish(first, host, 1, 10);
    for (const name of ['.', 'journal', 'segments', 'checkpoints']) {
      for (const entry of fs.readdirSync(`${onB}/${name}`)) fs.statSync(`${onB}/${name}/${entry}`);
    }
    // More than one journal file holds: so there are files that the mount has not seen.
    for (let i = 0; i < 30; i++) await publish(first, host, 11 + i * 2000, 2000);
    const total = 10 + 30 * 2000;
    const second = await open(t, onB, 2);
    assert.equal(second.storeId, first.storeId);
    assert.equal(second.recovered.logs[0]!.lastSequence, total);
    assert.deepEqual(await readAll(second.recovered.logs[0]!), messages(total));
  });

  it('number a file alike, and show each other that another one is there instead', async (t) => {
    const [onA, onB] = pair();
    await (await open(t, onA, 1)).close();
    const anchors = [onA, onB].map((dir) => new StoreAnchor(nodeFs, dir)) as [StoreAnchor, StoreAnchor];
    t.after(() => {
      for (const anchor of anchors) anchor.close();
    });
    for (const anchor of anchors) assert.equal(await anchor.look(), 'same');
    const [byA, byB] = [onA, onB].map((dir) => fs.statSync(`${dir}/stanchion.json`, { bigint: true }));
    assert.equal(byA!.ino, byB!.ino);
    // Whoever mounts it anew finds the file that it knows.
    assert.notEqual(byA!.dev, byB!.dev);
    fs.cpSync(onA, `${onA}-copy`, { recursive: true });
    fs.renameSync(onA, `${onA}-real`);
    fs.renameSync(`${onA}-copy`, onA);
    assert.equal(await anchors[0].look(), 'replaced');
    const begunMs = performance.now();
    await waitFor(async () => (await anchors[1].look()) === 'replaced', 'the other mount shows it');
    t.diagnostic(`the other mount shows it after ${Math.round(performance.now() - begunMs)} ms`);
  });

  it('let each other go on when one dies under an open store, which says so', async (t) => {
    const name = `store-${++number}`;
    const dying = await volume.mount();
    fs.mkdirSync(`${dying.dir}/${name}`);
    const first = await open(t, `${dying.dir}/${name}`, 1);
    const host = new TestHost(first);
    await publish(first, host, 1, 500);
    await dying.kill();
    // It may have noticed already, with what it does behind the scenes: then it takes nothing more.
    await publish(first, host, 501, 10).catch(() => {});
    await waitFor(() => host.failed !== undefined, 'the store says that it failed');
    assert.match(host.failed!.message, /ENOTCONN|EIO|ECONNABORTED/);
    const second = await open(t, `${b.dir}/${name}`, 2);
    assert.deepEqual(await readAll(second.recovered.logs[0]!), messages(500));
  });
});
