import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReadBuffer } from '../../src/link/read-buffer.js';

const MIB = 1024 * 1024;

/** Reads a message as the link does: its first bytes, which say how large it is, then the rest in one piece or several. */
function readMessage(read: ReadBuffer, size: number): Buffer {
  read.filled(100);
  read.settle(read.start, size);
  const { buffer } = read;
  for (let left = size - 100; left > 0; ) {
    const byteCount = Math.min(left, read.free.length, 200_000);
    read.filled(byteCount);
    left -= byteCount;
    read.settle(left === 0 ? read.end : read.start, left === 0 ? 0 : size);
  }
  return buffer;
}

describe('the read buffer', () => {
  it('reads large messages into the same memory as long as they come, and gives it back when none comes', () => {
    const read = new ReadBuffer();
    const small = read.buffer;
    const first = readMessage(read, 3 * MIB);
    assert.notEqual(first, small);
    assert.equal(read.buffer, small, 'small messages are read where they always were');
    for (let i = 1; i < 10; i++) {
      assert.equal(readMessage(read, (i % 3) * MIB + MIB), first);
      if (i === 5) read.trim();
    }
    read.trim();
    read.trim();
    assert.notEqual(readMessage(read, MIB), first);
  });

  it('does not keep memory beyond 8 MiB', () => {
    const read = new ReadBuffer();
    const first = readMessage(read, 9 * MIB);
    const second = readMessage(read, 2 * MIB);
    assert.notEqual(second, first);
    assert.ok(second.length < 3 * MIB);
  });
});
