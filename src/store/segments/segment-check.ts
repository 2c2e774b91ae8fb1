import type { Clock, Timer } from '../../clock/clock.js';
import { journalName, segmentName } from '../../files/file-names.js';
import { isGone, shortageOf } from '../../files/store-error.js';
import type { Unreadable } from '../types/unreadable.js';
import { Body } from './body.js';
import { findContentProblem } from './content-problem.js';
import {
  findLengthProblem,
  markUnreadable,
  type NamedFile,
  type SegmentLog,
  type SegmentProblem,
  textOf,
  unmark,
} from './segment-problem.js';
import type { SegmentTable } from './segment-table.js';

export interface SegmentCheckParts {
  readonly clock: Clock;
  readonly table: SegmentTable;
  readonly storeId: string;
  /** Those that the checkpoint names from which the store was opened. */
  readonly files: Iterable<NamedFile>;
  /** The names of the files that were listed a moment ago: those of others are asked for first. */
  readonly listed: ReadonlySet<string>;
  readonly logs: ReadonlyMap<number, SegmentLog>;
  readonly unreadable: Unreadable;
  readonly warn: (message: string) => void;
}

/** Lengths that are asked for at once. Node asks a file system four things at a time, unless UV_THREADPOOL_SIZE says more. */
const AT_ONCE = 64;
/** How long an opening waits for those that were not listed: whatever is missing is to be known before the first client connects. */
const MISSING_WAIT_MS = 1_000;
/** How long it waits for the lengths. 2,000 of a local disk take some 20 ms; on a slow mount the rest comes while clients are served. */
const LENGTHS_WAIT_MS = 100;
/** How long a checkpoint waits for the footers and headers. */
const CHECKPOINT_WAIT_MS = 1_000;
/** How often it is looked whether a file is there again. */
const LOOK_AGAIN_MS = 3_000;
/** Files that the log names, of those that are found at once. */
const MAX_LOGGED = 10;

/**
 * Checks the segments that a checkpoint names, and the journal files that they point into. When a store is opened it asks for their lengths,
 * without a read; before anything is deleted that they replace, it reads the footers of segments and the headers of journal files. A file
 * that is missing or short marks the messages in it as unreadable, and stops nothing else. It may be put back while the store is open.
 */
export class SegmentCheck {
  readonly #parts: SegmentCheckParts;
  readonly #problems = new Map<NamedFile, SegmentProblem>();
  readonly #unlisted: Promise<void>;
  readonly #lengths: Promise<void>;
  #contents: Promise<void> | undefined;
  #areContentsKnown = false;
  /** A checkpoint did not wait to the end. */
  #isLate = false;
  #timer: Timer | undefined;
  #lookingAgain: Promise<void> | undefined;
  readonly #suspects = new Set<NamedFile>();
  #suspecting = Promise.resolve();
  #fence: (() => Promise<void>) | undefined;
  #isClosed = false;
  /** All is verified, later than a checkpoint has waited for it: another one can delete what is replaced. */
  onVerifiedLate: () => void = () => {};

  constructor(parts: SegmentCheckParts) {
    this.#parts = parts;
    const { files, listed } = parts;
    const all = [...files];
    const isListed = (file: NamedFile): boolean =>
      listed.has(file instanceof Body ? journalName(file.id) : segmentName(file.id));
    this.#unlisted = this.#checkLengths(all.filter((file) => !isListed(file)));
    this.#lengths = this.#unlisted.then(() => this.#checkLengths(all.filter(isListed)));
  }

  /** Those that are not as they should be. */
  get problems(): ReadonlyMap<NamedFile, SegmentProblem> {
    return this.#problems;
  }

  /** Waits until the lengths are known, but no longer than a takeover may take. */
  async opened(): Promise<void> {
    await this.#within(this.#unlisted, MISSING_WAIT_MS);
    await this.#within(this.#lengths, LENGTHS_WAIT_MS);
  }

  /**
   * The store is open: from now on it is noticed when a file has been put back.
   *
   * @param fence resolves if the lease is still held: a broker that has lost it finds files missing that another one has removed
   */
  start(fence: () => Promise<void>): void {
    this.#fence = fence;
    this.#lookAgainLater();
  }

