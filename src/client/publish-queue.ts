import { PublishError } from './client-errors.js';
import type { Pending } from './pending.js';

/** The front of the array is cut off when it has more empty slots than this. */
const MAX_EMPTY = 1_024;

/** Messages that wait to be sent, oldest first, up to a limit in bytes. */
export class PublishQueue {
  readonly #maxBytes: number;
  readonly #pending: Pending[] = [];
  #head = 0;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#pending.length - this.#head;
  }

  /** The oldest message. */
  get first(): Pending | undefined {
    return this.#pending[this.#head];
  }

  /** @throws PublishError if there is no room */
  add(pending: Pending, channelName: string): void {
    const bytes = this.#bytes + pending.bytes.length;
    if (bytes > this.#maxBytes) {
      throw new PublishError(
        `${this.length} messages wait to be published, and there is no room for one more to "${channelName}": ${this.#maxBytes} bytes may wait`,
        pending.guid,
        {
          code: 'PUBLISH_QUEUE_FULL',
          hint: 'Wait for acks before publishing more (`await publish`), or raise maxQueuedBytes',
        },
      );
    }
    this.#bytes = bytes;
    this.#pending.push(pending);
  }

  take(): Pending | undefined {
    const next = this.#pending[this.#head];
    if (next === undefined) return undefined;
    this.#head++;
    this.#bytes -= next.bytes.length;
    // A shift would move all other messages each time.
    if (this.#head === this.#pending.length) this.#pending.length = this.#head = 0;
    else if (this.#head > MAX_EMPTY && this.#head * 2 > this.#pending.length) {
      this.#pending.splice(0, this.#head);
      this.#head = 0;
    }
    return next;
  }

  takeAll(): Pending[] {
    const all = this.#pending.slice(this.#head);
    this.#pending.length = this.#head = this.#bytes = 0;
    return all;
  }
}
