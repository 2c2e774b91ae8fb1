import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  BATCH_HEADER_BYTES,
  readBatchHeader,
  writeBatchHeader,
} from '../../../src/store/format/batch-format.js';

const SALT = 7;

describe('the header of a batch', () => {
  it('counts the batches of a term that writes thousands in a second for years', () => {
    const buffer = Buffer.alloc(BATCH_HEADER_BYTES);
    for (const index of [1, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 9_999_999_999_999]) {
      writeBatchHeader(buffer, 0, SALT, index, 5, 9n);
      assert.equal(readBatchHeader(buffer, 0, SALT)?.index, index);
    }
  });

  it('has a number below 2 to the 32 where release 0.1.0 has it, with zeros before it', () => {
    const buffer = Buffer.alloc(BATCH_HEADER_BYTES, 0xff);
    writeBatchHeader(buffer, 0, SALT, 0xfffffffe, 5, 9n);
    assert.equal(buffer.readUInt32LE(16), 0xfffffffe);
    assert.deepEqual([...buffer.subarray(9, 12)], [0, 0, 0]);
  });
});