  /** A read has found that its file is missing. */
  suspect(file: NamedFile): void {
    if (this.#problems.has(file) || this.#suspects.has(file) || this.#isClosed) return;
    this.#suspects.add(file);
    this.#suspecting = this.#suspecting.then(async () => {
      const problem = await this.#lengthProblem(file);
      if (problem !== undefined) await this.#addFenced([problem]);
      this.#suspects.delete(file);
    });
  }

  /** Waits until the lengths are known. @returns whether each file has its own */
  async haveLengths(): Promise<boolean> {
    await this.#lengths;
    return this.#problems.size === 0;
  }

  /**
   * Whether all files have the length, and the footer or header, that they should have, so that what they replace may be deleted. If that takes
   * longer than a checkpoint may take, the answer is no, and `onVerifiedLate` is called at the end.
   */
  async areVerified(): Promise<boolean> {
    this.#contents ??= this.#checkContents();
    await this.#within(this.#contents, CHECKPOINT_WAIT_MS);
    this.#isLate = !this.#areContentsKnown;
    return this.#areContentsKnown && this.#problems.size === 0;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#lengths;
    await this.#contents;
    await this.#suspecting;
    await this.#lookingAgain;
  }

  async #within(work: Promise<void>, ms: number): Promise<void> {
    let timer: Timer | undefined;
    const isOver = new Promise<void>((resolve) => {
      timer = this.#parts.clock.setTimer(ms, resolve);
    });
    await Promise.race([work, isOver]);
    timer?.cancel();
  }

  async #checkLengths(all: readonly NamedFile[]): Promise<void> {
    const found: SegmentProblem[] = [];
    const files = all.values();
    const work = async (): Promise<void> => {
      for (let next = files.next(); !next.done && !this.#isClosed; next = files.next()) {
        const problem = await this.#lengthProblem(next.value);
        if (problem !== undefined) found.push(problem);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    await this.#add(found);
  }

  /** One after the other: no client waits for it, and the disk is theirs. */
  async #checkContents(): Promise<void> {
    await this.#lengths;
    const found: SegmentProblem[] = [];
    for (const file of this.#parts.files) {
      if (this.#isClosed) return;
      if (this.#problems.has(file)) continue;
      try {
        const problem = await this.#contentProblem(file);
        if (problem !== undefined) found.push(problem);
      } catch {
        // With nothing to open a file with, nothing is known of it. The next checkpoint asks again.
        this.#contents = undefined;
        return;
      }
    }
    if (!(await this.#addFenced(found))) return;
    this.#areContentsKnown = true;
    if (this.#isLate && this.#problems.size === 0 && !this.#isClosed) this.onVerifiedLate();
  }

  async #lengthProblem(file: NamedFile): Promise<SegmentProblem | undefined> {
    try {
      return await findLengthProblem(this.#parts.table.blobs, file);
    } catch (error) {
      return { file, what: `its length cannot be found out: ${(error as Error).message}`, bytes: 0 };
    }
  }

  async #contentProblem(file: NamedFile): Promise<SegmentProblem | undefined> {
    const { table, storeId } = this.#parts;
    try {
      return table.has(file) ? await findContentProblem(table.blobs, file, storeId) : undefined;
    } catch (error) {
      if (shortageOf(error) !== undefined) throw error;
      const isThere = !isGone(error);
      const bytes = isThere ? file.leastBytes : 0;
      const end = file instanceof Body ? 'header' : 'footer';
      const what = isThere ? `its ${end} cannot be read: ${(error as Error).message}` : 'the file is missing';
      return { file, what, bytes };
    }
  }

  /** @returns whether the lease is still held */
  async #addFenced(found: readonly SegmentProblem[]): Promise<boolean> {
    if (found.length === 0) return true;
    try {
      await this.#fence?.();
    } catch {
      return false;
    }
    await this.#add(found);
    return true;
  }

  async #add(found: readonly SegmentProblem[]): Promise<void> {
    const { logs, table, unreadable, warn } = this.#parts;
    // What a merge has replaced meanwhile is no loss.
    const problems = found.filter(({ file }) => !file.isRemoved);
    if (problems.length === 0 || this.#isClosed) return;
    problems.sort((a, b) => (a.file.path < b.file.path ? -1 : 1));
    for (const problem of problems) {
      problem.file.isDamaged = true;
      this.#problems.set(problem.file, problem);
    }
    const hits = await markUnreadable(table.blobs, problems, logs.values(), unreadable);
    for (const problem of problems.slice(0, MAX_LOGGED)) warn(textOf(problem, hits.get(problem.file) ?? []));
    const more = problems.length - MAX_LOGGED;
    if (more > 0) warn(`${more} more files are missing or short: \`stanchion store verify\` names them all`);
    this.#lookAgainLater();
  }

  #lookAgainLater(): void {
    this.#timer?.cancel();
    if (this.#fence === undefined || this.#isClosed || this.#problems.size === 0) return;
    this.#timer = this.#parts.clock.setTimer(LOOK_AGAIN_MS, () => {
      this.#lookingAgain = this.#lookAgain();
    });
  }

  async #lookAgain(): Promise<void> {
    const { logs, unreadable, warn } = this.#parts;
    for (const file of [...this.#problems.keys()]) {
      const problem = (await this.#lengthProblem(file)) ?? (await this.#contentProblem(file));
      if (this.#isClosed) return;
      if (problem !== undefined && !file.isRemoved) continue;
      this.#problems.delete(file);
      file.isDamaged = false;
      if (file.isRemoved) continue;
      unmark(file, logs.values(), unreadable);
      const end = file instanceof Body ? 'header' : 'footer';
      warn(`${file.path} is there again, and whole as far as its length and ${end} show`);
    }
    this.#lookAgainLater();
  }
}
