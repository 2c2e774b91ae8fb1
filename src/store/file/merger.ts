import type { Clock, Timer } from '../../clock/clock.js';
import type { FileId } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import { DamageError, damaged, isMissing, isNoSpace, StoreError } from '../../files/store-error.js';
import { SEGMENT_DIRECTORY } from '../../files/store-folder.js';
import { Bug, bugOf } from '../../util/bug.js';
import { checkRecord } from '../format/record.js';
import { ROW_BYTES, rowOffset, rowSize, rowTimestampMs } from '../format/segment-format.js';
import type { FileLog } from '../log/file-log.js';
import { readRows } from '../segments/head-rows.js';
import { MAX_MERGED_SEGMENTS, MergeReader } from '../segments/merge-reader.js';
import type { Extent, Segment } from '../segments/segment.js';
import type { SegmentFiles } from '../segments/segment-files.js';
import { SegmentWriter } from '../segments/segment-writer.js';

/** What merges need of the store. */
export interface MergeSource {
  readonly fs: StoreFs;
  readonly clock: Clock;
  readonly dir: string;
  readonly storeId: string;
  readonly segments: Set<Segment>;
  readonly files: SegmentFiles;
  logs(): Iterable<FileLog>;
  nextSegmentId(): FileId;
  /** Lets a checkpoint say that what was merged is needless. */
  checkpoint(): void;
  fail(error: Error): void;
  warn(message: string): void;
}

/** Segments of one size class are merged when there are so many: each message is rewritten log8(size) times. */
const FAN_IN = 8;
const SMALLEST_TIER_BYTES = 32 * 1024 * 1024;
/** Extents larger than this on average read well enough as they are. */
const SMALL_EXTENT_BYTES = 128 * 1024;
const NO_ROOM_RETRY_MS = 2_000;
const MAX_MERGE_BYTES = 1024 * 1024 * 1024;
const READ_BYTES = 256 * 1024;
/** Rows read at once. */
const ROWS = READ_BYTES / ROW_BYTES;

/** A run of a log's extents that will be one. */
interface MergeRun {
  log: FileLog;
  extents: Extent[];
}

/**
 * Rewrites segments, one merge at a time, after checkpoints: those that are mostly dead, to give room back, and those of
 * many small extents, so that the number of extents does not grow with what is stored.
 */
export class Merger {
  readonly #source: MergeSource;
  // Both kept from one merge to the next: what is allocated for each lies about until the garbage collector comes by.
  readonly #reader: MergeReader;
  readonly #records = Buffer.allocUnsafeSlow(READ_BYTES);
  #running: Promise<void> | undefined;
  /** There was no room for the last one. */
  #isShort = false;
  #retryTimer: Timer | undefined;
  #isClosed = false;

  constructor(source: MergeSource) {
    this.#source = source;
    this.#reader = new MergeReader(source.files);
  }

  get isBusy(): boolean {
    return this.#running !== undefined;
  }

