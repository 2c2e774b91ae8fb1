import assert from 'node:assert/strict';
import { before, describe, it, type TestContext } from 'node:test';
import type { Timer } from '../../../src/clock/clock.js';
import { readUsed, writeFile } from '../../../src/files/file-io.js';
import { StoreError } from '../../../src/files/store-error.js';
import { Lease } from '../../../src/lease/lease.js';
import type { FileStore } from '../../../src/store/file/file-store.js';
import { openFileStore } from '../../../src/store/file/open-file-store.js';
import { FILE_HEADER_BYTES } from '../../../src/store/format/file-header.js';
import { storeInfo } from '../../../src/store/tools/inspect.js';
import { storeVerify } from '../../../src/store/tools/verify.js';
import { until } from '../file-support.js';
import { SimFs } from '../sim-fs.js';
import { NO_LIMITS, pubMsg, random, readAll, TestClock, TestHost } from '../support.js';

const DIR = '/store';
const JOURNAL = `${DIR}/journal/00000001.000001.log`;
const MEBIBYTE = 1024 * 1024;

/** The clock of stores that tests leave as a dead machine would: what they still wait for keeps no process alive. */
class IdleClock extends TestClock {
  override setTimer(delayMs: number, callback: () => void): Timer {
    const handle = setTimeout(callback, delayMs).unref();
    return { cancel: () => clearTimeout(handle) };
  }
}

const clock = new IdleClock();

async function open(
  fs: SimFs,
  epoch: number,
  journalBytes = MEBIBYTE,
): Promise<{ store: FileStore; host: TestHost; warnings: string[] }> {
  const warnings: string[] = [];
  const warn = (message: string): void => {
    warnings.push(message);
  };
  const settings = { clusterId: 'test-cluster', journalBytes };
  await new Lease(fs, DIR).create('test');
  const store = await openFileStore({ fs, clock, random, dir: DIR, epoch, warn, ...settings });
  return { store, host: new TestHost(store), warnings };
}

function end(content: Buffer): number {
  let at = content.length;
  while (at > 0 && content[at - 1] === 0) at--;
  return at;
}

/** A store with three batches of three messages each in its journal, and where each ends. */
async function threeBatches(): Promise<{ fs: SimFs; ends: number[] }> {
  const fs = new SimFs();
  const { store, host } = await open(fs, 1);
  const ends: number[] = [];
  const log = store.createLog('foo', NO_LIMITS);
  for (let batch = 1; batch <= 3; batch++) {
    for (let i = 1; i <= 3; i++) log.append(pubMsg('foo', `batch ${batch} message ${i}`), 1);
    await host.commit();
    ends.push(end(fs.content(JOURNAL)));
  }
  return { fs: fs.restarted('synced'), ends };
}

describe('a journal whose last batch is torn', () => {
  let fs: SimFs;
  let ends: number[];
  before(async () => {
    ({ fs, ends } = await threeBatches());
  });

  it('is read up to the batch before, wherever the tear is, and the log says so', async () => {
    const whole = Buffer.from(fs.content(JOURNAL));
    for (let tear = ends[1]!; tear < ends[2]!; tear++) {
      const torn = fs.restarted('synced');
      torn.replace(JOURNAL, Buffer.from(whole).fill(0, tear));
      const { store, warnings } = await open(torn, 2);
      assert.equal(store.recovered.logs[0]!.lastSequence, 6, `torn at ${tear}`);
      // A batch whose bytes so far are all 0 left nothing to tell of.
      if (whole.subarray(ends[1]!, tear).some((byte) => byte !== 0)) {
        assert.match(warnings.join(), /torn/);
        assert.ok(warnings[0]!.includes(JOURNAL));
      }
    }
  });

  it('is read up to the batch before if any byte of it is wrong', async () => {
    const whole = Buffer.from(fs.content(JOURNAL));
    for (let at = ends[1]!; at < ends[2]!; at += 3) {
      const bad = Buffer.from(whole);
      bad[at]! ^= 0x41;
      const torn = fs.restarted('synced');
      torn.replace(JOURNAL, bad);
      const { store } = await open(torn, 2);
      assert.equal(store.recovered.logs[0]!.lastSequence, 6, `wrong at ${at}`);
    }
  });

  it('is not read further by the next term either, whatever stands there then', async () => {
    const whole = Buffer.from(fs.content(JOURNAL));
    const torn = fs.restarted('synced');
    torn.replace(JOURNAL, Buffer.from(whole).fill(0, ends[2]! - 1));
    const { store, host } = await open(torn, 2);
    store.recovered.logs[0]!.append(pubMsg('foo', 'second lease'), 1);
    await host.commit();
    // The first term wakes up and finishes its write.
    const after = torn.restarted('synced');
    after.replace(JOURNAL, whole);
    const third = await open(after, 3);
    const [log] = third.store.recovered.logs;
    assert.equal(log!.lastSequence, 7);
    assert.equal((await readAll(log!))[6], 'second lease');
  });
});

