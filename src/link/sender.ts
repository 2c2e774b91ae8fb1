import type { Socket } from 'node:net';
import { OutBuffer } from './writer.js';

/** Buffers kept for reuse. More than are ever under way on a link that is not congested. */
const MAX_POOLED = 8;
/**
 * Of all of them. The answers of one batch take a mebibyte under load, and there are two such buffers: one fills while the other
 * is being sent. Growing one anew for each batch leaves twice its size to the garbage collector.
 */
const MAX_POOLED_BYTES = 4 * 1024 * 1024;

/** Belongs to one connection for ever: what was written for one is never sent on another. */
class PooledBuffer extends OutBuffer {
  /** Made once, so that a write needs no closure. */
  readonly onWritten: () => void;

  constructor(readonly owner: Sender) {
    super();
    this.onWritten = () => owner.written(this);
  }
}

/** The outgoing half of a connection: writes at once when nothing was written in this turn, else at the turn's end, all in one. */
export class Sender {
  /** Bytes given to the socket and not yet taken by the system. */
  backlogBytes = 0;
  /** Bytes that the system has taken since the start. */
  takenBytes = 0;

  readonly #pool: PooledBuffer[] = [];
  #pooledBytes = 0;
  readonly #queue: PooledBuffer[] = [];
  #hasWrittenInTurn = false;
  #isStopped = false;

  readonly #socket: Socket;
  readonly #onBacklogChanged: () => void;

  constructor(socket: Socket, onBacklogChanged: () => void) {
    this.#socket = socket;
    this.#onBacklogChanged = onBacklogChanged;
  }

  take(): OutBuffer {
    const out = this.#pool.pop();
    if (out === undefined) return new PooledBuffer(this);
    this.#pooledBytes -= out.buf.length;
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
    this.backlogBytes += out.length;
    if (this.#hasWrittenInTurn) {
      this.#queue.push(out);
    } else {
      this.#hasWrittenInTurn = true;
      process.nextTick(this.#endTurn);
      this.#write(out);
    }
    this.#onBacklogChanged();
  }

  /** What is waiting is dropped. */
  stop(): void {
    this.#isStopped = true;
    this.#queue.length = 0;
    this.#pool.length = 0;
    this.backlogBytes = 0;
  }

  written(out: PooledBuffer): void {
    if (this.#isStopped) return;
    this.backlogBytes -= out.length;
    this.takenBytes += out.length;
    this.#recycle(out);
    this.#onBacklogChanged();
  }

  readonly #endTurn = (): void => {
    this.#hasWrittenInTurn = false;
    if (this.#queue.length === 0) return;
    this.#socket.cork();
    for (const out of this.#queue) this.#write(out);
    this.#queue.length = 0;
    this.#socket.uncork();
  };

  #write(out: PooledBuffer): void {
    this.#socket.write(out.buf.subarray(0, out.length), out.onWritten);
  }

  #recycle(out: PooledBuffer): void {
    out.reset();
    const bytes = this.#pooledBytes + out.buf.length;
    if (this.#isStopped || this.#pool.length === MAX_POOLED || bytes > MAX_POOLED_BYTES) return;
    this.#pooledBytes = bytes;
    this.#pool.push(out);
  }
}
