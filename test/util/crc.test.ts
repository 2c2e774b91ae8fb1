import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { crc32 as zlibCrc32 } from 'node:zlib';
import { crc32 } from '../../src/util/crc.js';

describe("crc32 is zlib's", () => {
  it('at every length up to 1,000, wherever the bytes begin', () => {
    const bytes = randomBytes(1_100);
    for (let length = 0; length <= 1_000; length++) {
      const start = length % 97;
      assert.equal(crc32(bytes, start, start + length), zlibCrc32(bytes.subarray(start, start + length)));
    }
  });

  it('in a buffer that is a piece of a larger one, and in one after the other', () => {
    const whole = randomBytes(500);
    const pieces = [whole.subarray(3, 203), whole.subarray(250), whole];
    for (const piece of [...pieces, ...pieces])
      assert.equal(crc32(piece, 1, 150), zlibCrc32(piece.subarray(1, 150)));
  });
});
