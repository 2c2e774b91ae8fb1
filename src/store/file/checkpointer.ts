import type { Clock } from '../../clock/clock.js';
import { compareIds, type FileId, journalName, sameId } from '../../files/file-names.js';
import type { Measures } from '../../measures/measures.js';
import { assert } from '../../util/assert.js';
import { bugOf } from '../../util/bug.js';
import { CheckpointWriter, type NamedBody } from '../format/checkpoint-format.js';
import type { FileLog } from '../log/file-log.js';
import { canTryAgain } from '../room/no-room.js';
import type { Body } from '../segments/body.js';
import type { Extent, Segment } from '../segments/segment.js';
import type { SegmentCheck } from '../segments/segment-check.js';
import type { Blobs } from '../types/blobs.js';
import type { Journal, JournalPosition } from '../types/journal.js';
import { type Capture, type CheckpointPoint, captureLogs } from './checkpoint-capture.js';
import { type FlushParts, flush } from './flush.js';

/** What checkpoints are made of. */
export interface CheckpointerParts extends FlushParts {
  readonly clock: Clock;
  readonly measures: Measures;
  readonly logs: ReadonlyMap<number, FileLog>;
  readonly checkpoints: Blobs;
  readonly check: SegmentCheck;
  /** Where the journals begin that the store was opened with; undefined if there was no checkpoint. */
  readonly beganFrom: JournalPosition | undefined;
  readonly journal: Pick<Journal, 'whenCommitted' | 'fence' | 'retire'>;
  readonly warn: (message: string) => void;
}

/** The files that a checkpoint names: they stay. */
interface Named {
  readonly segments: ReadonlyMap<Segment, number>;
  readonly bodies: ReadonlyMap<Body, number>;
}

/** How a checkpoint ends. */
export interface CheckpointListener {
  onMade(): void;
  /** What was to lie before its position does not. */
  onVoid(): void;
  onNoRoom(error: Error): void;
  onFailed(error: Error): void;
}

/** One takes a second on a slow disk. */
const SLOW_MS = 30_000;

/**
 * Makes checkpoints, one at a time: what is in no segment yet gets its rows in a new one, then the snapshot that was
 * taken at the journal position is written, then what it makes needless is removed.
 */
export class Checkpointer {
  readonly #parts: CheckpointerParts;
  readonly #listener: CheckpointListener;
  #running: Promise<void> | undefined;
  #capture: Capture | undefined;
  // Kept from one checkpoint to the next, as is its buffer: that is as large as the checkpoint.
  readonly #writer = new CheckpointWriter();
  #isClosed = false;
  #orphansRemoved = false;

  constructor(parts: CheckpointerParts, listener: CheckpointListener) {
    this.#parts = parts;
    this.#listener = listener;
  }

  get isBusy(): boolean {
    return this.#running !== undefined;
  }

