import type { Clock, Timer } from '../../clock/clock.js';
import { isMissing, isNoSpace } from '../../files/store-error.js';
import { Bug, bugOf } from '../../util/bug.js';
import type { FileLog } from '../log/file-log.js';
import { canTryAgain } from '../room/no-room.js';
import { Body } from '../segments/body.js';
import type { Extent, Segment } from '../segments/segment.js';
import type { SegmentTable } from '../segments/segment-table.js';
import { extentsByChannel, SegmentWriter, type WrittenExtent } from '../segments/segment-writer.js';
import { BodySort } from './body-sort.js';
import { chooseMerge } from './merge-choice.js';
import { MergeCopy, type MergeRun } from './merge-copy.js';

/** What merges need of the store. */
export interface MergerParts {
  readonly clock: Clock;
  readonly storeId: string;
  readonly segments: SegmentTable;
  readonly logs: ReadonlyMap<number, FileLog>;
  readonly warn: (message: string) => void;
  /** Bytes of no use that files may have, beside half of what is alive. */
  readonly spareBytes: number;
  /** Resolves if the lease is still held: a broker that has lost it finds files missing that another one has removed. */
  readonly fence: () => Promise<void>;
  /** A checkpoint should say that what was merged is needless. */
  readonly onMerged: () => void;
  readonly onFailed: (error: Error) => void;
}

const RETRY_MS = 2_000;

/** Segments, or bodies. */
type Inputs = ReadonlySet<Segment | Body>;

/**
 * Rewrites segments and bodies, one merge at a time, after checkpoints: those that are mostly dead, to give room back, and those of
 * many small extents, so that the number of extents does not grow with what is stored, and a channel's messages come to lie together.
 */
export class Merger {
  readonly #parts: MergerParts;
  readonly #copy: MergeCopy;
  readonly #sort: BodySort;
  #running: Promise<void> | undefined;
  /** There was no room for the last one. */
  #isShort = false;
  #retryTimer: Timer | undefined;
  /** The last one has found segments to leave alone: others may be merged at once. */
  #isNextDue = false;
  #isClosed = false;

  constructor(parts: MergerParts) {
    this.#parts = parts;
    this.#copy = new MergeCopy(parts.segments.blobs);
    this.#sort = new BodySort(parts.segments.blobs);
  }

  get isBusy(): boolean {
    return this.#running !== undefined;
  }

  /** Begins a merge if one is due and none runs. */
  start(): void {
    if (this.#running !== undefined || this.#isClosed) return;
    this.#retryTimer?.cancel();
    this.#isNextDue = false;
    const { segments, spareBytes } = this.#parts;
    const inputs: Inputs = chooseMerge({
      segments: segments.all,
      bodies: segments.bodies.sealed(),
      isShort: this.#isShort,
      spareBytes,
    });
    if (inputs.size === 0) {
      // There may be room by the next checkpoint.
      this.#isShort = false;
      return;
    }
    this.#running = this.#merge(inputs)
      .then(() => {
        this.#isShort = false;
      })
      .catch((error: unknown) => this.#onError(error, inputs))
      .catch((thrown: unknown) => this.#parts.onFailed(bugOf(thrown)))
      .finally(() => {
        this.#running = undefined;
        if (this.#isNextDue) this.start();
      });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#copy.stop();
    this.#sort.stop();
    this.#retryTimer?.cancel();
    await this.#running;
  }

  // A merge that fails has changed nothing, but for a bug.
  async #onError(error: unknown, inputs: Inputs): Promise<void> {
    const { clock, segments, fence, onFailed, warn } = this.#parts;
    if (this.#isClosed) return;
    if (error instanceof Bug) {
      onFailed(error);
      return;
    }
    if (canTryAgain(error)) {
      // It would give back more than it takes. On a full disk no checkpoint may come by that begins another one.
      this.#isShort = isNoSpace(error);
      this.#retryTimer = clock.setTimer(RETRY_MS, () => this.start());
      return;
    }
    const isHeld = await fence().then(
      () => true,
      () => false,
    );
    if (!isHeld || this.#isClosed) return;
    const { message, path } = error as Error & { path?: unknown };
    const found = [...inputs].filter((file) => file.path === path);
    const damaged = found.length > 0 ? found : [...inputs];
    for (const file of damaged) {
      file.isDamaged = true;
      if (isMissing(error)) segments.onMissing?.(file);
    }
    warn(
      `Files were not merged: ${message}. ${damaged.map((file) => file.path).join(', ')} ${damaged.length === 1 ? 'is' : 'are'} left as it is, and others are merged. ` +
        '`stanchion store verify` names everything that is damaged; docs/damage.md says what to do',
    );
    this.#isNextDue = true;
  }

  async #merge(inputs: Inputs): Promise<void> {
    const { segments, logs, storeId, onMerged } = this.#parts;
    const runs = findRuns(logs.values(), inputs);
    for (const file of inputs) file.isMerging = true;
    try {
      const writer = await segments.blobs.put({ bytes: 0, isUrgent: false }, async (blob) => {
        const segmentWriter = new SegmentWriter(blob, storeId);
        if ([...inputs].some((file) => file instanceof Body)) await this.#sort.copy(segmentWriter, runs);
        else await this.#copyAll(segmentWriter, runs);
        await segmentWriter.finish();
        return segmentWriter;
      });
      try {
        segments.all.add(writer.segment);
        replace(runs, writer.extents);
        // All that was copied may be gone by now: then no log will ever let go of it.
        if (writer.segment.liveBytes === 0) segments.died(writer.segment);
        onMerged();
      } catch (thrown) {
        throw bugOf(thrown);
      }
    } finally {
      this.#copy.reset();
      for (const file of inputs) file.isMerging = false;
      // What died meanwhile has stayed. No traffic may come by that brings a checkpoint.
      if (segments.hasDead) segments.onDead?.();
    }
  }

  async #copyAll(writer: SegmentWriter, runs: readonly MergeRun[]): Promise<void> {
    for (const run of runs) {
      if (!run.log.isDeleted) await this.#copy.copy(writer, run);
    }
  }
}

function findRuns(logs: Iterable<FileLog>, inputs: Inputs): MergeRun[] {
  const runs: MergeRun[] = [];
  for (const log of logs) {
    let run: MergeRun | undefined;
    for (const extent of log.extents) {
      const isInput = inputs.has(extent.segment) || (extent.body !== undefined && inputs.has(extent.body));
      if (!isInput) run = undefined;
      else if (run === undefined) {
        run = { log, extents: [extent] };
        runs.push(run);
      } else run.extents.push(extent);
    }
  }
  return runs.sort((a, b) => a.log.id - b.log.id);
}

function replace(runs: readonly MergeRun[], written: readonly WrittenExtent[]): void {
  const from = new Map<FileLog, Set<Extent>>();
  for (const { log, extents } of runs) {
    const set = from.get(log);
    if (set === undefined) from.set(log, new Set(extents));
    else for (const extent of extents) set.add(extent);
  }
  const to = extentsByChannel(written);
  for (const [log, extents] of from) {
    if (!log.isDeleted) log.replaceExtents(extents, to.get(log.id) ?? []);
  }
}