  /** Begins a merge if one is due and none runs. */
  start(): void {
    if (this.#running !== undefined || this.#isClosed) return;
    this.#retryTimer?.cancel();
    const inputs = chooseSegments(this.#source.segments, this.#isShort);
    if (inputs.size === 0) return;
    this.#running = this.#merge(inputs)
      .then(() => {
        this.#isShort = false;
      })
      .catch((error: unknown) => this.#onError(error, inputs))
      .finally(() => {
        this.#running = undefined;
      });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#retryTimer?.cancel();
    await this.#running;
  }

  // A merge that fails has changed nothing, but for a bug.
  #onError(error: unknown, inputs: ReadonlySet<Segment>): void {
    if (this.#isClosed || isMissing(error)) return;
    if (error instanceof Bug) {
      this.#source.fail(error);
      return;
    }
    if (isNoSpace(error)) {
      // It would give back more than it takes. On a full disk no checkpoint may come by that begins another one.
      this.#isShort = true;
      this.#retryTimer = this.#source.clock.setTimer(NO_ROOM_RETRY_MS, () => this.start());
      return;
    }
    for (const segment of inputs) {
      if (!(error instanceof DamageError) || error.path === segment.path) segment.isDamaged = true;
    }
    this.#source.warn(`Segments were not merged: ${(error as Error).message}`);
  }

  async #merge(inputs: ReadonlySet<Segment>): Promise<void> {
    const source = this.#source;
    const runs = findRuns(source.logs(), inputs);
    const directory = `${source.dir}/${SEGMENT_DIRECTORY}`;
    const writer = await SegmentWriter.create(source.fs, directory, source.nextSegmentId(), source.storeId);
    try {
      for (const run of runs) {
        if (!run.log.isDeleted) await this.#copy(writer, run);
      }
      await writer.finish();
    } catch (error) {
      await writer.abandon();
      throw error;
    } finally {
      this.#reader.reset();
    }
    try {
      source.segments.add(writer.segment);
      replace(runs, writer);
      source.checkpoint();
    } catch (thrown) {
      throw bugOf(thrown);
    }
  }

  async #copy(writer: SegmentWriter, { log, extents }: MergeRun): Promise<void> {
    let sequence = Math.max(extents[0]!.first, log.firstSequence);
    if (sequence > extents.at(-1)!.last) return;
    writer.startExtent(log.id, sequence);
    for (const extent of extents) {
      while (sequence <= extent.last) {
        if (this.#isClosed) throw new StoreError('closed', 'The store is closed');
        const rows = await readRows(
          this.#reader,
          extent,
          sequence,
          Math.min(ROWS, extent.last - sequence + 1),
        );
        try {
          await this.#copyRecords(writer, extent, sequence, rows);
        } catch (error) {
          // Nobody has asked for that message yet; health tells of it all the same.
          if (error instanceof DamageError) await log.probe(sequence, sequence + rows.length / ROW_BYTES - 1);
          throw error;
        }
        sequence += rows.length / ROW_BYTES;
      }
    }
    writer.endExtent();
  }

  /** The records of consecutive rows, read piece by piece. */
  async #copyRecords(writer: SegmentWriter, extent: Extent, first: number, rows: Buffer): Promise<void> {
    let row = 0;
    while (row < rows.length) {
      const start = rowOffset(rows, row);
      let until = row;
      while (until + ROW_BYTES < rows.length && rowOffset(rows, until + ROW_BYTES) - start <= READ_BYTES) {
        until += ROW_BYTES;
      }
      // Where the last row's record ends, only its own header tells; the next row's offset does if there is one.
      let end = until > row ? rowOffset(rows, until) : 0;
      if (until === row) {
        const isLast = first + row / ROW_BYTES === extent.last;
        if (isLast) end = extent.recordBytes;
        else if (row + ROW_BYTES < rows.length) end = rowOffset(rows, row + ROW_BYTES);
        else {
          const next = await readRows(this.#reader, extent, first + row / ROW_BYTES + 1, 1);
          end = rowOffset(next, 0);
        }
        until = row + ROW_BYTES;
      }
      const room = end - start <= READ_BYTES ? this.#records : Buffer.allocUnsafeSlow(end - start);
      const buffer = room.subarray(0, end - start);
      const bytes = await this.#reader.read(extent.segment, buffer, extent.offset + start);
      let pos = 0;
      for (; row < until; row += ROW_BYTES) {
        const recordEnd = rowOffset(rows, row) - start === pos ? checkRecord(buffer, pos, bytes) : -1;
        if (recordEnd < 0) {
          throw damaged(extent.segment.path, extent.offset + start + pos, 'a record is not whole');
        }
        writer.message(buffer, pos, recordEnd, rowSize(rows, row), rowTimestampMs(rows, row));
        pos = recordEnd;
      }
      // What was added refers to `buffer`, which the next piece goes into.
      await writer.drain();
    }
  }
}

/**
 * The segments to merge next; none if nothing is due.
 *
 * @param isShort there is little room: the one of which least is alive, and only to give room back
 */
export function chooseSegments(segments: Iterable<Segment>, isShort = false): Set<Segment> {
  const tiers = new Map<number, Segment[]>();
  const sparse: Segment[] = [];
  for (const segment of segments) {
    if (segment.isDamaged || segment.liveBytes === 0) continue;
    if (segment.liveBytes * 2 < segment.bytes) sparse.push(segment);
    else if (segment.bytes < segment.extentCount * SMALL_EXTENT_BYTES) {
      const tier = tierOf(segment.bytes);
      const list = tiers.get(tier);
      if (list === undefined) tiers.set(tier, [segment]);
      else list.push(segment);
    }
  }
  if (isShort) return new Set(sparse.sort((a, b) => a.liveBytes - b.liveBytes).slice(0, 1));
  if (sparse.length > 0) return bounded(sparse);
  for (const list of tiers.values()) {
    if (list.length >= FAN_IN) {
      const chosen = bounded(list);
      if (chosen.size >= FAN_IN / 2) return chosen;
    }
  }
  return new Set();
}

function tierOf(bytes: number): number {
  let tier = 0;
  for (let size = SMALLEST_TIER_BYTES; size <= bytes; size *= FAN_IN) tier++;
  return tier;
}

function bounded(segments: readonly Segment[]): Set<Segment> {
  const chosen = new Set<Segment>();
  let bytes = 0;
  for (const segment of segments) {
    bytes += segment.liveBytes;
    if (chosen.size === MAX_MERGED_SEGMENTS || (chosen.size > 0 && bytes > MAX_MERGE_BYTES)) break;
    chosen.add(segment);
  }
  return chosen;
}

function findRuns(logs: Iterable<FileLog>, inputs: ReadonlySet<Segment>): MergeRun[] {
  const runs: MergeRun[] = [];
  for (const log of logs) {
    let run: MergeRun | undefined;
    for (const extent of log.extents) {
      if (!inputs.has(extent.segment)) run = undefined;
      else if (run === undefined) {
        run = { log, extents: [extent] };
        runs.push(run);
      } else run.extents.push(extent);
    }
  }
  return runs.sort((a, b) => a.log.id - b.log.id);
}

function replace(runs: readonly MergeRun[], writer: SegmentWriter): void {
  const from = new Map<FileLog, Set<Extent>>();
  for (const { log, extents } of runs) {
    const set = from.get(log);
    if (set === undefined) from.set(log, new Set(extents));
    else for (const extent of extents) set.add(extent);
  }
  const to = new Map<number, Extent[]>();
  for (const { channelId, extent } of writer.extents) {
    const list = to.get(channelId);
    if (list === undefined) to.set(channelId, [extent]);
    else list.push(extent);
  }
  for (const [log, extents] of from) {
    if (!log.isDeleted) log.replaceExtents(extents, to.get(log.id) ?? []);
  }
}