describe('a journal as it is read', () => {
  it('has the zeros that its last record may end in, wherever that is', async () => {
    const fs = new SimFs();
    await fs.makeDirectory(DIR);
    // Records end in a few zeros at most but for the names in them, of 1,024 bytes.
    const zeros = 1024;
    for (const used of [MEBIBYTE - 1, MEBIBYTE, 2 * MEBIBYTE]) {
      const content = Buffer.concat([Buffer.alloc(used, 1), Buffer.alloc(3 * MEBIBYTE)]);
      await writeFile(fs, `${DIR}/${used}`, content);
      assert.ok((await readUsed(fs, `${DIR}/${used}`)).length >= used + zeros, `${used} bytes are used`);
    }
  });
});

describe('damage', () => {
  it('in the middle of a journal is refused with file and offset, and nothing is changed', async () => {
    const { fs, ends } = await threeBatches();
    const whole = Buffer.from(fs.content(JOURNAL));
    for (let at = 0; at < ends[1]!; at += 5) {
      const bad = Buffer.from(whole);
      bad[at]! ^= 0x41;
      const damagedFs = fs.restarted('synced');
      damagedFs.replace(JOURNAL, bad);
      const paths = damagedFs.paths();
      await assert.rejects(open(damagedFs, 2), (error: StoreError) => {
        assert.ok(error instanceof StoreError, String(error));
        // A wrong byte in the header may look like another version or store, and is refused as that.
        if (at >= 64) assert.equal(error.code, 'damaged');
        assert.ok(error.message.includes(JOURNAL), error.message);
        return true;
      });
      assert.deepEqual(damagedFs.paths(), paths);
      assert.ok(damagedFs.content(JOURNAL).equals(bad));
    }
  });

  it('is none where a predecessor still writes while its journal is read', async (t: TestContext) => {
    const { fs, ends } = await threeBatches();
    const whole = Buffer.from(fs.content(JOURNAL));
    // The second batch came after its place was read, the third before.
    fs.replace(JOURNAL, Buffer.from(whole).fill(0, ends[0], ends[1]));
    const look = fs.open.bind(fs);
    let looks = 0;
    t.mock.method(fs, 'open', (...[path, mode]: Parameters<SimFs['open']>) => {
      // For the term record, for the rest, and the same again; then to sync what was accepted.
      if (path === JOURNAL && ++looks === 3) fs.replace(JOURNAL, whole);
      return look(path, mode);
    });
    const { store } = await open(fs, 2);
    assert.equal(looks, 5);
    assert.equal(store.recovered.logs[0]!.lastSequence, 9);
  });

  it('of a missing journal is refused', async () => {
    const { fs } = await threeBatches();
    const { store, host } = await open(fs, 2);
    store.recovered.logs[0]!.append(pubMsg('foo', 'x'), 1);
    await host.commit();
    const after = fs.restarted('synced');
    await after.unlink(JOURNAL);
    await assert.rejects(open(after, 3), { code: 'damaged' });
  });

  it('of an emptied journal that the newest term counts on is refused', async () => {
    const { fs } = await threeBatches();
    const { store, host } = await open(fs, 2);
    store.recovered.logs[0]!.append(pubMsg('foo', 'x'), 1);
    await host.commit();
    for (const left of [0, 10, FILE_HEADER_BYTES]) {
      const after = fs.restarted('synced');
      after.replace(JOURNAL, Buffer.from(after.content(JOURNAL).subarray(0, left)));
      await assert.rejects(
        open(after, 3),
        (error: StoreError) => error.code === 'damaged' && error.message.includes(JOURNAL),
        `${left} bytes are left`,
      );
    }
  });

  it('of a journal that ends before the newest checkpoint is refused', async () => {
    const { fs } = await threeBatches();
    const { store, host } = await open(fs, 2);
    const path = `${DIR}/journal/00000002.000001.log`;
    store.upkeep.checkpoint();
    await until(() => !store.upkeep.isCheckpointing, 'the checkpoint');
    const position = end(fs.content(path));
    store.recovered.logs[0]!.append(pubMsg('foo', 'behind the checkpoint'), 1);
    await host.commit();
    for (const left of [0, FILE_HEADER_BYTES, position - 1]) {
      const after = fs.restarted('synced');
      after.replace(path, Buffer.from(after.content(path).subarray(0, left)));
      await assert.rejects(
        open(after, 3),
        (error: StoreError) => error.code === 'damaged' && error.message.includes(path),
        `${left} bytes are left`,
      );
    }
  });

  it('of an emptied first journal of the newest term is refused, if that one went on in another', async () => {
    const { fs } = await threeBatches();
    const { store, host } = await open(fs, 2);
    const path = `${DIR}/journal/00000002.000001.log`;
    const second = `${DIR}/journal/00000002.000002.log`;
    while (!fs.paths().includes(second) || end(fs.content(second)) <= FILE_HEADER_BYTES) {
      store.recovered.logs[0]!.append(pubMsg('foo', 'x'.repeat(100_000)), 1);
      await host.commit();
    }
    const after = fs.restarted('synced');
    after.replace(path, Buffer.alloc(0));
    await assert.rejects(
      open(after, 3),
      (error: StoreError) => error.code === 'damaged' && error.message.includes(path),
    );
  });

  async function checkpointedStore(): Promise<{
    fs: SimFs;
    segment: string;
    body: string;
    checkpoint: string;
  }> {
    const { fs } = await threeBatches();
    const { store } = await open(fs, 2);
    store.upkeep.checkpoint();
    await until(() => !store.upkeep.isCheckpointing, 'the checkpoint');
    const after = fs.restarted('synced');
    return {
      fs: after,
      segment: after.paths().find((path) => path.includes('/segments/'))!,
      // The journal of the first term: the segment points into it.
      body: after.paths().find((path) => path.includes('/journal/'))!,
      checkpoint: after.paths().find((path) => path.includes('/checkpoints/'))!,
    };
  }

  it('of the only checkpoint is refused with file and offset', async () => {
    const { fs, checkpoint } = await checkpointedStore();
    fs.content(checkpoint)[80]! ^= 1;
    await assert.rejects(open(fs, 3), (error: Error) => error.message.includes(checkpoint));
  });

  it('of a checkpoint that is gone is refused, and its segments stay', async () => {
    const { fs } = await checkpointedStore();
    const third = await open(fs, 3);
    third.store.upkeep.checkpoint();
    await until(() => !third.store.upkeep.isCheckpointing, 'the checkpoint');
    await third.store.close();
    // The fourth accepts what the third has left of journals, which is whole, and holds no message.
    const fourth = await open(fs, 4);
    await fourth.store.close();
    for (const path of fs.paths().filter((name) => name.includes('/checkpoints/'))) await fs.unlink(path);
    const { damages } = await storeVerify({ fs, clock, dir: DIR });
    assert.match(
      damages.map(({ path, what }) => `${path}: ${what}`).join(),
      /checkpoints\/.*ckpt: the file is missing/,
    );
    const segments = fs.paths().filter((path) => path.includes('/segments/'));
    assert.notEqual(segments.length, 0);
    await assert.rejects(open(fs, 5), { code: 'damaged' });
    assert.deepEqual(
      fs.paths().filter((path) => path.includes('/segments/')),
      segments,
    );
  });

  it('of a folder that is gone is found by a reader too', async () => {
    const { fs } = await checkpointedStore();
    for (const path of fs.paths().filter((name) => name.includes('/journal/'))) await fs.unlink(path);
    await fs.removeDirectory(`${DIR}/journal`);
    const { damages } = await storeVerify({ fs, clock, dir: DIR });
    assert.match(
      damages.map(({ path, what }) => `${path}: ${what}`).join(),
      /journal\/.*: the file is missing/,
    );
    assert.match((await storeInfo({ fs, clock, dir: DIR })).damage?.what ?? '', /the file is missing/);
  });

  it('of the name of the lease is found by the verification', async () => {
    const { fs } = await checkpointedStore();
    const lease = new Lease(fs, DIR);
    await lease.create('a');
    assert.deepEqual((await storeVerify({ fs, clock, dir: DIR })).damages, []);
    for (const path of fs.paths().filter((name) => name.includes('/lease/'))) await fs.unlink(path);
    const { damages } = await storeVerify({ fs, clock, dir: DIR });
    assert.match(
      damages.map(({ what }) => what).join(),
      /should hold one file whose name is the state of the lease/,
    );
  });

  it('of the newest checkpoint falls back to the one before while its journals are there', async () => {
    const { fs } = await threeBatches();
    const { store, host } = await open(fs, 2);
    const [log] = store.recovered.logs;
    store.upkeep.checkpoint();
    await until(() => !store.upkeep.isCheckpointing, 'the checkpoint');
    log!.append(pubMsg('foo', 'behind the first checkpoint'), 1);
    await host.commit();
    // The second one is stopped before it removes what it makes needless.
    fs.onOperation = (operation, path) => {
      if (operation === 'unlink' && !path.endsWith('.tmp')) fs.stopAt = fs.operations;
    };
    store.upkeep.checkpoint();
    await until(() => fs.isStopped, 'the first removal');
    const after = fs.restarted('synced');
    const checkpoints = after.paths().filter((path) => path.includes('/checkpoints/'));
    assert.equal(checkpoints.length, 2);
    after.content(checkpoints.sort()[1]!)[80]! ^= 1;
    const third = await open(after, 3);
    assert.equal(third.store.recovered.logs[0]!.lastSequence, 10);
    assert.match(third.warnings.join(), /checkpoint before/);
  });

  it('of a message is an error to its readers, and others are read', async () => {
    const { fs, body } = await checkpointedStore();
    const at = fs.content(body).indexOf('batch 2 message 1');
    fs.content(body)[at]! ^= 1;
    const { store } = await open(fs, 3);
    const [log] = store.recovered.logs;
    await log!.load(1);
    await assert.rejects(log!.load(4), (error: StoreError) => {
      assert.equal(error.code, 'damaged');
      assert.ok(error.message.includes(body));
      return true;
    });
    await log!.load(5);
  });

  it('of a row of the index leaves its message readable', async () => {
    const { fs, segment } = await checkpointedStore();
    const content = fs.content(segment);
    // Nine rows of 16 bytes, then one entry of the directory, then the footer.
    const rows = content.length - 24 - 40 - 9 * 16;
    for (const row of [0, 3, 4, 8]) content[rows + row * 16]! ^= 1;
    const { store } = await open(fs, 3);
    const texts = [1, 2, 3].flatMap((batch) =>
      [1, 2, 3].map((message) => `batch ${batch} message ${message}`),
    );
    assert.deepEqual(await readAll(store.recovered.logs[0]!), texts);
    const { damages } = await storeVerify({ fs, clock, dir: DIR });
    assert.match(
      damages.map(({ what }) => what).join(),
      /messages 4 to 5 of channel foo can be read all the same/,
    );
  });

  it('is none if bytes were appended to a checkpoint: they are reported, and it is read', async () => {
    const { fs, checkpoint } = await checkpointedStore();
    const whole = Buffer.from(fs.content(checkpoint));
    for (const tail of [Buffer.alloc(4), Buffer.from('x'), Buffer.alloc(5000, 7)]) {
      const after = fs.restarted('written');
      after.replace(checkpoint, Buffer.concat([whole, tail]));
      const { damages, notes } = await storeVerify({ fs: after, clock, dir: DIR });
      assert.deepEqual(damages, []);
      const told = new RegExp(`${checkpoint}: ${tail.length} bytes behind its end are not the store's`);
      assert.match(notes.join(), told);
      const { store, warnings } = await open(after, 3);
      assert.equal(store.recovered.logs[0]!.lastSequence, 9);
      assert.match(warnings.join(), told);
    }
  });

  it('is reported with all the messages that it hit, and the others are checked', async () => {
    const { fs, segment, body } = await checkpointedStore();
    const content = fs.content(segment);
    const journal = fs.content(body);
    for (const [batch, message] of [
      [1, 2],
      [1, 3],
      [3, 1],
    ]) {
      journal[journal.indexOf(`batch ${batch} message ${message}`)]! ^= 1;
    }
    // The footer too: the newest state knows what is in the segment.
    content[content.length - 20]! ^= 1;
    const { damages, messages } = await storeVerify({ fs, clock, dir: DIR });
    assert.equal(messages, 6);
    const told = damages.map(({ what }) => what).join('\n');
    assert.match(told, /footer is not whole/);
    assert.match(told, /messages 2 to 3 cannot be read/);
    assert.match(told, /message 7 is not whole/);
    assert.equal(damages.length, 3);
  });

  it('is none if bytes were appended to a segment: they are reported, and the messages are read', async () => {
    const { fs, segment } = await checkpointedStore();
    const whole = Buffer.from(fs.content(segment));
    for (const tail of [Buffer.alloc(1), Buffer.from('STANCHE\n'.repeat(9)), Buffer.alloc(3 * MEBIBYTE, 7)]) {
      fs.replace(segment, Buffer.concat([whole, tail]));
      const { damages, notes, messages } = await storeVerify({ fs, clock, dir: DIR });
      assert.deepEqual([damages, messages], [[], 9]);
      assert.match(
        notes.join(),
        new RegExp(`${segment}: ${tail.length} bytes behind its footer are not the store's`),
      );
    }
    const { store } = await open(fs, 3);
    assert.equal((await readAll(store.recovered.logs[0]!))[8], 'batch 3 message 3');
  });

  it('is found by the verification, wherever it is', async (t: TestContext) => {
    const { fs } = await checkpointedStore();
    assert.deepEqual((await storeVerify({ fs, clock, dir: DIR })).damages, []);
    // What is set aside holds nothing: it is written before it is read.
    const holding = fs.paths().filter((name) => /seg|ckpt/.test(name) && !name.includes('/reserve/'));
    for (const path of holding) {
      const content = fs.content(path);
      for (let at = 0; at < content.length; at += 7) {
        // The padding of headers means nothing.
        content[at]! ^= 0x10;
        const { damages } = await storeVerify({ fs, clock, dir: DIR });
        assert.ok(damages.length > 0, `${path} at ${at}`);
        content[at]! ^= 0x10;
      }
    }
    t.diagnostic('every seventh byte of every segment and checkpoint');
  });

  it('leaves the rest to be looked at', async () => {
    const { fs } = await threeBatches();
    const { store } = await open(fs, 2);
    const info = await storeInfo({ fs, clock, dir: DIR });
    assert.equal(info.identity.storeId, store.storeId);
    assert.equal(info.highestEpoch, 2);
    assert.deepEqual(
      info.channels.map(({ name, firstSequence, lastSequence }) => ({ name, firstSequence, lastSequence })),
      [{ name: 'foo', firstSequence: 1, lastSequence: 9 }],
    );
    const bad = fs.restarted('synced');
    bad.content(JOURNAL)[200]! ^= 1;
    const damagedInfo = await storeInfo({ fs: bad, clock, dir: DIR });
    assert.equal(damagedInfo.damage?.path, JOURNAL);
  });
});
