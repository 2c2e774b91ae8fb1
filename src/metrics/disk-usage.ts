import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock/clock.js';
import { CHECKPOINT_DIRECTORY, JOURNAL_DIRECTORY, SEGMENT_DIRECTORY } from '../files/store-folder.js';

/** Sizes in bytes. */
export interface DiskFigures {
  readonly journal: number;
  readonly segments: number;
  readonly checkpoints: number;
  /** Bytes of the file system that this process may still use. */
  readonly freeBytes: number;
  readonly sizeBytes: number;
}

/** Least time between two readings. */
const FRESH_MS = 5_000;
/** Least time between two readings, as a multiple of the last reading's duration: a large remote store is read seldom. */
const RESTS = 20;
/** A mount may hang: after this time a scrape gets the figures of the last reading. */
const PATIENCE_MS = 500;
/** Figures that are overdue by more than this are not shown. */
const STALE_MS = 60_000;

/** The space that a store uses and that is left, read when there is a scrape, on an active and on a standby. */
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

  /** @returns undefined if there is no store yet, or it could not be read for a minute */
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
      // One call at a time: a large store, or a mount that hangs, must not fill the thread pool that syncs need.
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
      // The broker reports what is wrong with its store.
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
    // The file may have been removed meanwhile.
    bytes += await stat(join(directory, name)).then(
      ({ size }) => size,
      () => 0,
    );
  }
  return bytes;
}
