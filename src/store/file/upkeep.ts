import type { Clock, Timer } from '../../clock/clock.js';
import type { RecoveryReport } from '../../measures/recovery-report.js';
import type { FileLog } from '../log/file-log.js';
import type { LogParts } from '../log/log-parts.js';
import type { Reserve } from '../room/reserve.js';
import type { Segment } from '../segments/segment.js';
import type { Journal, SealedFile } from '../types/journal.js';
import type { CheckpointPoint } from './checkpoint-capture.js';
import { Checkpointer, type CheckpointerParts, type CheckpointListener } from './checkpointer.js';
import { Merger } from './merger.js';

export interface UpkeepOptions extends Omit<CheckpointerParts, 'journal' | 'blocks' | 'segments'> {
  readonly clock: Clock;
  readonly logs: ReadonlyMap<number, FileLog>;
  readonly parts: LogParts;
  readonly journal: Journal;
  /** What is set aside is made whole again behind a checkpoint, which gives room back. */
  readonly reserve: Pick<Reserve, 'refill' | 'close'>;
  readonly spareBytes: number;
  /** A checkpoint is worth its work when so many bytes are in journals that are full. */
  readonly checkpointBytes: number;
  /** Bytes of older terms' journals whose messages are in no segment. */
  readonly recoveredBytes: number;
  /** How the store was opened. */
  readonly report: RecoveryReport;
  /** Asks for the place of a checkpoint: `begin` is called there. */
  readonly requestSnapshot: () => void;
  readonly isSnapshotWanted: () => boolean;
}

/**
 * Or when as many records are there: replaying one takes a recovery as long as reading some KiB. A file of 8 MiB has about as many messages of
 * 128 bytes.
 */
const CHECKPOINT_RECORDS = 32_000;
const FIRST_CHECKPOINT_MS = 1000;
/** How long a segment that nothing refers to may stay when no checkpoint comes by. */
const DEAD_SEGMENT_MS = 30_000;
/** A checkpoint for which there was no room is tried again after this. */
const NO_ROOM_RETRY_MS = 1000;
/** Under load, checkpoints come more often than that, and each needs the blocks that the one before let go. */
const SPARE_BLOCKS_MS = 5_000;

/** What the opener of a store can see and do beside the broker that it was opened for. */
export interface StoreUpkeep {
  /** How it was opened. */
  readonly report: RecoveryReport;
  /** Since when, by the monotonic clock, a write has not ended; undefined if none is under way. */
  readonly writingSinceMs: number | undefined;
  /** A checkpoint is being made, or is about to be. */
  readonly isCheckpointing: boolean;
  /** Neither a checkpoint nor a merge is being made. */
  readonly isIdle: boolean;
  readonly segments: ReadonlySet<Segment>;
  /** Bytes of memory that are kept for batches to come. */
  readonly spareBytes: number;
  /** Makes a checkpoint soon, if none is being made: the store is opened sooner after it. */
  checkpoint(): void;
}

/** Decides when checkpoints and merges are made, and gives back what they free. */
export class Upkeep implements CheckpointListener, StoreUpkeep {
  readonly #options: UpkeepOptions;
  readonly #parts: LogParts;
  readonly #checkpointer: Checkpointer;
  readonly #merger: Merger;
  /** Bytes of sealed journals whose messages are in no segment. */
  #sealedBytes: number;
  /** Records of those that were sealed since the store was opened. */
  #sealedRecords = 0;
  /** Since the store was opened. */
  #hasCheckpointed = false;
  /** The journal has gone on in another file since the newest checkpoint was begun. */
  #hasRolled = false;
  /** No checkpoint was begun since the store's own time has parted from the clock's, or come back to it. */
  #isTimeUnsaved = false;
  #firstTimer: Timer | undefined;
  #deadTimer: Timer | undefined;
  #retryTimer: Timer | undefined;
  #spareTimer: Timer | undefined;
  #isStarted = false;
  #isStopped = false;

