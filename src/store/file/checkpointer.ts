import type { Clock, Timer } from '../../clock/clock.js';
import { removeIfThere, writeAtomically, writeOver } from '../../files/file-io.js';
import { checkpointName, compareIds, type FileId, parseNames, segmentName } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import { isNoSpace } from '../../files/store-error.js';
import { CHECKPOINT_DIRECTORY, SEGMENT_DIRECTORY } from '../../files/store-folder.js';
import type { Measures } from '../../measures/measures.js';
import { bugOf } from '../../util/bug.js';
import type { BlockQueue } from '../batch/block.js';
import { type CheckpointIds, CheckpointWriter, SnapshotWriter } from '../format/checkpoint-format.js';
import { msgProtoStart, recordEnd } from '../format/record.js';
import type { FileLog } from '../log/file-log.js';
import { type Reserve, type Room, takeRoom } from '../room/reserve.js';
import type { Extent, Segment } from '../segments/segment.js';
import { SegmentWriter } from '../segments/segment-writer.js';
import type { JournalPosition } from '../types/journal.js';
import type { BatchId } from '../types/store.js';

/** What checkpoints are made of, and what they need done. */
export interface CheckpointSource {
  readonly fs: StoreFs;
  readonly dir: string;
  readonly storeId: string;
  readonly epoch: number;
  readonly clock: Clock;
  readonly measures: Measures;
  readonly blocks: BlockQueue;
  readonly segments: Set<Segment>;
  /** For what there is no room for. */
  readonly reserve: Reserve;
  logs(): Iterable<FileLog>;
  logCount(): number;
  ids(): CheckpointIds;
  snapshot(sink: SnapshotWriter): void;
  whenCommitted(batch: BatchId): Promise<void>;
  /** Ends when what is durable now may be acted on, also by removing files. */
  fence(): Promise<void>;
  /** Removes what lies before the position. */
  retire(position: JournalPosition): Promise<void>;
  nextSegmentId(): FileId;
  /** Segments that no log refers to. Those that a durable checkpoint does not name are removed, and taken out. */
  readonly deadSegments: Set<Segment>;
  forgetSegment(segment: Segment): void;
  /** No room for it; undefined: there is again. */
  setProblem(error: Error | undefined): void;
  fail(error: Error): void;
  warn(message: string): void;
  /** Wants one more. */
  checkpoint(): void;
  /** None is being made: the journal may roll. @param isMade it was, so that a merge may start */
  onDone(isMade: boolean): void;
}

/** A log as it was when the snapshot was taken. */
interface LogCapture {
  log: FileLog;
  firstSequence: number;
  lastSequence: number;
  byteCount: number;
  lastActivityMs: number;
  flushedThrough: number;
  extents: Extent[];
}

interface Capture {
  position: JournalPosition;
  batch: BatchId;
  blockId: number;
  ids: CheckpointIds;
  snapshot: SnapshotWriter;
  logs: LogCapture[];
  begunMs: number;
  /** Something that was to be before its position will not be. */
  isVoid: boolean;
}

const RETRY_MS = 1000;
/** One takes a second on a slow disk. */
const SLOW_MS = 30_000;

/**
 * Makes checkpoints, one at a time: what is not in segments yet goes into one new segment, then the snapshot that was
 * taken at the journal position is written, then what it makes needless is removed.
 */
export class Checkpointer {
  readonly #source: CheckpointSource;
  #running: Promise<void> | undefined;
  #capture: Capture | undefined;
  #retryTimer: Timer | undefined;
  #number = 0;
  // Kept from one checkpoint to the next, as are their buffers: those are as large as the checkpoint.
  readonly #snapshot = new SnapshotWriter();
  readonly #writer = new CheckpointWriter();
  #isClosed = false;
  #orphansRemoved = false;

  constructor(source: CheckpointSource) {
    this.#source = source;
  }

  get isBusy(): boolean {
    return this.#running !== undefined;
  }

