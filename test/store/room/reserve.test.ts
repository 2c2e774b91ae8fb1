import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import { nodeFs } from '../../../src/files/fs.js';
import { BlobFileWriter } from '../../../src/store/blobs/blob-file-writer.js';
import { useRoom } from '../../../src/store/journal/journal-file.js';
import { Reserve, takeRoom } from '../../../src/store/room/reserve.js';
import { must } from '../../../src/util/assert.js';
import { temporaryDirectory, until } from '../file-support.js';
import { HastyClock, TestClock } from '../support.js';

const SIZE = { count: 1, leastCount: 1, bytes: 4096, leastBytes: 4096 };

describe('The reserve of a store', () => {
  it('keeps nothing before it has its folder: a file that would be kept stays where it is', async (t) => {
    const dir = temporaryDirectory(t);
    let isShort = true;
    const list = (path: string): Promise<string[]> => {
      if (!isShort) return nodeFs.list(path);
      return Promise.reject(
        Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE', syscall: 'scandir' }),
      );
    };
    const reserve = new Reserve({
      fs: { ...nodeFs, list },
      clock: new TestClock(),
      dir,
      epoch: 1,
      sizes: { log: SIZE, ckpt: SIZE, seg: SIZE },
    });
    t.after(() => reserve.close());
    reserve.refill();
    await until(() => reserve.problem !== undefined, 'it has been tried');
    isShort = false;

    const journal = `${dir}/00000001.000001.log`;
    fs.writeFileSync(journal, Buffer.alloc(8192));
    assert.equal(await reserve.keep('log', journal), false);
    assert.equal(fs.statSync(journal).size, 8192);

    reserve.refill();
    await until(() => reserve.problem === undefined, 'it is whole');
    await reserve.take('log');
    assert.equal(await reserve.keep('log', journal), true);
    assert.equal(fs.existsSync(journal), false);
  });

  it('sets a larger segment aside for a message that needs one, says so when there is no room, and tries it again', async (t) => {
    const dir = temporaryDirectory(t);
    // What is tried again in ten seconds is tried at once.
    const clock = new HastyClock(10_000);
    let freeBytes = 1_000_000;
    const reserve = new Reserve({
      fs: { ...nodeFs, freeBytes: () => Promise.resolve(freeBytes) },
      clock,
      dir,
      epoch: 1,
      sizes: { log: SIZE, ckpt: SIZE, seg: SIZE },
    });
    t.after(() => reserve.close());
    reserve.refill();
    await until(() => reserve.segmentBytes === 4096, 'what is usual is set aside');

    assert.equal(reserve.wantSegment(100_000), true);
    await until(() => reserve.segmentBytes === 100_000, 'a larger one is set aside');

    assert.equal(reserve.wantSegment(500_000), true);
    await until(() => !reserve.wantSegment(500_000), 'a fourth of what is free is less');
    assert.equal(reserve.segmentBytes, 100_000);
    assert.equal(reserve.problem, undefined, 'others are served');

    freeBytes = 4_000_000;
    await until(() => reserve.wantSegment(500_000), 'there is room by now');
    assert.equal(reserve.segmentBytes, 500_000);
  });

  it('makes room for a checkpoint a few times while checkpoints grow, and always enough for the next one', async (t) => {
    const dir = temporaryDirectory(t);
    let made = 0;
    let madeBytes = 0;
    const open: typeof nodeFs.open = async (path, mode) => {
      const file = await nodeFs.open(path, mode);
      if (!path.endsWith('.ckpt.tmp')) return file;
      made++;
      const { write } = file;
      file.write = (buffer, start, end, at, done) => {
        madeBytes += end - start;
        write.call(file, buffer, start, end, at, done);
      };
      return file;
    };
    const size = { ...SIZE, count: 2 };
    const reserve = new Reserve({
      ...{ fs: { ...nodeFs, open }, clock: new TestClock(), dir, epoch: 1 },
      sizes: { log: SIZE, ckpt: size, seg: SIZE },
    });
    t.after(() => reserve.close());
    const largest = 400_000;
    let tries = 0;
    for (let bytes = 1000; bytes <= largest; bytes *= 1.05) {
      reserve.wantCheckpoint(Math.floor(bytes));
      tries++;
      const refilled = new Promise<void>((resolve) => {
        reserve.onChanged = resolve;
      });
      reserve.refill();
      await refilled;
      await new Promise((resolve) => setImmediate(resolve));
      const sizes = fs
        .readdirSync(`${dir}/reserve`)
        .filter((name) => name.endsWith('.ckpt'))
        .map((name) => fs.statSync(`${dir}/reserve/${name}`).size);
      assert.equal(sizes.length, 2);
      for (const room of sizes) assert.ok(room >= bytes * 1.4, `${room} at ${bytes}`);
    }
    assert.ok(made <= 40 && tries > 100, `${made} files were made in ${tries} steps`);
    assert.ok(madeBytes < 20 * largest, `${madeBytes} bytes`);
  });

  it('is not taken for a segment while it is being cut for the journal', async (t) => {
    const dir = temporaryDirectory(t);
    const gate = { pass: () => {} };
    const passed = new Promise<void>((resolve) => {
      gate.pass = resolve;
    });
    const reserve = new Reserve({
      fs: {
        ...nodeFs,
        open: async (path, mode) => {
          if (mode === 'write') await passed;
          return await nodeFs.open(path, mode);
        },
      },
      clock: new TestClock(),
      dir,
      epoch: 1,
      sizes: { log: SIZE, ckpt: SIZE, seg: SIZE },
    });
    t.after(() => reserve.close());
    reserve.refill();
    await until(() => reserve.segmentBytes === 4096, 'it is set aside');

    const cut = reserve.cut(1024, 1024);
    const segment = `${dir}/00000001.000001.seg`;
    const taken = reserve.take('seg').then(async (room) => {
      if (room !== undefined) await takeRoom(nodeFs, room, segment);
      return room?.bytes;
    });
    setImmediate(gate.pass);
    assert.equal(await cut, true);
    assert.equal(await taken, 4096 - 1024);
    assert.equal(fs.statSync(segment).size, 4096 - 1024);
    assert.equal(reserve.segmentBytes, 0);
  });

  it('has lost the name of what is taken before anything is written to it, also after a power cut', async (t) => {
    const dir = temporaryDirectory(t);
    const calls: string[] = [];
    const recording: typeof nodeFs = {
      ...nodeFs,
      open: (path, mode) => {
        calls.push(`open ${mode} ${path.slice(dir.length)}`);
        return nodeFs.open(path, mode);
      },
      rename: (from, to) => {
        calls.push(`rename ${from.slice(dir.length)} to ${to.slice(dir.length)}`);
        return nodeFs.rename(from, to);
      },
      syncDirectory: (path) => {
        calls.push(`sync ${path.slice(dir.length)}`);
        return nodeFs.syncDirectory(path);
      },
    };
    const sizes = { log: SIZE, ckpt: SIZE, seg: SIZE };
    const reserve = new Reserve({ fs: nodeFs, clock: new TestClock(), dir, epoch: 1, sizes });
    t.after(() => reserve.close());
    reserve.refill();
    await until(() => reserve.segmentBytes === 4096, 'it is set aside');

    const id = { epoch: 1, number: 1 };
    const segment = must(await reserve.take('seg'), 'a segment is set aside');
    const path = `${dir}/00000001.000001.seg`;
    const writer = await BlobFileWriter.create(
      recording,
      { id, directory: dir, path, temporary: path },
      { reserve, kind: 'seg', room: segment },
    );
    await writer.abandon();
    assert.deepEqual(calls.splice(0), [
      `rename ${segment.path.slice(dir.length)} to /00000001.000001.seg`,
      'sync /reserve',
      'open write /00000001.000001.seg',
    ]);

    const journal = must(await reserve.take('log'), 'a journal is set aside');
    const forJournal = { fs: recording, directory: dir, storeId: 'x'.repeat(22), random: Buffer.alloc };
    const { file } = await useRoom(forJournal, reserve, id, journal);
    await file.close();
    assert.deepEqual(calls.slice(0, 3), [
      `rename ${journal.path.slice(dir.length)} to /00000001.000001.log.tmp`,
      'sync /reserve',
      'open durable /00000001.000001.log.tmp',
    ]);
  });

  it('cannot be adopted by a successor while it is being cut, which would cut what the successor writes there', async (t) => {
    const dir = temporaryDirectory(t);
    const gate = { pass: () => {}, isReached: false };
    const passed = new Promise<void>((resolve) => {
      gate.pass = resolve;
    });
    const open: typeof nodeFs.open = async (path, mode) => {
      const file = await nodeFs.open(path, mode);
      if (mode !== 'write') return file;
      const { truncate } = file;
      file.truncate = async (bytes) => {
        gate.isReached = true;
        await passed;
        await truncate.call(file, bytes);
      };
      return file;
    };
    const options = { clock: new TestClock(), dir, sizes: { log: SIZE, ckpt: SIZE, seg: SIZE } };
    const reserve = new Reserve({ ...options, fs: { ...nodeFs, open }, epoch: 1 });
    const successor = new Reserve({ ...options, fs: nodeFs, epoch: 2 });
    t.after(() => Promise.all([reserve.close(), successor.close()]));
    reserve.refill();
    await until(() => reserve.segmentBytes === 4096, 'it is set aside');

    const cut = reserve.cut(1024, 1024).catch(() => false);
    await until(() => gate.isReached, 'it is about to be cut');
    assert.equal(await successor.take('seg'), undefined);
    gate.pass();
    assert.equal(await cut, false);
    assert.deepEqual(
      fs.readdirSync(`${dir}/reserve`).filter((name) => name.includes('.seg')),
      [],
    );
  });
});
