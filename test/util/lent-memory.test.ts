import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { Sender } from '../../src/link/sender.js';
import { BlockQueue } from '../../src/store/batch/block.js';
import { ChunkPool } from '../../src/store/memory/chunk.js';
import { isLent } from '../../src/util/lent-memory.js';

const KIB = 1024;
const BLOCK_BYTES = 256 * KIB;

/** A socket that takes what was written only when it is told to, and notes what the memory held then. */
class SlowSocket {
  taken = '';
  readonly #written: { bytes: Buffer; onWritten: (() => void) | undefined }[] = [];

  cork(): void {}
  uncork(): void {}

  write(bytes: Buffer, onWritten?: () => void): boolean {
    this.#written.push({ bytes, onWritten });
    return false;
  }

  take(): void {
    for (const { bytes, onWritten } of this.#written.splice(0)) {
      this.taken += bytes.toString('latin1');
      onWritten?.();
    }
  }
}

function senderTo(socket: SlowSocket): Sender {
  return new Sender(socket as unknown as Socket, () => {});
}

function share(sender: Sender, memory: Buffer): void {
  const out = sender.take();
  out.ascii('PUB a 5\r\n');
  out.share(memory, 0, 5);
  out.crlf();
  sender.send(out);
}

describe('memory that is being sent from', () => {
  it('goes out between the lines around it, uncopied, and counts as backlog until the system has it', () => {
    const socket = new SlowSocket();
    const sender = senderTo(socket);
    const memory = Buffer.from('hello');
    share(sender, memory);
    share(sender, memory);
    assert.equal(sender.backlogBytes, 2 * 'PUB a 5\r\nhello\r\n'.length);
    assert.ok(isLent(memory));
    socket.take();
    assert.equal(socket.taken, 'PUB a 5\r\nhello\r\n');
    assert.ok(isLent(memory), 'the second one has not left');
    sender.stop();
    assert.ok(!isLent(memory));
  });

  it('of the store is used for nothing else before it has left, of journal blocks and of chunks in memory', () => {
    const socket = new SlowSocket();
    const sender = senderTo(socket);
    const blocks = new BlockQueue(BLOCK_BYTES, 0);
    const block = blocks.add(0);
    block.buffer.write('block');
    const pool = new ChunkPool();
    const chunk = pool.take(BLOCK_BYTES, 1);
    chunk.buffer.write('chunk');
    share(sender, block.buffer);
    const other = senderTo(socket);
    share(other, chunk.buffer);

    blocks.unpinBefore(block.id + 1);
    pool.give(chunk);
    for (let i = 0; i < 8; i++) {
      blocks.add(0).buffer.fill('-');
      pool.take(BLOCK_BYTES, 1).buffer.fill('-');
    }
    socket.take();
    assert.equal(socket.taken, 'PUB a 5\r\nblock\r\nPUB a 5\r\nchunk\r\n');
    assert.ok(!isLent(block.buffer) && !isLent(chunk.buffer));
  });

  it('is given back when the connection ends, by what waits for the turn to end too', () => {
    const socket = new SlowSocket();
    const sender = senderTo(socket);
    const memories = Array.from({ length: 3 }, () => Buffer.from('hello'.repeat(KIB)));
    for (const memory of memories) share(sender, memory);
    sender.stop();
    // As a stream does that is destroyed.
    socket.take();
    assert.deepEqual(memories.map(isLent), [false, false, false]);
  });

  it('is of few pieces at a time: from further ones bytes are copied', () => {
    const socket = new SlowSocket();
    const sender = senderTo(socket);
    const memories = Array.from({ length: 40 }, () => Buffer.allocUnsafeSlow(BLOCK_BYTES).fill('hello'));
    for (const memory of memories) share(sender, memory);
    assert.equal(memories.filter(isLent).length, 16);
    sender.stop();
    socket.take();
    assert.deepEqual(memories.filter(isLent), []);
  });
});
