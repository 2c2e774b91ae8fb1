import type { LinkOptions } from './link-options.js';

const DEFAULT_CONGESTED_BYTES = 8 * 1024 * 1024;
const DEFAULT_MAX_BACKLOG_BYTES = 256 * 1024 * 1024;

/** Whether a server reads more slowly than it is sent to: known by the bytes that the system has not taken yet. */
export class Congestion {
  isCongested = false;
  readonly #congestedBytes: number;
  readonly #maxBacklogBytes: number;

  constructor({
    congestedBytes = DEFAULT_CONGESTED_BYTES,
    maxBacklogBytes = DEFAULT_MAX_BACKLOG_BYTES,
  }: Pick<LinkOptions, 'congestedBytes' | 'maxBacklogBytes'>) {
    this.#congestedBytes = congestedBytes;
    this.#maxBacklogBytes = maxBacklogBytes;
  }

  /** So many bytes wait now. @returns what has come of that */
  changed(backlogBytes: number): 'drained' | 'too-much' | undefined {
    if (!this.isCongested) {
      this.isCongested = backlogBytes >= this.#congestedBytes;
      return undefined;
    }
    if (backlogBytes < this.#congestedBytes / 2) {
      this.isCongested = false;
      return 'drained';
    }
    return backlogBytes > this.#maxBacklogBytes ? 'too-much' : undefined;
  }
}
