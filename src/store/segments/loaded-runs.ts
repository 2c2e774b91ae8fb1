/** Consecutive messages of one channel that were read from a segment: records back to back. */
export interface LoadedRun {
  readonly owner: LoadedRunOwner;
  readonly first: number;
  readonly last: number;
  readonly buffer: Buffer;
  /** Where each record begins. */
  readonly starts: Uint32Array;
}

export interface LoadedRunOwner {
  /** The run has been let go. */
  dropRun(run: LoadedRun): void;
}

/** What was loaded from disk, of all channels: within a budget of bytes, the longest unused goes first. */
export class LoadedRuns {
  readonly #maxBytes: number;
  #bytes = 0;
  /** In order of last use. */
  readonly #runs = new Set<LoadedRun>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(run: LoadedRun): void {
    this.#runs.add(run);
    this.#bytes += cost(run);
    for (const oldest of this.#runs) {
      if (this.#bytes <= this.#maxBytes || oldest === run) return;
      this.remove(oldest);
      oldest.owner.dropRun(oldest);
    }
  }

  touch(run: LoadedRun): void {
    if (!this.#runs.delete(run)) return;
    this.#runs.add(run);
  }

  remove(run: LoadedRun): void {
    if (this.#runs.delete(run)) this.#bytes -= cost(run);
  }
}

function cost(run: LoadedRun): number {
  return run.buffer.length + run.starts.byteLength;
}
