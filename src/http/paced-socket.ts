import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { SLICE_MS } from '../util/turns.js';

/** How many bytes of a request are handed on at once. */
const CHUNK_BYTES = 512;
const REQUEST_END = '\r\n\r\n';
const NOTHING = Buffer.alloc(0);

/**
 * Lets connections hand on their requests one after the other, for a slice in each round of the event loop. A client may send thousands of
 * small requests without a wait for the answers, on each of many connections, and Node would handle all of them in one round.
 */
export class Pacer {
  readonly #waiting: PacedSocket[] = [];

  add(socket: PacedSocket): void {
    this.#waiting.push(socket);
    if (this.#waiting.length === 1) setImmediate(this.#handOn);
  }

  readonly #handOn = (): void => {
    const endMs = performance.now() + SLICE_MS;
    const round = this.#waiting.splice(0);
    let done = 0;
    do round[done++]?.handOn();
    while (done < round.length && performance.now() < endMs);
    // Those that have had no turn come before those that want another one.
    this.#waiting.unshift(...round.slice(done));
    if (this.#waiting.length > 0) setImmediate(this.#handOn);
  };
}

/**
 * A connection whose requests come at the pace of their answers: each is handed on when the one before it has been answered. What a client
 * sends ahead stays in the system's buffers, and up to one read of it here.
 */
export class PacedSocket extends Duplex {
  readonly #socket: Socket;
  readonly #pacer: Pacer;
  #received: Buffer = NOTHING;
  #hasEnded = false;
  #isWanted = false;
  #isWaiting = false;
  #unanswered = 0;
  #isStream = false;

  constructor(socket: Socket, pacer: Pacer) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#pacer = pacer;
    socket.on('data', (bytes: Buffer) => {
      if (this.#isStream) return;
      this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
      socket.pause();
      this.#goOn();
    });
    socket.on('end', () => {
      this.#hasEnded = true;
      if (this.#isStream) this.destroy();
      else this.#goOn();
    });
    socket.on('timeout', () => this.emit('timeout'));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  /** A request of this connection has come. To be called before it is answered. */
  asked(): void {
    this.#unanswered++;
  }

  /** A request has been answered, or the connection is gone. */
  answered(): void {
    this.#unanswered--;
    // What came meanwhile was not read: the client has to connect again.
    if (this.#isStream) this.destroySoon();
    else this.#goOn();
  }

  /** Its present answer goes on until the client leaves, which is noticed at once. Nothing else that the client sends is read. */
  streams(): void {
    this.#isStream = true;
    this.#received = NOTHING;
    if (this.#hasEnded) this.destroy();
    else this.#socket.resume();
  }

  /** Hands on the next bytes. The pacer calls it. */
  handOn(): void {
    this.#isWaiting = false;
    if (this.destroyed || this.#unanswered > 0) return;
    // Not a part of the next request: while that waits for its rest, a timer of Node's runs.
    const end = this.#received.indexOf(REQUEST_END);
    const length = end < 0 ? CHUNK_BYTES : Math.min(CHUNK_BYTES, end + REQUEST_END.length);
    const bytes = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    this.#isWanted = false;
    this.push(bytes);
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  /** As that of `net.Socket`, for Node's HTTP server. */
  setTimeout(timeoutMs: number, callback?: () => void): this {
    this.#socket.setTimeout(timeoutMs);
    if (callback !== undefined) this.once('timeout', callback);
    return this;
  }

  /** As that of `net.Socket`, for Node's HTTP server: closes the connection when what was written has been sent. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  override _read(): void {
    this.#isWanted = true;
    this.#goOn();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#socket.write(bytes, callback);
  }

  override _writev(chunks: { chunk: Buffer }[], callback: (error?: Error | null) => void): void {
    this.#socket.cork();
    for (const { chunk } of chunks.slice(0, -1)) this.#socket.write(chunk);
    this.#socket.write(chunks.at(-1)?.chunk ?? NOTHING, callback);
    this.#socket.uncork();
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#socket.end(() => callback());
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#received = NOTHING;
    this.#socket.destroy();
    callback(error);
  }

  #goOn(): void {
    if (!this.#isWanted || this.#isWaiting || this.#unanswered > 0 || this.destroyed) return;
    if (this.#received.length > 0) {
      this.#isWaiting = true;
      this.#pacer.add(this);
    } else if (this.#hasEnded) {
      this.#isWanted = false;
      this.push(null);
    } else this.#socket.resume();
  }
}
