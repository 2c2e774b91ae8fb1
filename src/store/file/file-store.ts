import type { BelievedTime } from '../../clock/believed-time.js';
import type { Clock } from '../../clock/clock.js';
import { RecentGuids } from '../../dedup/recent-guids.js';
import type { FsShortage } from '../../files/fs-shortage.js';
import { assert } from '../../util/assert.js';
import { SLICE_MS } from '../../util/turns.js';
import type { Gathering } from '../batch/gathering.js';
import type { ByteWriter } from '../format/bytes.js';
import { SnapshotWriter } from '../format/checkpoint-format.js';
import { RecordEncoder, sealRecord } from '../format/record.js';
import { FileLog } from '../log/file-log.js';
import type { LogParts } from '../log/log-parts.js';
import type { Journal, JournalListener, JournalPosition } from '../types/journal.js';
import { NotedProgress, type Progress, type WriteProgress, writeOne } from '../types/progress.js';
import type {
  Admission,
  BatchId,
  ChannelLog,
  ClientRecord,
  FormerSubjects,
  LogLimits,
  RecoveredState,
  SequenceRanges,
  Store,
  StoreHost,
  SubscriptionRecord,
} from '../types/store.js';
import { randomSeed } from '../types/store-id.js';
import type { Unreadable } from '../types/unreadable.js';
import { CommitCycle } from './commit-cycle.js';
import type { FileStoreSettings } from './file-store-options.js';
import { newLog, type StoreState } from './store-state.js';
import { type StoreUpkeep, Upkeep, type UpkeepOptions } from './upkeep.js';

const BOUNDS_INTERVAL_MS = 1000;
/** What a message's record has beyond what came in: its own header, the sequence, the time. */
const RECORD_MARGIN_BYTES = 128;

/** What a store is made of when it is opened. */
export interface FileStoreParts
  extends Pick<
      FileStoreSettings,
      'clock' | 'random' | 'measures' | 'believed' | 'isSynced' | 'warn' | 'checkpointBytes' | 'spareBytes'
    >,
    Pick<
      UpkeepOptions,
      'storeId' | 'parts' | 'report' | 'checkpoints' | 'check' | 'beganFrom' | 'reserve' | 'recoveredBytes'
    > {
  readonly state: StoreState;
  readonly shortage: FsShortage;
  readonly formerSubjects: FormerSubjects | undefined;
  readonly openJournal: (listener: JournalListener, gathering: Gathering) => Journal;
  /** Gives back what opening the store took. */
  readonly onClosed: (() => Promise<void>) | undefined;
}

/** The store on disk: what is appended goes to a journal, and from there into segments and checkpoints. See docs/store-format.md. */
export class FileStore implements Store {
  readonly kind = 'file';
  readonly storeId: string;
  readonly recovered: RecoveredState;
  readonly believed: BelievedTime;
  readonly #clock: Clock;
  readonly #parts: LogParts;
  readonly #gathering: Gathering;
  readonly #journal: Journal;
  readonly #cycle: CommitCycle;
  readonly #upkeep: Upkeep;
  readonly #shortage: FsShortage;
  readonly #onClosed: (() => Promise<void>) | undefined;
  /** Whether what was committed is on the disk, so that the lease may say so: not with `sync: false`. */
  readonly isSynced: boolean;
  readonly #encoder = new RecordEncoder();
  readonly #logs: Map<number, FileLog>;
  readonly #noted = new NotedProgress();
  // Kept from one checkpoint to the next, as is its buffer.
  readonly #snapshot = new SnapshotWriter();
  #host: StoreHost | undefined;
  #nextLogId: number;
  #nextSession: number;
  #nextSubscriptionId: number;
  #boundsRecordedMs = 0;
  #isClosed = false;

  constructor(options: FileStoreParts) {
    const { clock, parts, state, openJournal } = options;
    const { gathering, time, ages } = parts;
    this.#clock = clock;
    this.#parts = parts;
    this.storeId = options.storeId;
    this.believed = options.believed;
    this.isSynced = options.isSynced;
    this.#onClosed = options.onClosed;
    this.#shortage = options.shortage;
    this.#logs = state.logs;
    this.#nextLogId = state.nextLogId;
    this.#nextSession = state.nextSession;
    this.#nextSubscriptionId = state.nextSubscriptionId;
    this.recovered = {
      ...recoveredState(state, randomSeed(options.random)),
      formerSubjects: options.formerSubjects,
    };
    this.#gathering = gathering;
    this.#journal = openJournal(this.#journalListener, gathering);
    gathering.begin(this.#journal);
    const cycle = new CommitCycle(
      {
        clock,
        gathering,
        complete: () => {
          this.#recordBounds();
          this.recordNotedProgress();
        },
        onSnapshotPoint: (position) => this.#onSnapshotPoint(position),
      },
      this.#journal,
    );
    this.#cycle = cycle;
    time.onOlder = () => ages.recheck();
    this.#upkeep = new Upkeep({
      ...options,
      logs: this.#logs,
      journal: this.#journal,
      requestSnapshot: () => cycle.requestSnapshot(),
      isSnapshotWanted: () => cycle.isSnapshotWanted,
    });
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

