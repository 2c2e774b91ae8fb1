import { assert } from '../../util/assert.js';
import type { ImportSource, MessageSink, SourceChannel } from '../types/source.js';

const MAX_MESSAGES = 4096;
const MAX_BYTES = 1024 * 1024;

/** The messages of a channel of a source, to be taken one by one: what the source hands over is kept until it is taken, a block at a time. */
export class SourceFeed implements MessageSink {
  readonly #buffers: Buffer[] = [];
  readonly #starts = new Float64Array(MAX_MESSAGES);
  readonly #ends = new Float64Array(MAX_MESSAGES);
  readonly #sequences = new Float64Array(MAX_MESSAGES);
  #count = 0;
  #bytes = 0;
  /** The present one. */
  #at = 0;
  #hasBlock = false;
  #hasEnded = false;
  #failure: Error | undefined;
  #onBlock: (() => void) | undefined;
  #onTaken: (() => void) | undefined;

  private constructor() {}

  /** Begins to read. */
  static of(source: ImportSource, channel: SourceChannel): SourceFeed {
    const feed = new SourceFeed();
    source
      .read(channel, feed)
      .then(
        async () => {
          // What came behind the last drain.
          await feed.drain();
          feed.#hasEnded = true;
          feed.#onBlock?.();
        },
        (error: unknown) => feed.stop(error as Error),
      )
      .catch((error: unknown) => feed.stop(error as Error));
    return feed;
  }

  /** The sequence of the present message; Infinity if no more is known yet. */
  get sequence(): number {
    return this.#hasBlock && this.#at < this.#count
      ? (this.#sequences[this.#at] ?? 0)
      : Number.POSITIVE_INFINITY;
  }

  get buffer(): Buffer {
    return this.#buffers[this.#at] ?? NO_BYTES;
  }

  get start(): number {
    return this.#starts[this.#at] ?? 0;
  }

  get end(): number {
    return this.#ends[this.#at] ?? 0;
  }

  /** The present message is done with. */
  take(): void {
    this.#at++;
  }

  /**
   * Waits until the present message is known.
   *
   * @returns false if there is none any more
   * @throws what the source has failed with
   */
  async more(): Promise<boolean> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#hasBlock && this.#at < this.#count) return true;
      if (this.#hasBlock) {
        this.#hasBlock = false;
        this.#onTaken?.();
      }
      if (this.#hasEnded) return false;
      await new Promise<void>((resolve) => {
        this.#onBlock = resolve;
      });
    }
  }

  /** Nothing more is taken: the source's next drain throws this. */
  stop(error: Error): void {
    this.#failure ??= error;
    this.#onBlock?.();
    this.#onTaken?.();
  }

  get isFull(): boolean {
    return this.#count === MAX_MESSAGES || this.#bytes >= MAX_BYTES;
  }

  message(buffer: Buffer, start: number, end: number, sequence: number): void {
    assert(this.#count < MAX_MESSAGES, 'a source drains a sink that is full');
    const at = this.#count++;
    this.#buffers[at] = buffer;
    this.#starts[at] = start;
    this.#ends[at] = end;
    this.#sequences[at] = sequence;
    this.#bytes += end - start;
  }

  async drain(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#count === 0) return;
    this.#at = 0;
    this.#hasBlock = true;
    this.#onBlock?.();
    await new Promise<void>((resolve) => {
      this.#onTaken = resolve;
    });
    if (this.#failure !== undefined) throw this.#failure;
    this.#buffers.length = 0;
    this.#count = this.#bytes = 0;
  }
}

const NO_BYTES = Buffer.alloc(0);
