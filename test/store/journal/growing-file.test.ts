import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { FILE_HEADER_BYTES } from '../../../src/store/format/file-header.js';
import { MIN_JOURNAL_BYTES } from '../../../src/store/journal/journal-file.js';
import { openJournalContent, scanJournal } from '../../../src/store/journal/journal-reader.js';
import { segmentBytesFor } from '../../../src/store/room/segment-room.js';
import {
  type LostStretch,
  type SalvageSink,
  salvageJournal,
} from '../../../src/store/tools/salvage-journal.js';
import type { Batch } from '../../../src/store/types/journal.js';
import { must } from '../../../src/util/assert.js';
import { until } from '../file-support.js';
import { failure } from '../sim-fs.js';
import { JournalRig, STORE_ID } from './journal-rig.js';

const LARGE_BYTES = 100 * 1024;
const SMALL_BYTES = 1000;
const AHEAD_BYTES = 128 * 1024;
const BLOCK_BYTES = 4096;

/** A journal whose next file grows: room for it is set aside. The first one is full, but for a few bytes. */
async function openGrowing(t: TestContext): Promise<JournalRig> {
  const rig = await JournalRig.open(t, {}, segmentBytesFor(2 * MIN_JOURNAL_BYTES));
  while (must((await rig.write(randomBytes(LARGE_BYTES))).place, 'it is written').body.id.number === 1);
  return rig;
}

function fileOf({ place }: Batch, rig: JournalRig): { path: string; content: Buffer; end: number } {
  const { path, end } = must(place, 'it is written').body;
  return { path, content: rig.fs.content(path), end };
}