  /** What was to be before the position of the one that runs will not be: it is given up. */
  void(): void {
    if (this.#capture !== undefined) this.#capture.isVoid = true;
  }

  /** Everything appended lies before this point. What is there is noted now, the rest is done behind the scenes. */
  begin(point: CheckpointPoint): void {
    assert(!this.isBusy, 'one checkpoint is made at a time');
    const { clock, logs, warn } = this.#parts;
    const begunMs = clock.monotonicMs();
    const capture = { ...point, logs: captureLogs(logs.values()), begunMs, isVoid: false };
    const slowTimer = clock.setTimer(SLOW_MS, () => warn(SLOW));
    this.#capture = capture;
    this.#running = this.#run(capture)
      .finally(() => {
        slowTimer.cancel();
        this.#running = this.#capture = undefined;
      })
      .then(
        () => this.#onEnd(capture),
        (error: Error) => this.#onError(error),
      )
      .catch((thrown: unknown) => this.#listener.onFailed(bugOf(thrown)));
  }

  /** Waits for the one that runs. None begins any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running;
  }

  #onEnd({ begunMs, isVoid }: Capture): void {
    if (this.#isClosed) return;
    if (isVoid) {
      this.#listener.onVoid();
      return;
    }
    const { clock, measures } = this.#parts;
    measures.checkpoint.observe((clock.monotonicMs() - begunMs) / 1e3);
    this.#listener.onMade();
  }

  #onError(error: Error): void {
    if (this.#isClosed) return;
    if (canTryAgain(error)) this.#listener.onNoRoom(error);
    else this.#listener.onFailed(error);
  }

  async #run(capture: Capture): Promise<void> {
    const { journal } = this.#parts;
    // What is not durable and fenced must not be seen by a successor, in whatever file.
    await journal.whenCommitted(capture.batch);
    if (capture.isVoid) return;
    await flush(this.#parts, capture);
    if (this.#isClosed) return;
    const named = this.#write(capture);
    const id = await this.#publish(capture);
    await journal.fence();
    await this.#removeNeedless(id, capture.position, named);
  }

  #write(capture: Capture): Named {
    const named = this.#nameFiles(capture);
    const { position } = capture;
    const segments = [...named.segments.keys()].map(({ id, file }) => ({ ...id, file }));
    const bodies = [...named.bodies.keys()].map((body) => namedBody(body, position));
    const writer = this.#writer;
    writer.begin(position, capture.ids, segments, bodies, capture.logs.length);
    const encoded = ({ segment, body, first, last, offset, recordBytes }: Extent) => ({
      segment: named.segments.get(segment) ?? 0,
      body: body && named.bodies.get(body),
      count: last - first + 1,
      offset,
      recordBytes,
    });
    for (const { log, firstSequence, lastSequence, byteCount, lastActivityMs, extents } of capture.logs) {
      writer.channel({
        ...{ id: log.id, name: log.name, firstSequence, lastSequence, byteCount, lastActivityMs },
        extentsFirst: extents[0]?.first ?? 0,
        extents: extents.map(encoded),
      });
    }
    return named;
  }

  /** Numbers the files that the captured logs refer to. */
  #nameFiles({ logs }: Capture): Named {
    const { segments } = this.#parts;
    const indexOf = new Map<Segment, number>();
    const bodyIndexOf = new Map<Body, number>();
    for (const { extents } of logs) {
      for (const { segment, body, isGap } of extents) {
        if (isGap) continue;
        if (body !== undefined && !bodyIndexOf.has(body)) {
          assert(segments.bodies.all.has(body), 'every body that a log refers to is known');
          bodyIndexOf.set(body, bodyIndexOf.size);
        }
        if (indexOf.has(segment)) continue;
        assert(segments.all.has(segment), 'every segment that a log refers to is known');
        indexOf.set(segment, indexOf.size);
      }
    }
    return { segments: indexOf, bodies: bodyIndexOf };
  }

  async #publish({ snapshot }: Capture): Promise<FileId> {
    const { checkpoints, storeId } = this.#parts;
    const writer = this.#writer;
    const size = { bytes: writer.bytes(snapshot), isUrgent: true };
    return await checkpoints.put(size, async (blob) => {
      // As large as what was set aside, if that is written over: so there will be room for the next one too.
      for (const part of writer.finish(blob.id, storeId, snapshot, blob.fixedBytes))
        await blob.append(part, 0, part.length);
      return blob.id;
    });
  }

  /**
   * Removes what this term has replaced itself. What an older term had replaced goes only if everything that stands for it is there: where
   * a segment is missing, an older checkpoint with its segments, or a journal, may have its messages.
   */
  async #removeNeedless(newest: FileId, position: JournalPosition, named: Named): Promise<void> {
    const { checkpoints, segments, journal, check, beganFrom } = this.#parts;
    const isVerified = await check.areVerified();
    const { bodies } = segments;
    const needed = new Set(Array.from(named.bodies.keys(), ({ id }) => journalName(id)));
    for (const body of bodies.all) {
      body.isSealed = compareIds(body.id, position) < 0;
      if (body.isMerging) needed.add(journalName(body.id));
      else if (body.extentCount === 0 && !named.bodies.has(body) && body.isSealed) segments.forgetBody(body);
    }
    for (const checkpoint of await checkpoints.list()) {
      if (compareIds(checkpoint.id, newest) >= 0) continue;
      if (isVerified || checkpoint.id.epoch === newest.epoch) await checkpoints.remove(checkpoint);
    }
    // Older checkpoints count on these: one that outlived them would be taken up where the newest is damaged, and its messages would be missing.
    await journal.retire(position, (id) => needed.has(journalName(id)), isVerified ? undefined : beganFrom);
    for (const segment of segments.dead) {
      if (!named.segments.has(segment) && !segment.isMerging) await segments.remove(segment);
    }
    if (this.#orphansRemoved || !isVerified) return;
    // Segments that an older term began and no checkpoint names.
    const known = new Set([...segments.all].map(({ path }) => path));
    for (const blob of await segments.blobs.list()) {
      if (blob.id.epoch < newest.epoch && !known.has(blob.path)) await segments.blobs.remove(blob);
    }
    this.#orphansRemoved = true;
  }
}

/** The file that the position is in has more by now: what lies behind it is the next checkpoint's. */
function namedBody({ id, end, salt }: Body, position: JournalPosition): NamedBody {
  return { ...id, end: sameId(id, position) ? position.offset : end, salt };
}

const SLOW =
  `A checkpoint has not ended for ${SLOW_MS / 1000} s: the disk or its server is slow, or hangs. Until it ends the journal cannot begin another file, ` +
  'and when the present one is full nothing is stored. Look at the mount from this machine';