  get unreadable(): Unreadable {
    return this.#parts.unreadable;
  }

  get shortage(): string | undefined {
    return this.#shortage.problem;
  }

  get segmentProblems(): readonly string[] {
    return [...this.#upkeep.segmentProblems];
  }

  get pendingBytes(): number {
    return this.#journal.pendingBytes + this.#gathering.bytes;
  }

  admit(bytes: number): Admission {
    return this.#gathering.admit(bytes + RECORD_MARGIN_BYTES);
  }

  attach(host: StoreHost): void {
    this.#host = host;
    this.#upkeep.start();
  }

  get timeMs(): number {
    return this.#parts.time.ms;
  }

  get timeLeadMs(): number {
    return this.#parts.time.leadMs;
  }

  get timeProblem(): string | undefined {
    return this.#parts.time.problem;
  }

  nowNs(): bigint {
    this.#parts.time.look();
    return this.#parts.time.nowNs;
  }

  createLog(name: string, limits: LogLimits): ChannelLog {
    const id = this.#nextLogId++;
    // The batch's time is the channel's, so the batch is opened first.
    this.#gathering.reserve(Buffer.byteLength(name) + 64);
    const { stampMs } = this.#parts.time;
    this.#append(this.#encoder.channelCreated(id, stampMs, name));
    const log = newLog(this.#parts, id, name, stampMs);
    log.setLimits(limits);
    this.#logs.set(id, log);
    return log;
  }

  deleteLog(log: ChannelLog): void {
    assert(log instanceof FileLog, 'a log is given back to the store that made it');
    if (!this.#logs.delete(log.id)) return;
    this.#append(this.#encoder.channelDeleted(log.id));
    log.release();
  }

  expire(): void {
    const { time, ages, movedHeads } = this.#parts;
    time.look();
    const endMs = this.#clock.monotonicMs() + SLICE_MS;
    ages.dropExpired(time.nowMs, () => this.#clock.monotonicMs() >= endMs);
    if (!movedHeads.isEmpty) this.#cycle.commitLater();
    this.#upkeep.makeRoom();
  }

  expireInMs(): number {
    const { time, ages } = this.#parts;
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

  /** What the opener of the store looks after, beside what the broker does with it. */
  get upkeep(): StoreUpkeep {
    return this.#upkeep;
  }

  fail(error: Error): void {
    this.#journal.fail(error);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#upkeep.stop();
    try {
      await this.#cycle.close();
      await this.#upkeep.close();
      this.#parts.segments.blobs.close();
    } finally {
      await this.#onClosed?.();
    }
  }

  readonly #journalListener: JournalListener = {
    onFree: () => this.#cycle.onFree(),
    onCommitted: (batch) => this.#host?.onCommitted(batch),
    onFailed: (error) => {
      this.#cycle.onFailed();
      this.#host?.onFailed(error);
    },
    onFullChanged: (reason) => {
      this.#host?.onFullChanged(reason);
      this.#upkeep.makeRoom();
    },
    onRoom: () => this.#host?.onRoom(),
    onRolled: (sealed, isUrgent) => this.#cycle.onRolled(this.#upkeep.sealed(sealed, isUrgent)),
    onCheckpointDue: () => this.#upkeep.checkpointSoon(),
    onMarkVoid: () => this.#upkeep.void(),
  };

  #onSnapshotPoint(position: JournalPosition): void {
    const { time } = this.#parts;
    const snapshot = this.#snapshot;
    snapshot.reset();
    this.#host?.snapshot(snapshot);
    this.#upkeep.begin({
      position,
      batch: this.#gathering.id - 1,
      blockId: this.#gathering.blockId,
      ids: {
        newestNs: time.ns,
        time: time.saved,
        nextLogId: this.#nextLogId,
        nextSession: this.#nextSession,
        nextSubscriptionId: this.#nextSubscriptionId,
      },
      snapshot,
    });
  }

  /** Heads move with every append at a limit; where they are is written now and then, and in every checkpoint. */
  #recordBounds(): void {
    const { movedHeads } = this.#parts;
    if (movedHeads.isEmpty) return;
    const now = this.#clock.monotonicMs();
    if (now - this.#boundsRecordedMs < BOUNDS_INTERVAL_MS && !this.#isClosed) return;
    this.#boundsRecordedMs = now;
    for (const { id, firstSequence } of movedHeads.take()) {
      this.#append(this.#encoder.bounds(id, firstSequence));
    }
  }

  #append(record: ByteWriter): void {
    const block = this.#gathering.reserve(record.length);
    const start = block.used;
    record.buffer.copy(block.buffer, start, 0, record.length);
    block.used = start + record.length;
    this.#gathering.otherRecords++;
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
