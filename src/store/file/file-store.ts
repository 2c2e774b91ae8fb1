import type { BelievedTime } from '../../clock/believed-time.js';
import type { Timer } from '../../clock/clock.js';
import { RecentGuids } from '../../dedup/recent-guids.js';
import type { FileId } from '../../files/file-names.js';
import { JOURNAL_DIRECTORY } from '../../files/store-folder.js';
import type { Measures } from '../../measures/measures.js';
import type { RecoveryReport } from '../../measures/recovery-report.js';
import type { BlockQueue } from '../batch/block.js';
import type { Gathering } from '../batch/gathering.js';
import type { ByteWriter } from '../format/bytes.js';
import type { CheckpointIds, SnapshotWriter } from '../format/checkpoint-format.js';
import { RecordEncoder, sealRecord } from '../format/record.js';
import { FileJournal } from '../journal/file-journal.js';
import type { JournalFile } from '../journal/journal-file.js';
import type { FileLog } from '../log/file-log.js';
import { Reserve } from '../room/reserve.js';
import type { Segment } from '../segments/segment.js';
import type { SegmentFiles } from '../segments/segment-files.js';
import type { Journal, JournalListener, JournalPosition } from '../types/journal.js';
import { NotedProgress, type Progress, type WriteProgress, writeOne } from '../types/progress.js';
import type {
  Admission,
  BatchId,
  ChannelLog,
  ClientRecord,
  LogLimits,
  RecoveredState,
  SequenceRanges,
  Store,
  StoreHost,
  SubscriptionRecord,
} from '../types/store.js';
import { randomSeed } from '../types/store-id.js';
import type { Unreadable } from '../types/unreadable.js';
import { Checkpointer, type CheckpointSource } from './checkpointer.js';
import { CommitCycle } from './commit-cycle.js';
import type { LogOwner } from './log-owner.js';
import { Merger } from './merger.js';
import type { FileStoreSettings } from './open-file-store.js';
import type { Recovery } from './recovery.js';
import { newLog, type StoreState } from './store-state.js';

const FIRST_CHECKPOINT_MS = 1000;
const BOUNDS_INTERVAL_MS = 1000;
/** What a message's record has beyond what came in: its own header, the sequence, the time. */
const RECORD_MARGIN_BYTES = 128;
/** How long a segment that nothing refers to may stay when no checkpoint comes by. */
const DEAD_SEGMENT_MS = 30_000;
/** Under load, checkpoints come more often than that, and each needs the blocks that the one before let go. */
const SPARE_BLOCKS_MS = 5_000;

/** The store on disk. See docs/store-format.md. */
export class FileStore implements Store, JournalListener, CheckpointSource {
  readonly kind = 'file';
  /** Called at the end of `close`: gives back what opening the store took. */
  onClosed: (() => Promise<void>) | undefined;
  readonly storeId: string;
  readonly recovered: RecoveredState;
  readonly report: RecoveryReport;
  readonly fs;
  readonly dir: string;
  readonly epoch: number;
  readonly clock;
  readonly measures: Measures;
  readonly believed: BelievedTime;
  readonly blocks: BlockQueue;
  readonly segments: Set<Segment>;
  readonly deadSegments: Set<Segment>;
  readonly files: SegmentFiles;
  readonly unreadable: Unreadable;
  readonly reserve: Reserve;
  readonly #settings: FileStoreSettings;
  readonly #logOwner: LogOwner;
  readonly #gathering: Gathering;
  readonly #journal: Journal;
  readonly #cycle: CommitCycle;
  readonly #checkpointer: Checkpointer;
  readonly #merger: Merger;
  readonly #encoder = new RecordEncoder();
  readonly #logs: Map<number, FileLog>;
  #host: StoreHost | undefined;
  #nextLogId: number;
  #nextSession: number;
  #nextSubscriptionId: number;
  #segmentNumber = 0;
  /** Bytes of sealed journals whose messages are in no segment. */
  #sealedBytes: number;
  #boundsRecordedMs = 0;
  /** Since it was opened. */
  #hasCheckpointed = false;
  #checkpointTimer: Timer | undefined;
  #deadTimer: Timer | undefined;
  /** No checkpoint was begun since the store's own time has parted from the clock's, or come back to it. */
  #isTimeUntold = false;
  #spareTimer: Timer | undefined;
  #isClosed = false;
  readonly #noted = new NotedProgress();

