import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { journalName } from '../../../src/files/file-names.js';
import { BATCH_HEADER_BYTES } from '../../../src/store/format/batch-format.js';
import { decodeFileHeader, Magic } from '../../../src/store/format/file-header.js';
import { openJournalContent, scanJournal } from '../../../src/store/journal/journal-reader.js';
import type { BatchPlace } from '../../../src/store/types/journal.js';
import { must } from '../../../src/util/assert.js';
import { until } from '../file-support.js';
import { failure } from '../sim-fs.js';
import { JournalRig, STORE_ID } from './journal-rig.js';

const BATCH_BYTES = 300 * 1024;

describe('The journal in files', () => {
  it('says of each batch where it lies, also when it has gone on in another file', async (t) => {
    const rig = await JournalRig.open(t);
    const places: BatchPlace[] = [];
    for (let i = 0; i < 8; i++) {
      const content = randomBytes(BATCH_BYTES);
      const batch = await rig.write(content);
      const { body, shift } = must(batch.place, 'a batch that is written has its place');
      places.push({ body, shift });
      const file = rig.fs.content(body.path);
      assert.equal(body.end, batch.end + shift);
      assert.deepEqual(
        file.subarray(body.end - content.length, body.end),
        content,
        `batch ${batch.id} lies where it says`,
      );
      assert.equal(decodeFileHeader(Magic.journal, file, body.path, STORE_ID)?.salt, body.salt);
    }
    const bodies = new Set(places.map(({ body }) => body));
    assert.equal(bodies.size, 3);
  });

  it('keeps a file that an index points into, and uses the others before the position again', async (t) => {
    const rig = await JournalRig.open(t);
    for (let i = 0; i < 12; i++) await rig.write(randomBytes(BATCH_BYTES));
    const position = must(rig.journal.mark(false), 'nothing waits, so its end is known');
    rig.journal.resume();
    const needed = journalName({ epoch: 1, number: 2 });
    await rig.journal.retire(position, (id) => journalName(id) === needed);
    const names = (await rig.names()).filter((name) => name.endsWith('.log'));
    assert.deepEqual(names.slice(0, 2), [needed, journalName(position)]);

    const kept = Buffer.from(rig.fs.content(`${rig.directory}/${needed}`));
    for (let i = 0; i < 6; i++) await rig.write(randomBytes(BATCH_BYTES));
    const headers = (await rig.headers()).map(({ number, isRecycled }) => [number, isRecycled]);
    // The next file stood ready when the others were given up.
    assert.deepEqual(headers.slice(0, 5), [
      [2, false],
      [4, false],
      [5, false],
      [6, true],
      [7, true],
    ]);
    assert.deepEqual(rig.fs.content(`${rig.directory}/${needed}`), kept);
  });

  it('cuts off what is unused behind the messages that stay in a file, once they are known to stay', async (t) => {
    const rig = await JournalRig.open(t);
    const ends = new Map<number, number>();
    for (let i = 0; i < 12; i++) {
      const { body } = must((await rig.write(randomBytes(BATCH_BYTES))).place, 'it is written');
      ends.set(body.id.number, body.end);
    }
    const path = (number: number): string => `${rig.directory}/${journalName({ epoch: 1, number })}`;
    const before = rig.fs.content(path(2)).length;
    const end = must(ends.get(2), 'it has batches');
    assert.ok(before - end > 64 * 1024, `${before - end} bytes are unused`);
    const position = must(rig.journal.mark(false), 'nothing waits');
    rig.journal.resume();
    await rig.journal.retire(position, ({ number }) => number === 2);
    assert.equal(rig.fs.content(path(2)).length, end);
    const content = must(openJournalContent(path(2), rig.fs.content(path(2)), STORE_ID), 'it has its header');
    assert.equal(scanJournal(content, 0, 0, undefined, () => {}).end, end);
    assert.equal(rig.fs.content(path(position.number)).length, before, 'the one that is written stays');
    const [spare] = (await rig.names()).filter((name) => name.endsWith('.tmp'));
    const kept = rig.fs.content(`${rig.directory}/${must(spare, 'one is kept to be used again')}`);
    assert.equal(kept.length, before);
  });

  it('ends where its own life ends in a file that is used again, though batches of the older life follow', async (t) => {
    const rig = await JournalRig.open(t);
    // All batches have one size: those of the older life lie just where the next ones would.
    for (let i = 0; i < 12; i++) await rig.write(randomBytes(BATCH_BYTES));
    await rig.journal.retire(must(rig.journal.mark(false), 'nothing waits'), () => false);
    rig.journal.resume();
    let batch = await rig.write(randomBytes(BATCH_BYTES));
    while (must(batch.place, 'it is written').body.id.number < 6)
      batch = await rig.write(randomBytes(BATCH_BYTES));
    const { body } = must(batch.place, 'it is written');
    const content = must(
      openJournalContent(body.path, rig.fs.content(body.path), STORE_ID),
      'the file has its header',
    );
    assert.ok(content.isRecycled);
    const seen: number[] = [];
    const scan = scanJournal(content, 0, 0, undefined, ({ index }) => seen.push(index));
    assert.deepEqual(seen, [batch.id]);
    assert.equal(scan.end, body.end);
    assert.equal(scan.tornBytes, 0);
    assert.equal(content.buffer.readUInt32LE(body.end), BATCH_HEADER_BYTES - 8, 'an older batch follows');
  });

  it('gives up what it keeps to use again when there is no room for something', async (t) => {
    const rig = await JournalRig.open(t);
    for (let i = 0; i < 30; i++) await rig.write(randomBytes(BATCH_BYTES));
    await rig.journal.retire(must(rig.journal.mark(false), 'nothing waits'), () => false);
    const spares = async (): Promise<string[]> => (await rig.names()).filter((name) => name.endsWith('.tmp'));
    assert.equal((await spares()).length, 5);
    rig.journal.setCheckpointProblem(failure('ENOSPC', '/store/segments'));
    await until(async () => (await spares()).length === 0, 'they are given up');
  });
});
