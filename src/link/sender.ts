import type { Writable } from 'node:stream';
import { giveBack, lend, mayLend } from '../util/lent-memory.js';
import { OutBuffer } from './writer.js';

/**
 * Limit of the memory that is kept for reuse: what is under way before a link counts as congested. A new buffer for each write would
 * leave all that is sent to the garbage collector, which then takes more time than the messages do.
 */
const MAX_POOLED_BYTES = 12 * 1024 * 1024;
/** So many buffers are kept however long they are not needed. */
const KEPT_BUFFERS = 2;
/** A buffer of this size does not wait for the end of the turn: the server reads it while the next one is filled. */
const AT_ONCE_BYTES = 128 * 1024;

/** Bytes of other memory that go out behind the first `at` bytes of a buffer. */
interface SharedBytes {
  readonly at: number;
  readonly bytes: Buffer;
}

/** A buffer that belongs to one connection for ever: bytes for one connection are never sent on another. */
class PooledBuffer extends OutBuffer {
  /** Made once, so that a write needs no closure. */
  readonly onWritten: () => void;
  readonly shared: SharedBytes[] = [];

  constructor(readonly owner: Sender) {
    super();
    this.onWritten = () => owner.written(this);
  }

  override share(src: Buffer, start: number, end: number): void {
    if (!mayLend(src)) {
      this.bytes(src, start, end);
      return;
    }
    this.shared.push({ at: this.length, bytes: src.subarray(start, end) });
    this.sharedBytes += end - start;
  }

  override reset(): void {
    super.reset();
    this.sharedBytes = 0;
    this.shared.length = 0;
  }
}

/**
 * The outgoing half of a connection. The first buffer of a turn is written at once, and so is a large one; the others together at the
 * end of the turn.
 */
export class Sender {
  /** Bytes given to the socket and not yet taken by the system. */
  backlogBytes = 0;
  /** How many bytes the system has taken since the start. */
  takenBytes = 0;

  /** How many bytes were given to the socket since the start. */
  get sentBytes(): number {
    return this.takenBytes + this.backlogBytes;
  }

  readonly #pool: PooledBuffer[] = [];
  #pooledBytes = 0;
  /** Since the last `trim`, the pool has never held fewer buffers. */
  #leastPooled = 0;
  readonly #queue: PooledBuffer[] = [];
  #hasWrittenInTurn = false;
  #isStopped = false;

  readonly #socket: Writable;
  readonly #onBacklogChanged: () => void;

  constructor(socket: Writable, onBacklogChanged: () => void) {
    this.#socket = socket;
    this.#onBacklogChanged = onBacklogChanged;
  }

  take(): OutBuffer {
    const out = this.#pool.pop();
    if (out === undefined) return new PooledBuffer(this);
    this.#pooledBytes -= out.buf.length;
    if (this.#pool.length < this.#leastPooled) this.#leastPooled = this.#pool.length;
    return out;
  }

  owns(out: OutBuffer): out is PooledBuffer {
    return out instanceof PooledBuffer && out.owner === this;
  }

  send(out: OutBuffer): void {
    if (!this.owns(out)) return;
    if (this.#isStopped || out.length === 0) {
      this.#recycle(out);
      return;
    }
    const { byteLength } = out;
    this.backlogBytes += byteLength;
    for (const { bytes } of out.shared) lend(bytes);
    if (this.#hasWrittenInTurn) {
      if (!this.#addToLast(out)) this.#queue.push(out);
      if (byteLength >= AT_ONCE_BYTES) this.#writeQueue();
    } else {
      this.#hasWrittenInTurn = true;
      process.nextTick(this.#endTurn);
      this.#write(out);
    }
    this.#onBacklogChanged();
  }

  /** Gives back the buffers that were not needed since the last call: to be called now and then. */
  trim(): void {
    const idle = Math.max(0, this.#leastPooled - KEPT_BUFFERS);
    for (const out of this.#pool.splice(0, idle)) this.#pooledBytes -= out.buf.length;
    this.#leastPooled = this.#pool.length;
  }

  /** Drops the waiting buffers, and sends nothing more. */
  stop(): void {
    this.#isStopped = true;
    for (const { shared } of this.#queue) for (const { bytes } of shared) giveBack(bytes);
    this.#queue.length = 0;
    this.#pool.length = 0;
    this.backlogBytes = 0;
  }

  written(out: PooledBuffer): void {
    for (const { bytes } of out.shared) giveBack(bytes);
    if (this.#isStopped) return;
    this.backlogBytes -= out.byteLength;
    this.takenBytes += out.byteLength;
    this.#recycle(out);
    this.#onBacklogChanged();
  }

  readonly #endTurn = (): void => {
    this.#hasWrittenInTurn = false;
    this.#writeQueue();
  };

  #writeQueue(): void {
    if (this.#queue.length === 0) return;
    this.#socket.cork();
    for (const out of this.#queue) this.#write(out);
    this.#queue.length = 0;
    this.#socket.uncork();
  }

  /**
   * Copies a small buffer behind the last one that waits. Many thousand timers may be due at once, each with a line or two to send: a
   * buffer for each would take gigabytes.
   */
  #addToLast(out: PooledBuffer): boolean {
    const last = this.#queue.at(-1);
    if (last === undefined || out.sharedBytes > 0 || last.length + out.length > last.buf.length) return false;
    last.bytes(out.buf, 0, out.length);
    this.#recycle(out);
    return true;
  }

  #write(out: PooledBuffer): void {
    const socket = this.#socket;
    if (out.sharedBytes === 0) {
      socket.write(out.buf.subarray(0, out.length), out.onWritten);
      return;
    }
    // Corked, they leave by one `writev`.
    socket.cork();
    let from = 0;
    for (const { at, bytes } of out.shared) {
      socket.write(out.buf.subarray(from, at));
      socket.write(bytes);
      from = at;
    }
    socket.write(out.buf.subarray(from, out.length), out.onWritten);
    socket.uncork();
  }

  #recycle(out: PooledBuffer): void {
    out.reset();
    const bytes = this.#pooledBytes + out.buf.length;
    if (this.#isStopped || bytes > MAX_POOLED_BYTES) return;
    this.#pooledBytes = bytes;
    this.#pool.push(out);
  }
}