describe('A journal file that grows', () => {
  it('has each byte of large batches written once', async (t) => {
    const rig = await openGrowing(t);
    const before = rig.fs.writtenBytes;
    let last = await rig.write(randomBytes(LARGE_BYTES));
    let bytes = last.end - last.start;
    while (must(last.place, 'it is written').body.id.number === 2) {
      last = await rig.write(randomBytes(LARGE_BYTES));
      bytes += last.end - last.start;
    }
    // Two files were begun beside: the one of the last batch, and the one that stands ready behind it.
    assert.ok(
      rig.fs.writtenBytes - before <= bytes + 2 * BLOCK_BYTES,
      `${rig.fs.writtenBytes - before} bytes written for ${bytes}`,
    );
    const { content, end } = fileOf(last, rig);
    assert.equal(content.length, end);
  });

  it('has zeros before small batches come, so that most of these change no metadata', async (t) => {
    const rig = await openGrowing(t);
    const sizes = new Set<number>();
    for (let i = 0; i < 400; i++) {
      const { content, end } = fileOf(await rig.write(randomBytes(SMALL_BYTES)), rig);
      sizes.add(content.length);
      assert.ok(content.length >= end && content.length <= Math.max(end + AHEAD_BYTES, AHEAD_BYTES));
    }
    assert.ok(sizes.size <= 6, `the file had ${sizes.size} sizes`);
  });

  it('gets what is set aside when the disk is full, for the same bytes at the same place', async (t) => {
    const rig = await openGrowing(t);
    const before = rig.reserve.segmentBytes;
    let isCut = false;
    rig.fs.onOperation = (operation, path) => {
      if (path.includes('/reserve/') && operation === 'truncate') isCut = true;
      if (path.endsWith('.log') && path.includes('/journal/') && operation === 'write' && !isCut)
        throw failure('ENOSPC', path);
    };
    const content = randomBytes(LARGE_BYTES);
    const batch = await rig.write(content);
    assert.ok(isCut);
    const { body, shift } = must(batch.place, 'it is written');
    assert.deepEqual(
      rig.fs.content(body.path).subarray(batch.end + shift - content.length, batch.end + shift),
      content,
    );
    assert.ok(must(rig.reserve.segmentBytes, 'it is known') < must(before, 'it is known') - content.length);
    assert.equal(rig.failure, undefined);
  });

  it('gets it for every message that was admitted, however little is left set aside', async (t) => {
    const rig = await openGrowing(t);
    const { journal, reserve } = rig;
    const former = fileOf(await rig.write(randomBytes(LARGE_BYTES)), rig);
    // What earlier batches have left of it; a checkpoint stands for them.
    const leftBytes = 2.1 * 1024 * 1024;
    assert.ok(await reserve.cut(must(reserve.segmentBytes, 'it is known') - leftBytes, leftBytes));
    assert.ok(journal.mark(false));
    journal.setCheckpointProblem(undefined);
    journal.resume();
    const content = randomBytes(6 * LARGE_BYTES);
    await until(() => journal.room.admit(content.length + 100) === 'yes', 'it is admitted');
    let cuts = 0;
    rig.fs.onOperation = (operation, path) => {
      if (path.includes('/reserve/') && operation === 'truncate') cuts++;
      if (path.includes('/journal/') && operation === 'write' && cuts === 0) throw failure('ENOSPC', path);
    };
    assert.equal(fileOf(await rig.write(content), rig).path, former.path);
    assert.equal(rig.failure, undefined);
  });

  it('ends where nothing more can be had: the batch is found once, though both files have it', async (t) => {
    const rig = await openGrowing(t);
    const first = await rig.write(randomBytes(LARGE_BYTES));
    const former = fileOf(first, rig);
    // The file system has written all of it, and says that it had no room.
    let isFailing = true;
    rig.fs.onOperation = (operation, path) => {
      if (path.includes('/reserve/') && operation === 'truncate') throw failure('ENOSPC', path);
    };
    rig.fs.onWritten = (path) => {
      if (path === former.path && isFailing) throw failure('ENOSPC', path);
    };
    const batch = await rig.write(randomBytes(LARGE_BYTES));
    isFailing = false;
    assert.notEqual(fileOf(batch, rig).path, former.path);
    const seen: number[] = [];
    let nextIndex = first.id;
    for (const { path, from } of [
      { path: former.path, from: former.end },
      { path: fileOf(batch, rig).path, from: FILE_HEADER_BYTES },
    ]) {
      const content = must(openJournalContent(path, rig.fs.content(path), STORE_ID), 'it has its header');
      nextIndex = scanJournal(
        content,
        from,
        nextIndex + (from === FILE_HEADER_BYTES ? 0 : 1),
        undefined,
        ({ index }) => seen.push(index),
      ).nextIndex;
    }
    assert.deepEqual(seen, [batch.id]);
    // What it has of the batch stays, also when messages are known to stay in it.
    const size = rig.fs.content(former.path).length;
    assert.ok(size - former.end > 64 * 1024);
    await rig.journal.retire(must(rig.journal.mark(false), 'nothing waits'), () => true);
    assert.equal(rig.fs.content(former.path).length, size);
  });

  it('ends also where a checkpoint counted on the batch that was being written: the mark is void, and the journal goes on', async (t) => {
    const rig = await openGrowing(t);
    const former = fileOf(await rig.write(randomBytes(LARGE_BYTES)), rig);
    rig.fs.onOperation = (operation, path) => {
      if (path.includes('/reserve/') && operation === 'truncate') throw failure('ENOSPC', path);
      if (path === former.path && operation === 'write') throw failure('ENOSPC', path);
    };
    let marks = 0;
    const batch = await rig.write(randomBytes(LARGE_BYTES), () => {
      if (marks++ === 0) assert.ok(rig.journal.mark(false));
    });
    assert.equal(rig.voids, 1);
    assert.notEqual(fileOf(batch, rig).path, former.path);
    assert.equal(rig.failure, undefined);
  });

  it('is passed by if there is not even room for its first batch, as acks must go on in what is set aside', async (t) => {
    const rig = await openGrowing(t);
    const former = must((await rig.write(randomBytes(LARGE_BYTES))).place, 'it is written').body;
    const hasRoom = (path: string) => !/\.00000[23]\.log$/.test(path);
    rig.fs.onOperation = (operation, path) => {
      const isCut = path.includes('/reserve/') && operation === 'truncate';
      if (isCut || (operation === 'write' && !hasRoom(path))) throw failure('ENOSPC', path);
    };
    const batch = await rig.write(randomBytes(2 * LARGE_BYTES));
    assert.deepEqual([former.id.number, must(batch.place, 'it is written').body.id.number], [2, 4]);
    assert.equal(rig.failure, undefined);
  });

  for (const [what, left] of [
    ['all of it', 1],
    ['half of it', 0.5],
    ['a few bytes', 0.0001],
  ] as const)
    it(`is followed by another that has the batch: a repair misses none, though the former one has ${what}`, async (t) => {
      const rig = await openGrowing(t);
      const former = fileOf(await rig.write(randomBytes(LARGE_BYTES)), rig);
      let isFailing = true;
      rig.fs.onOperation = (operation, path) => {
        if (path.includes('/reserve/') && operation === 'truncate') throw failure('ENOSPC', path);
      };
      rig.fs.onWritten = (path) => {
        if (path === former.path && isFailing) throw failure('ENOSPC', path);
      };
      const batch = await rig.write(randomBytes(LARGE_BYTES));
      isFailing = false;
      const { path, content, end } = fileOf(batch, rig);
      assert.notEqual(path, former.path);
      const bytes = Math.ceil((batch.end - batch.start) * left);
      const ended = rig.fs.content(former.path).subarray(0, former.end + bytes);
      const followed = Buffer.concat([ended, Buffer.alloc(LARGE_BYTES)]);
      const open = (name: string, buffer: Buffer) =>
        must(openJournalContent(name, buffer, STORE_ID), 'it has its header');
      const found: { lost: LostStretch[]; records: number } = { lost: [], records: 0 };
      const sink: SalvageSink = {
        record: () => found.records++,
        lost: (stretch) => found.lost.push(stretch),
        mended: () => assert.fail('nothing is damaged'),
      };
      const recycled = { ...open(former.path, followed), isRecycled: true };
      for (const file of [open(former.path, followed), recycled]) {
        found.records = 0;
        const salvage = salvageJournal(file, former.end, undefined, true, batch.id, batch.id, sink);
        salvageJournal(open(path, content), FILE_HEADER_BYTES, end, false, undefined, undefined, sink);
        assert.deepEqual(found.lost, []);
        assert.deepEqual({ end: salvage.end, records: found.records }, { end: former.end, records: 1 });
      }
    });
});