  /** What was to be before the position of the one that runs will not be: it is given up, and another one made. */
  void(): void {
    if (this.#capture !== undefined) this.#capture.isVoid = true;
  }

  /** Everything appended lies before `position`: takes the snapshot now, does the rest behind the scenes. */
  begin(position: JournalPosition, batch: BatchId, blockId: number): void {
    const source = this.#source;
    this.#retryTimer?.cancel();
    const begunMs = source.clock.monotonicMs();
    const snapshot = this.#snapshot;
    snapshot.reset();
    source.snapshot(snapshot);
    const logs: LogCapture[] = [];
    for (const log of source.logs()) {
      logs.push({
        log,
        firstSequence: log.firstSequence,
        lastSequence: log.lastSequence,
        byteCount: log.byteCount,
        lastActivityMs: log.lastActivityMs,
        flushedThrough: log.flushedThrough,
        extents: log.extents.slice(),
      });
    }
    this.#start({ position, batch, blockId, ids: source.ids(), snapshot, logs, begunMs, isVoid: false });
  }

  /** Waits for the one that runs. None begins any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#retryTimer?.cancel();
    await this.#running;
  }

  #start(capture: Capture): void {
    const { clock } = this.#source;
    const slowTimer = clock.setTimer(SLOW_MS, () => this.#source.warn(SLOW));
    this.#capture = capture;
    this.#running = this.#run(capture)
      .finally(() => {
        slowTimer.cancel();
        this.#running = this.#capture = undefined;
      })
      .then(
        () => this.#onMade(capture),
        (error: Error) => this.#onError(error),
      )
      .catch((thrown: unknown) => this.#source.fail(bugOf(thrown)));
  }

  #onMade({ begunMs, isVoid }: Capture): void {
    if (this.#isClosed) return;
    const { clock, measures } = this.#source;
    if (isVoid) {
      this.#source.onDone(false);
      this.#source.checkpoint();
      return;
    }
    measures.checkpoint.observe((clock.monotonicMs() - begunMs) / 1e3);
    this.#source.setProblem(undefined);
    this.#source.onDone(true);
  }

  #onError(error: Error): void {
    if (this.#isClosed) return;
    if (!isNoSpace(error)) {
      this.#source.fail(error);
      return;
    }
    this.#source.setProblem(error);
    // Not the same one: limits drop messages meanwhile, and what nobody needs must not be in the way of giving room back.
    this.#retryTimer = this.#source.clock.setTimer(RETRY_MS, () => this.#source.checkpoint());
    this.#source.onDone(false);
  }

  async #run(capture: Capture): Promise<void> {
    const source = this.#source;
    // What is not durable and fenced must not be seen by a successor, in whatever file.
    await source.whenCommitted(capture.batch);
    if (capture.isVoid) return;
    await this.#flush(capture);
    if (this.#isClosed) return;
    const named = await this.#publish(capture);
    await source.fence();
    await this.#removeNeedless(capture.position, named);
  }

  /** Moves messages from the journal's blocks into a segment. */
  async #flush(capture: Capture): Promise<void> {
    const source = this.#source;
    // Also of channels deleted meanwhile: a crash may come before the deletion is durable.
    const due = capture.logs
      .filter((c) => c.lastSequence > c.flushedThrough && c.lastSequence >= c.firstSequence)
      .sort((a, b) => a.log.id - b.log.id);
    if (due.length > 0) {
      const writer = await this.#writeSegment(due);
      source.segments.add(writer.segment);
      const byChannel = new Map<number, Extent[]>();
      for (const { channelId, extent } of writer.extents) {
        const list = byChannel.get(channelId);
        if (list === undefined) byChannel.set(channelId, [extent]);
        else list.push(extent);
      }
      for (const logCapture of due) {
        const extents = byChannel.get(logCapture.log.id) ?? [];
        logCapture.extents.push(...extents);
        if (!logCapture.log.isDeleted) logCapture.log.flushed(extents);
      }
      if (writer.segment.liveBytes === 0) source.deadSegments.add(writer.segment);
    }
    // What was dropped before it could be written needs no extent.
    for (const { log, lastSequence } of capture.logs) {
      if (log.flushedThrough < lastSequence) log.flushedThrough = lastSequence;
    }
    for (const logCapture of capture.logs) logCapture.flushedThrough = logCapture.lastSequence;
    source.blocks.unpinBefore(capture.blockId);
  }

