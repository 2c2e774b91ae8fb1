import type { Clock } from '../clock/clock.js';
import type { StoreFs } from './fs.js';
import { shortageOf } from './store-error.js';

/** Least time between two lines in the log. */
const QUIET_MS = 60_000;
/** How long a shortage counts as one that is there: what failed is tried again sooner. */
const RECENT_MS = 15_000;

/**
 * Notes the calls to a file system that could not begin because the process, or the machine, has too few file descriptors or too little
 * memory. Nothing was done then: what needed the call waits, and tries again.
 */
export class FsShortage {
  readonly #clock: Clock;
  readonly #warn: (message: string) => void;
  readonly #onShortage: () => void;
  #what = '';
  #lastMs = Number.NEGATIVE_INFINITY;
  #loggedMs = Number.NEGATIVE_INFINITY;

  /** @param onShortage is called for each call that could not begin */
  constructor(clock: Clock, warn: (message: string) => void, onShortage: () => void) {
    this.#onShortage = onShortage;
    this.#clock = clock;
    this.#warn = warn;
  }

  /** What is short at present, for people. */
  get problem(): string | undefined {
    return this.#clock.monotonicMs() - this.#lastMs < RECENT_MS ? this.#what : undefined;
  }

  /** The same file system, with its calls watched. */
  watch(inner: StoreFs): StoreFs {
    const note = (error: unknown): never => {
      this.#note(error);
      throw error;
    };
    const { freeBytes } = inner;
    return {
      open: (path, mode) => inner.open(path, mode).catch(note),
      readSync: (...where) => {
        try {
          return inner.readSync(...where);
        } catch (error) {
          return note(error);
        }
      },
      rename: (from, to) => inner.rename(from, to),
      link: (from, to) => inner.link(from, to),
      unlink: (path) => inner.unlink(path),
      makeDirectory: (path) => inner.makeDirectory(path).catch(note),
      removeDirectory: (path) => inner.removeDirectory(path),
      list: (path) => inner.list(path).catch(note),
      status: (path) => inner.status(path).catch(note),
      ...(freeBytes !== undefined && { freeBytes: (path) => freeBytes.call(inner, path).catch(note) }),
      syncDirectory: (path) => inner.syncDirectory(path).catch(note),
    };
  }

  #note(error: unknown): void {
    const what = shortageOf(error);
    if (what === undefined) return;
    this.#onShortage();
    this.#what = what;
    const nowMs = this.#clock.monotonicMs();
    this.#lastMs = nowMs;
    if (nowMs - this.#loggedMs < QUIET_MS) return;
    this.#loggedMs = nowMs;
    this.#warn(`${(error as Error).message}: ${what}. What needed it waits, and is tried again`);
  }
}