  constructor(
    settings: FileStoreSettings,
    storeId: string,
    logOwner: LogOwner,
    recovery: Recovery & { report: RecoveryReport },
    first: JournalFile,
  ) {
    const { state } = recovery;
    this.#settings = settings;
    this.#logOwner = logOwner;
    this.storeId = storeId;
    this.fs = settings.fs;
    this.dir = settings.dir;
    this.epoch = settings.epoch;
    this.clock = settings.clock;
    this.measures = settings.measures;
    this.believed = settings.believed;
    this.blocks = logOwner.blocks;
    this.segments = state.segments;
    this.deadSegments = logOwner.deadSegments;
    this.files = logOwner.files;
    this.unreadable = logOwner.unreadable;
    this.#logs = state.logs;
    this.#nextLogId = state.nextLogId;
    this.#nextSession = state.nextSession;
    this.#nextSubscriptionId = state.nextSubscriptionId;
    this.#sealedBytes = recovery.journalBytes;
    this.report = recovery.report;
    this.recovered = recoveredState(state, randomSeed(settings.random));
    const directory = `${settings.dir}/${JOURNAL_DIRECTORY}`;
    this.reserve = new Reserve(settings);
    const { reserve } = this;
    const options = { ...settings, directory, storeId, reserve, recoveredBytes: recovery.journalBytes };
    const { gathering } = logOwner;
    this.#gathering = gathering;
    this.#journal = new FileJournal(options, this, gathering, first, 2);
    gathering.begin(this.#journal);
    this.#cycle = new CommitCycle(
      {
        clock: this.clock,
        gathering,
        complete: () => {
          this.#recordBounds();
          this.recordNotedProgress();
        },
        onSnapshotPoint: (position) => this.#onSnapshotPoint(position),
      },
      this.#journal,
    );
    const { time, ages } = logOwner;
    time.onOlder = () => ages.recheck();
    this.#checkpointer = new Checkpointer(this);
    this.#merger = new Merger(this);
  }

  get gathering(): BatchId {
    return this.#gathering.id;
  }

  get appended(): BatchId {
    return this.#gathering.appended;
  }

  get committed(): BatchId {
    return this.#journal.committed;
  }

  get fullReason(): string | undefined {
    return this.#journal.room.fullReason;
  }

  get pendingBytes(): number {
    return this.#journal.pendingBytes + this.#gathering.bytes;
  }

  /** Since when, by the monotonic clock, a write has not ended; undefined if none is under way. */
  get writingSinceMs(): number | undefined {
    return this.#journal.writingSinceMs;
  }

  admit(bytes: number): Admission {
    return this.#gathering.admit(bytes + RECORD_MARGIN_BYTES);
  }

