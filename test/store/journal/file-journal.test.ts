import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { journalName } from '../../../src/files/file-names.js';
import { decodeFileHeader, Magic } from '../../../src/store/format/file-header.js';
import type { BatchPlace } from '../../../src/store/types/journal.js';
import { must } from '../../../src/util/assert.js';
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

  it('keeps a file that an index points into, and removes the others before the position', async (t) => {
    const rig = await JournalRig.open(t);
    for (let i = 0; i < 12; i++) await rig.write(randomBytes(BATCH_BYTES));
    const position = must(rig.journal.mark(false), 'nothing waits, so its end is known');
    const needed = journalName({ epoch: 1, number: 2 });
    await rig.journal.retire(position, (id) => journalName(id) === needed);
    const names = await rig.names();
    assert.deepEqual(names.slice(0, 2), [needed, journalName(position)]);
    await rig.journal.retire(position, () => false);
    assert.equal((await rig.names())[0], journalName(position));
  });
});