  constructor(options: UpkeepOptions) {
    const { parts, recoveredBytes } = options;
    const { blocks, segments } = parts;
    this.#options = options;
    this.#parts = parts;
    this.#sealedBytes = recoveredBytes;
    this.#checkpointer = new Checkpointer({ ...options, blocks, segments }, this);
    options.check.onVerifiedLate = () => this.checkpointSoon();
    this.#merger = new Merger({
      ...options,
      segments,
      fence: () => options.journal.fence(),
      onMerged: () => this.checkpoint(),
      onFailed: (error) => this.onFailed(error),
    });
  }

  /** From now on. What older terms left goes into segments before long, but not while clients are coming back. */
  start(): void {
    const { clock, journal, reserve, check } = this.#options;
    const { segments, time } = this.#parts;
    this.#isStarted = true;
    segments.onDead = this.#onDead;
    time.onParted = this.#onParted;
    check.start(() => journal.fence());
    segments.onMissing = (file) => check.suspect(file);
    this.#firstTimer = clock.setTimer(FIRST_CHECKPOINT_MS, () => {
      const isWanted = this.#sealedBytes > 0 || time.saved !== undefined;
      if (isWanted || journal.room.fullReason !== undefined) this.checkpoint();
      // Behind the checkpoint, which gives room back.
      else reserve.refill();
    });
  }

  get report(): RecoveryReport {
    return this.#options.report;
  }

  get segmentProblems(): string[] {
    return Array.from(this.#options.check.problems.values(), ({ file, what }) => `${file.path}: ${what}`);
  }

  get writingSinceMs(): number | undefined {
    return this.#options.journal.writingSinceMs;
  }

  get segments(): ReadonlySet<Segment> {
    return this.#parts.segments.all;
  }

  get spareBytes(): number {
    return this.#parts.blocks.spareBytes;
  }

  checkpoint(): void {
    if (!this.#isStarted || this.#isStopped || this.isCheckpointing) return;
    this.#options.requestSnapshot();
  }

  /** The same, where the journal is in the middle of something. */
  checkpointSoon(): void {
    this.#options.clock.setTimer(0, () => this.checkpoint());
  }

  get isCheckpointing(): boolean {
    return this.#checkpointer.isBusy || this.#options.isSnapshotWanted();
  }

  get isIdle(): boolean {
    return !this.isCheckpointing && !this.#merger.isBusy;
  }

  /** Another journal file was begun. @returns whether a checkpoint is to be made of what is sealed */
  sealed({ bytes, records }: SealedFile, isUrgent: boolean): boolean {
    this.#sealedBytes += bytes;
    this.#sealedRecords += records;
    this.#hasRolled = true;
    if (this.#hasNeedless && !this.#isStopped) this.#onDead();
    // Small files, as the first of a term, are not worth a checkpoint each.
    const isEnough =
      this.#sealedBytes >= this.#options.checkpointBytes || this.#sealedRecords >= CHECKPOINT_RECORDS;
    return this.#isStarted && !this.#checkpointer.isBusy && (isUrgent || isEnough);
  }

  /** The place that was asked for. */
  begin(point: CheckpointPoint): void {
    this.#sealedBytes = this.#sealedRecords = 0;
    this.#hasRolled = false;
    this.#isTimeUnsaved = false;
    this.#retryTimer?.cancel();
    this.#checkpointer.begin(point);
  }

  /** What was to lie before that place does not. */
  void(): void {
    this.#checkpointer.void();
  }

  /** Segments that nothing refers to, and all that older terms left, go with the next checkpoint; when the disk is full, that is now. */
  makeRoom(): void {
    const { fullReason, problem } = this.#options.journal.room;
    // There may be room for small messages still, and none for larger ones.
    if (fullReason === undefined && problem === undefined) return;
    if (this.#hasNeedless || !this.#hasCheckpointed) this.checkpointSoon();
  }

  /** Nothing is begun any more. */
  stop(): void {
    this.#isStopped = true;
    this.#parts.segments.onDead = undefined;
    this.#firstTimer?.cancel();
    this.#deadTimer?.cancel();
    this.#spareTimer?.cancel();
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    await this.#options.reserve.close();
    await this.#merger.close();
    this.#retryTimer?.cancel();
    await this.#checkpointer.close();
    await this.#options.check.close();
  }

  onMade(): void {
    const { clock, journal } = this.#options;
    journal.setCheckpointProblem(undefined);
    this.#onEnd();
    this.#hasCheckpointed = true;
    // It names what died while it was made.
    if (this.#hasNeedless) this.#onDead();
    this.#merger.start();
    if (this.#isTimeUnsaved) this.#onParted();
    this.#spareTimer?.cancel();
    this.#spareTimer = clock.setTimer(SPARE_BLOCKS_MS, () => this.#parts.blocks.releaseSpare());
  }

  onVoid(): void {
    this.#onEnd();
    this.checkpoint();
  }

  onNoRoom(error: Error): void {
    const { clock, journal } = this.#options;
    journal.setCheckpointProblem(error);
    // Not the same one: limits drop messages meanwhile, and what no log needs must not be in the way of giving room back.
    this.#retryTimer = clock.setTimer(NO_ROOM_RETRY_MS, () => this.checkpoint());
    this.#onEnd();
  }

  onFailed(error: Error): void {
    this.#options.journal.fail(error);
  }

  /** A checkpoint would remove something. The file that the journal writes to stays, also when none of its messages is left. */
  get #hasNeedless(): boolean {
    const { dead, bodies } = this.#parts.segments;
    // Messages that were dropped before a checkpoint could stand for them leave no dead body behind, only a file that one gives back.
    if (dead.size > 0 || this.#hasRolled) return true;
    for (const { isSealed } of bodies.dead) if (isSealed) return true;
    return false;
  }

  #onEnd(): void {
    const { journal, reserve } = this.#options;
    journal.resume();
    reserve.refill();
  }

  /** A checkpoint is to save it, after one that is being made. It is found when a batch begins: the batch comes first. */
  readonly #onParted = (): void => {
    this.#isTimeUnsaved = true;
    this.#options.clock.setTimer(0, () => {
      if (this.#isTimeUnsaved) this.checkpoint();
    });
  };

  readonly #onDead = (): void => {
    this.#deadTimer ??= this.#options.clock.setTimer(DEAD_SEGMENT_MS, () => {
      this.#deadTimer = undefined;
      if (this.#hasNeedless) this.checkpoint();
    });
  };
}