  attach(host: StoreHost): void {
    this.#host = host;
    // What older terms left goes into segments before long, but not while clients are coming back.
    this.#logOwner.onDead = this.#onDead;
    this.#logOwner.time.onParted = this.#onParted;
    this.#checkpointTimer = this.clock.setTimer(FIRST_CHECKPOINT_MS, () => {
      const isAsked = this.#sealedBytes > 0 || this.#logOwner.time.saved !== undefined;
      if (isAsked || this.fullReason !== undefined) this.checkpoint();
      // Behind the checkpoint, which gives room back.
      else this.reserve.refill();
    });
  }

  get timeMs(): number {
    return this.#logOwner.time.ms;
  }

  get timeLeadMs(): number {
    return this.#logOwner.time.leadMs;
  }

  get timeProblem(): string | undefined {
    return this.#logOwner.time.problem;
  }

  nowNs(): bigint {
    this.#logOwner.time.look();
    return this.#logOwner.time.nowNs;
  }

  createLog(name: string, limits: LogLimits): ChannelLog {
    const id = this.#nextLogId++;
    // The batch's time is the channel's, so the batch is opened first.
    this.#gathering.reserve(Buffer.byteLength(name) + 64);
    const { stampMs } = this.#logOwner.time;
    this.#append(this.#encoder.channelCreated(id, stampMs, name));
    const log = newLog(this.#logOwner, id, name, stampMs);
    log.setLimits(limits);
    this.#logs.set(id, log);
    return log;
  }

  deleteLog(log: ChannelLog): void {
    if (!this.#logs.delete(log.id)) return;
    this.#append(this.#encoder.channelDeleted(log.id));
    (log as FileLog).release();
  }

  expire(): void {
    const { time, ages } = this.#logOwner;
    time.look();
    ages.dropExpired(time.nowMs);
    if (this.#logOwner.movedHeads.length > 0) this.#cycle.commitLater();
    this.#makeRoom();
  }

  expireInMs(): number {
    const { time, ages } = this.#logOwner;
    return Math.max(0, ages.nextMs() - time.nowMs);
  }

  putClient(record: ClientRecord): void {
    this.#nextSession = Math.max(this.#nextSession, record.session + 1);
    this.#append(this.#encoder.clientPut(record));
  }

  removeClient(clientId: string): void {
    this.#append(this.#encoder.clientRemoved(clientId));
  }

  putSubscription(record: SubscriptionRecord): void {
    this.#nextSubscriptionId = Math.max(this.#nextSubscriptionId, record.id + 1);
    this.#append(this.#encoder.subscriptionPut(record));
  }

  removeSubscription(id: number): void {
    this.#append(this.#encoder.subscriptionRemoved(id));
  }

  noteProgress(progress: Progress): void {
    if (this.#noted.add(progress)) this.#cycle.commitLater();
  }

  recordProgress(progress: Progress): void {
    writeOne(progress, this.#writeProgress);
  }

  recordNotedProgress(): void {
    this.#noted.write(this.#writeProgress);
  }

  recordDelivered(id: number, delivered: SequenceRanges): void {
    this.#writeProgress(id, delivered, []);
  }

  readonly #writeProgress: WriteProgress = (id, delivered, acked) => {
    this.#append(this.#encoder.progress(id, delivered, acked));
  };

  commit(): void {
    this.#cycle.commit();
  }

  commitLater(): void {
    this.#cycle.commitLater();
  }

  touch(): void {
    if (this.#isClosed || this.#journal.isStopped) return;
    if (this.fullReason !== undefined || this.pendingBytes > 0) return;
    this.#gathering.reserve(0);
    this.#cycle.commit();
  }

  /** Makes a checkpoint soon, if none is being made. */
  checkpoint(): void {
    if (this.#host === undefined || this.#isClosed || this.isCheckpointing) return;
    this.#cycle.requestSnapshot();
  }

  /** The same, where the journal is in the middle of something. */
  onCheckpointDue(): void {
    this.clock.setTimer(0, () => this.checkpoint());
  }

  /** A checkpoint is being made, or is about to be. */
  get isCheckpointing(): boolean {
    return this.#checkpointer.isBusy || this.#cycle.isSnapshotWanted;
  }

  /** Neither a checkpoint nor a merge is being made. */
  get isIdle(): boolean {
    return !this.isCheckpointing && !this.#merger.isBusy;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#checkpointTimer?.cancel();
    this.#logOwner.onDead = undefined;
    this.#deadTimer?.cancel();
    this.#spareTimer?.cancel();
    try {
      await this.#cycle.close();
      await this.reserve.close();
      await this.#merger.close();
      await this.#checkpointer.close();
      this.files.close();
    } finally {
      await this.onClosed?.();
    }
  }

  // What the journal asks for.

  onFree(): void {
    this.#cycle.onFree();
  }

  onRolled(sealedBytes: number, isUrgent: boolean): void {
    this.#sealedBytes += sealedBytes;
    // Small files, as the first of a term, are not worth a checkpoint each.
    const isEnough = isUrgent || this.#sealedBytes * 2 >= this.#settings.journalBytes;
    this.#cycle.onRolled(this.#host !== undefined && !this.#checkpointer.isBusy && isEnough);
  }

  #onSnapshotPoint(position: JournalPosition): void {
    this.#sealedBytes = 0;
    this.#checkpointer.begin(position, this.#gathering.id - 1, this.#gathering.blockId);
  }

  onCommitted(batch: BatchId): void {
    this.#host?.onCommitted(batch);
  }

  onFailed(error: Error): void {
    this.#cycle.onFailed();
    this.#host?.onFailed(error);
  }

  onFullChanged(reason: string | undefined): void {
    this.#host?.onFullChanged(reason);
    this.#makeRoom();
  }

  onRoom(): void {
    this.#host?.onRoom();
  }

  onMarkVoid(): void {
    this.#checkpointer.void();
  }

  // What checkpoints and merges are made of.

  logs(): Iterable<FileLog> {
    return this.#logs.values();
  }

  logCount(): number {
    return this.#logs.size;
  }

  log(id: number): FileLog | undefined {
    return this.#logs.get(id);
  }

  ids(): CheckpointIds {
    this.#isTimeUntold = false;
    return {
      newestNs: this.#logOwner.time.ns,
      time: this.#logOwner.time.saved,
      nextLogId: this.#nextLogId,
      nextSession: this.#nextSession,
      nextSubscriptionId: this.#nextSubscriptionId,
    };
  }

  snapshot(sink: SnapshotWriter): void {
    this.#host?.snapshot(sink);
  }

  whenCommitted(batch: BatchId): Promise<void> {
    return this.#journal.whenCommitted(batch);
  }

  fence(): Promise<void> {
    return this.#journal.fence();
  }

  retire(position: JournalPosition): Promise<void> {
    return this.#journal.retire(position);
  }

  nextSegmentId(): FileId {
    return { epoch: this.epoch, number: ++this.#segmentNumber };
  }

  forgetSegment(segment: Segment): void {
    this.deadSegments.delete(segment);
    this.segments.delete(segment);
    this.files.forget(segment);
  }

  setProblem(error: Error | undefined): void {
    this.#journal.setCheckpointProblem(error);
  }

  fail(error: Error): void {
    this.#journal.fail(error);
  }

  warn(message: string): void {
    this.#settings.warn(message);
  }

  onDone(isMade: boolean): void {
    this.#journal.resume();
    this.reserve.refill();
    if (!isMade) return;
    this.#hasCheckpointed = true;
    this.#merger.start();
    if (this.#isTimeUntold) this.#onParted();
    this.#spareTimer?.cancel();
    this.#spareTimer = this.clock.setTimer(SPARE_BLOCKS_MS, () => this.blocks.releaseSpare());
  }

  /** Segments that nothing refers to, and all that older terms left, go with the next checkpoint; when the disk is full, that is now. */
  #makeRoom(): void {
    if (this.fullReason === undefined) return;
    if (this.deadSegments.size > 0 || !this.#hasCheckpointed) this.onCheckpointDue();
  }

  /** A checkpoint is to tell of it, after one that is being made. It is found when a batch begins: the batch comes first. */
  readonly #onParted = (): void => {
    this.#isTimeUntold = true;
    this.clock.setTimer(0, () => {
      if (this.#isTimeUntold) this.checkpoint();
    });
  };

  readonly #onDead = (): void => {
    this.#deadTimer ??= this.clock.setTimer(DEAD_SEGMENT_MS, () => {
      this.#deadTimer = undefined;
      if (this.deadSegments.size > 0) this.checkpoint();
    });
  };

  /** Heads move with every append at a limit; where they are is written now and then, and in every checkpoint. */
  #recordBounds(): void {
    const { movedHeads } = this.#logOwner;
    if (movedHeads.length === 0) return;
    const now = this.clock.monotonicMs();
    if (now - this.#boundsRecordedMs < BOUNDS_INTERVAL_MS && !this.#isClosed) return;
    this.#boundsRecordedMs = now;
    for (const log of movedHeads.splice(0)) {
      log.isHeadRecorded = true;
      if (!log.isDeleted) this.#append(this.#encoder.bounds(log.id, log.firstSequence));
    }
  }

  #append(record: ByteWriter): void {
    const block = this.#gathering.reserve(record.length);
    const start = block.used;
    record.buffer.copy(block.buffer, start, 0, record.length);
    block.used = start + record.length;
    sealRecord(block.buffer, start, block.used);
  }
}

function recoveredState(state: StoreState, hashSeed: number): RecoveredState {
  const recentGuids = new RecentGuids(hashSeed);
  recentGuids.enterLater((guids) => state.guids.enterIn(guids));
  return {
    clients: [...state.clients.values()],
    subscriptions: [...state.subscriptions.values()].map(({ record, pending }) => ({
      record,
      pending: [...pending].sort((a, b) => a - b),
    })),
    logs: [...state.logs.values()],
    nextSession: state.nextSession,
    nextSubscriptionId: state.nextSubscriptionId,
    recentGuids,
  };
}
