import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import {
  BATCH_HEADER_BYTES,
  checkRecords,
  findBatchHeader,
  type JournalLife,
  provenBatchEnd,
  readBatchHeader,
  writeBatchHeader,
} from '../../../src/store/format/batch-format.js';
import { JOURNAL_VERSION } from '../../../src/store/format/file-header.js';
import { RECORD_HEADER_BYTES, RecordType, sealRecord } from '../../../src/store/format/record.js';
import { must } from '../../../src/util/assert.js';

const LIFE: JournalLife = { epoch: 3, number: 4, salt: 7, version: JOURNAL_VERSION, isRecycled: false };
const NEXT_LIFE: JournalLife = { ...LIFE, number: 9, salt: 8, isRecycled: true };
const START = 64;
const RECORDS = 3;
const RECORD_BYTES = RECORD_HEADER_BYTES + 50;
const CONTENT_START = START + BATCH_HEADER_BYTES;
const END = CONTENT_START + RECORDS * RECORD_BYTES;

/** A file with one batch of records of equal size at `START`. */
function fileWith(life: JournalLife, index: number): Buffer {
  const buffer = Buffer.alloc(END + 100);
  for (let at = CONTENT_START; at < END; at += RECORD_BYTES) {
    buffer[at + RECORD_HEADER_BYTES - 1] = RecordType.message;
    randomBytes(RECORD_BYTES - RECORD_HEADER_BYTES).copy(buffer, at + RECORD_HEADER_BYTES);
    sealRecord(buffer, at, at + RECORD_BYTES);
  }
  writeBatchHeader(buffer, START, END, life, START, index, 9n);
  return buffer;
}

describe('the header of a batch', () => {
  it('counts the batches of a term that writes thousands in a second for years', () => {
    const buffer = Buffer.alloc(BATCH_HEADER_BYTES);
    for (const index of [1, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 9_999_999_999_999]) {
      writeBatchHeader(buffer, 0, buffer.length, LIFE, 0, index, 9n);
      assert.equal(readBatchHeader(buffer, 0, LIFE)?.index, index);
    }
  });

  it('has a number below 2 to the 32 where release 0.1.0 has it, with zeros before it', () => {
    const buffer = Buffer.alloc(BATCH_HEADER_BYTES, 0xff);
    writeBatchHeader(buffer, 0, buffer.length, LIFE, 0, 0xfffffffe, 9n);
    assert.equal(buffer.readUInt32LE(16), 0xfffffffe);
    assert.deepEqual([...buffer.subarray(9, 12)], [0, 0, 0]);
  });
});

describe('a batch in a file that had another life', () => {
  const older = fileWith(LIFE, 5);
  const file = fileWith(NEXT_LIFE, 6);

  it('is whole with its own records', () => {
    const header = must(readBatchHeader(file, START, NEXT_LIFE), 'the header is whole');
    assert.equal(checkRecords(file, header), END);
  });

  it('is torn if records of the older life lie where its own are missing, though each of them is whole', () => {
    for (let record = 0; record < RECORDS; record++) {
      const torn = Buffer.from(file);
      const at = CONTENT_START + record * RECORD_BYTES;
      older.copy(torn, at, at, at + RECORD_BYTES);
      const header = must(readBatchHeader(torn, START, NEXT_LIFE), 'the header is whole');
      assert.equal(checkRecords(torn, header), CONTENT_START, `record ${record} is of the older life`);
    }
  });

  it('is none in the next life, and none at another place or under another name', () => {
    assert.equal(findBatchHeader(older, 0, NEXT_LIFE), -1);
    const moved = Buffer.concat([file.subarray(0, START), Buffer.alloc(8), file.subarray(START)]);
    const other = must(readBatchHeader(moved, START + 8, NEXT_LIFE), 'the header is whole');
    assert.equal(checkRecords(moved, other), START + 8 + BATCH_HEADER_BYTES);
    const renamed = must(readBatchHeader(file, START, { ...NEXT_LIFE, number: 10 }), 'the header is whole');
    assert.equal(checkRecords(file, renamed), CONTENT_START);
  });

  it('is known by its content if any byte of its header is wrong; what the older life left is not', () => {
    for (let at = START; at < CONTENT_START; at++) {
      const damaged = Buffer.from(file);
      damaged[at] = (damaged[at] ?? 0) ^ 0x41;
      assert.equal(readBatchHeader(damaged, START, NEXT_LIFE), undefined);
      assert.equal(provenBatchEnd(damaged, START, NEXT_LIFE), END, `byte ${at} is wrong`);
    }
    assert.equal(provenBatchEnd(older, START, NEXT_LIFE), -1);
  });
});
