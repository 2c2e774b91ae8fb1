import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock/clock.js';
import { CHECKPOINT_DIRECTORY, JOURNAL_DIRECTORY, SEGMENT_DIRECTORY } from '../files/store-folder.js';

/** Bytes. */
export interface DiskFigures {
  readonly journal: number;
  readonly segments: number;
  readonly checkpoints: number;
  /** Of the file system: what this process may still take, and all there is. */
  readonly freeBytes: number;
  readonly sizeBytes: number;
}

/** No look within so long after the last one, whoever asks. */
const FRESH_MS = 5_000;
/** Nor within so many times what the last one took: a large store far away is asked seldom. */
const RESTS = 20;
/** A mount may hang: whoever asks waits no longer, and gets what was found before. */
const PATIENCE_MS = 500;
/** What was found so long ago, and should have been found anew, says nothing any more. */
const STALE_MS = 60_000;

/** What a store takes on its disk, and what is left there. Looked up when somebody asks, on an active and on a standby. */
export class DiskUsage {
  readonly #dir: string;
  readonly #clock: Clock;
  #figures: DiskFigures | undefined;
  #atMs = Number.NEGATIVE_INFINITY;
  #restMs = FRESH_MS;
  #looking: Promise<void> | undefined;

  constructor(dir: string, clock: Clock) {
    this.#dir = dir;
    this.#clock = clock;
  }

  /** @returns undefined if there is no store yet, or it has not answered for a minute */
  async figures(): Promise<DiskFigures | undefined> {
    const clock = this.#clock;
    if (clock.monotonicMs() - this.#atMs > this.#restMs) {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
      });
      await this.#patiently(this.#looking);
    }
    return clock.monotonicMs() - this.#atMs < this.#restMs + STALE_MS ? this.#figures : undefined;
  }

  async #look(): Promise<void> {
    const dir = this.#dir;
    const begunMs = this.#clock.monotonicMs();
    try {
      // One after the other: a large store, or a mount that hangs, must not fill the pool that syncs need.
      const { bavail, blocks, bsize } = await statfs(dir);
      const journal = await bytesIn(join(dir, JOURNAL_DIRECTORY));
      const segments = await bytesIn(join(dir, SEGMENT_DIRECTORY));
      const checkpoints = await bytesIn(join(dir, CHECKPOINT_DIRECTORY));
      this.#figures = {
        journal,
        segments,
        checkpoints,
        freeBytes: bavail * bsize,
        sizeBytes: blocks * bsize,
      };
      this.#atMs = this.#clock.monotonicMs();
      this.#restMs = Math.max(FRESH_MS, (this.#atMs - begunMs) * RESTS);
    } catch {
      // Whoever needs the store says what is wrong with it.
    }
  }

  async #patiently(looking: Promise<void>): Promise<void> {
    let stop = (): void => {};
    const patience = new Promise<void>((resolve) => {
      const timer = this.#clock.setTimer(PATIENCE_MS, resolve);
      stop = () => timer.cancel();
    });
    await Promise.race([looking, patience]);
    stop();
  }
}

async function bytesIn(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(directory)) {
    // It may have been removed meanwhile.
    bytes += await stat(join(directory, name)).then(
      ({ size }) => size,
      () => 0,
    );
  }
  return bytes;
}