  /** Where there is no room for it, it is written over what was set aside. */
  async #writeSegment(due: readonly LogCapture[]): Promise<SegmentWriter> {
    const { reserve } = this.#source;
    try {
      return await this.#writeSegmentIn(due, undefined);
    } catch (error) {
      const room = isNoSpace(error) ? await reserve.take('seg') : undefined;
      if (room === undefined) throw error;
      return await this.#writeSegmentIn(due, room);
    }
  }

  async #writeSegmentIn(due: readonly LogCapture[], room: Room | undefined): Promise<SegmentWriter> {
    const { fs, dir, storeId, reserve } = this.#source;
    const directory = `${dir}/${SEGMENT_DIRECTORY}`;
    const id = this.#source.nextSegmentId();
    const writer = await SegmentWriter.create(fs, directory, id, storeId, room);
    try {
      for (const logCapture of due) await this.#writeExtents(writer, logCapture);
      await writer.finish();
      return writer;
    } catch (error) {
      await writer.abandon();
      if (room !== undefined) await reserve.give('seg', writer.segment.path);
      throw error;
    }
  }

  async #writeExtents(writer: SegmentWriter, { log, ...capture }: LogCapture): Promise<void> {
    const { blocks } = this.#source;
    const first = Math.max(capture.flushedThrough + 1, capture.firstSequence);
    writer.startExtent(log.id, first);
    for (let sequence = first; sequence <= capture.lastSequence; sequence++) {
      const block = blocks.get(log.blockIdOf(sequence))!;
      const offset = log.offsetOf(sequence);
      const end = recordEnd(block.buffer, offset);
      const messageBytes = end - msgProtoStart(block.buffer, offset);
      writer.message(block.buffer, offset, end, messageBytes, block.timestampMs(offset));
      if (writer.isFull) await writer.drain();
    }
    writer.endExtent();
  }

  async #publish(capture: Capture): Promise<Set<Segment>> {
    const segments: Segment[] = [];
    const indexOf = new Map<Segment, number>();
    for (const { extents } of capture.logs) {
      for (const { segment, isGap } of extents) {
        if (isGap || indexOf.has(segment)) continue;
        indexOf.set(segment, segments.length);
        segments.push(segment);
      }
    }
    const writer = this.#writer;
    const names = segments.map(({ id }) => id);
    writer.begin(capture.position, capture.ids, names, capture.logs.length);
    for (const { log, firstSequence, lastSequence, byteCount, lastActivityMs, extents } of capture.logs) {
      writer.channel({
        id: log.id,
        name: log.name,
        firstSequence,
        lastSequence,
        byteCount,
        lastActivityMs,
        extentsFirst: extents[0]?.first ?? 0,
        extents: extents.map(({ segment, first, last, offset, recordBytes }) => ({
          segment: indexOf.get(segment) ?? 0,
          count: last - first + 1,
          offset,
          recordBytes,
        })),
      });
    }
    await this.#writeCheckpoint(capture.snapshot);
    return new Set(segments);
  }

  /** Where there is no room for it, it is written over what was set aside, as large as that: so there will be room for the next one too. */
  async #writeCheckpoint(snapshot: SnapshotWriter): Promise<void> {
    const { fs, dir, epoch, storeId, reserve } = this.#source;
    const directory = `${dir}/${CHECKPOINT_DIRECTORY}`;
    const id = { epoch, number: ++this.#number };
    const name = checkpointName(id);
    const parts = this.#writer.finish(id, storeId, snapshot);
    const bytes = parts.reduce((sum, { length }) => sum + length, 0);
    try {
      await writeAtomically(fs, directory, name, parts);
    } catch (error) {
      const room = isNoSpace(error) ? await reserve.take('ckpt', bytes) : undefined;
      if (room === undefined) throw error;
      const temporary = `${directory}/${name}.tmp`;
      await takeRoom(fs, room, temporary);
      try {
        const padded = this.#writer.finish(id, storeId, snapshot, room.bytes);
        await writeOver(fs, temporary, directory, name, padded);
      } catch (failed) {
        await reserve.give('ckpt', temporary);
        throw failed;
      }
    }
    reserve.wantCheckpoint(bytes);
  }

  async #removeNeedless(position: JournalPosition, named: ReadonlySet<Segment>): Promise<void> {
    const { fs, dir, epoch } = this.#source;
    await this.#source.retire(position);
    const checkpoints = `${dir}/${CHECKPOINT_DIRECTORY}`;
    const newest = { epoch, number: this.#number };
    for (const id of parseNames(await fs.list(checkpoints), 'ckpt')) {
      if (compareIds(id, newest) < 0) await this.#remove(id, `${checkpoints}/${checkpointName(id)}`);
    }
    for (const segment of this.#source.deadSegments) {
      if (named.has(segment)) continue;
      this.#source.forgetSegment(segment);
      await removeIfThere(fs, segment.path);
    }
    if (!this.#orphansRemoved) await this.#removeOrphans();
  }

  /** Its own, it sets aside if there is too little of that. A file of an older term may still be written to, by who does not know. */
  async #remove(id: FileId, path: string): Promise<void> {
    const { fs, epoch, reserve } = this.#source;
    if (id.epoch === epoch && (await reserve.keep('ckpt', path))) return;
    await removeIfThere(fs, path);
  }

  /** Segments that an older term began and no checkpoint names. */
  async #removeOrphans(): Promise<void> {
    const { fs, dir, epoch, segments } = this.#source;
    const directory = `${dir}/${SEGMENT_DIRECTORY}`;
    const known = new Set([...segments].map(({ path }) => path));
    for (const id of parseNames(await fs.list(directory), 'seg')) {
      const path = `${directory}/${segmentName(id)}`;
      if (id.epoch < epoch && !known.has(path)) await removeIfThere(fs, path);
    }
    this.#orphansRemoved = true;
  }
}

const SLOW =
  `A checkpoint has not ended for ${SLOW_MS / 1000} s: the disk or its server is slow, or hangs. Until it ends the journal cannot begin another file, ` +
  'and when the present one is full nothing is stored. Look at the mount from this machine';
