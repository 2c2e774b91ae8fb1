import type { BelievedTime } from '../../clock/believed-time.js';
import type { GuidRun } from '../../dedup/packed-guids.js';
import type { RecentGuids } from '../../dedup/recent-guids.js';
import type { PubMsgView } from '../../protocol/pubmsg.js';
import type { Progress } from './progress.js';
import type { Unreadable } from './unreadable.js';

/** What a batch of appends is called until it is durable. Grows by one with each commit, from 1. */
export type BatchId = number;

/** Limits on the messages of one channel. 0 is unlimited. */
export interface LogLimits {
  maxMessages: number;
  maxBytes: number;
  maxAgeMs: number;
}

/** Where one encoded MsgProto lies in memory. Valid until the caller yields to the event loop. */
export interface MessageRef {
  buffer: Buffer;
  start: number;
  end: number;
}

/** Inclusive ranges of sequences, flat: [start, end, start, end, ...]. */
export type SequenceRanges = readonly number[];

/**
 * The messages of one channel, in order, without gaps but for what a repair of the store could not save, or an import has not found. It owns the channel's sequence, bounds and limits: at a limit the
 * oldest messages go, within the `append` that exceeds it, so that the bounds are exact at any moment.
 */
export interface ChannelLog {
  /** Unique in the store for ever, 1 and up; not reused after a channel is deleted. */
  readonly id: number;
  readonly name: string;
  /** Sequence of the oldest message that can be read. When there is none: `lastSequence + 1`. */
  readonly firstSequence: number;
  /** Sequence of the newest message, durable or not. 0 when there never was one. Never goes back. */
  readonly lastSequence: number;
  /** From the oldest to the newest, without those that are lost. */
  readonly messageCount: number;
  /** Sum of the encoded MsgProto sizes of those messages. */
  readonly byteCount: number;
  /** Sequence of the newest message that is not lost; `lastSequence` if none is. */
  readonly newestMessage: number;
  /** Timestamp (ms since 1970) that the newest message bears, or of creation. */
  readonly lastActivityMs: number;

  /** From now on. What exceeds them goes at once. A recovered log has no limits until this is called. */
  setLimits(limits: LogLimits): void;

  /**
   * Drops what is older than `maxAgeMs`, some hundred messages at most: call it again for the rest.
   * @returns whether all of it is gone
   */
  expire(): boolean;

  /**
   * Gives the message the next sequence and the batch's timestamp, encodes it as MsgProto, adds it to the gathering
   * batch. It is durable when `StoreHost.onCommitted` reports the batch. A guid longer than 255 bytes is not kept.
   *
   * @param session the numeric id of the publishing client's connection, kept with the guid in the record
   * @returns the sequence
   */
  append(message: PubMsgView, session: number): number;

  /**
   * Looks a message up in memory: what was appended not long ago, and what was loaded.
   * @returns false if it is not in memory (`load` it) or not in the log at all (compare with the bounds)
   */
  find(sequence: number, ref: MessageRef): boolean;

  /**
   * Brings a message, and as many after it as fit a read-ahead block, from disk into memory. When it resolves, `find`
   * succeeds in the same turn unless the message has been dropped by a limit meanwhile.
   * @throws StoreError naming file and offset if what is on disk is damaged
   */
  load(sequence: number): Promise<void>;

  /** The first sequence from this one on that is not that of a lost message. A lost one is never found, and loading it does nothing. */
  skipLost(sequence: number): number;

  /**
   * The first sequence that was stored at or after `sinceNs`, by the store's own time; `lastSequence + 1` if there is none. Takes in
   * every message appended so far.
   */
  sequenceAtTime(sinceNs: bigint): Promise<number>;
}

/** A connected client, as it is kept over restarts. */
export interface ClientRecord {
  clientId: string;
  heartbeatInbox: string;
  /** Empty for clients of protocol level 0. */
  connId: Uint8Array;
  protocol: number;
  pingIntervalSeconds: number;
  pingMaxOut: number;
  /** u32, unique among all connections this store has seen. */
  session: number;
}

/** A subscription, or a durable that is offline, as it is kept over restarts. */
export interface SubscriptionRecord {
  /** u32, unique in the store, not reused. */
  id: number;
  channelId: number;
  /** Owner. For an offline durable it stays (it is part of the durable's key); '' for an offline durable queue group. */
  clientId: string;
  inbox: string;
  ackInbox: string;
  /** '' if none; `durable:group` for a durable queue group. */
  queueGroup: string;
  /** '' if none, and for queue groups. */
  durableName: string;
  isDurable: boolean;
  /** False for a durable that waits for its client to come back. */
  isOnline: boolean;
  maxInFlight: number;
  ackWaitSeconds: number;
  /** Highest sequence delivered, or the one before the start position. */
  lastSent: number;
}

export interface RecoveredSubscription {
  record: SubscriptionRecord;
  /** Delivered and not acknowledged, ascending. */
  pending: number[];
}

/** Subjects of a former server, which clients that came along with an import send to beside those of the cluster id. */
export interface FormerSubjects {
  /** Without the channel behind it. */
  publish: string;
  subscribe: string;
  unsubscribe: string;
  close: string;
  /** '' if that server had none. */
  subscriptionClose: string;
  /** Clients up to this session know them. */
  lastSession: number;
}

/** What a store held when it was opened. */
export interface RecoveredState {
  /** Undefined if no clients came along that know any. */
  formerSubjects?: FormerSubjects | undefined;
  clients: ClientRecord[];
  subscriptions: RecoveredSubscription[];
  logs: ChannelLog[];
  /** Higher than any session ever used. */
  nextSession: number;
  /** Higher than any subscription id ever used. */
  nextSubscriptionId: number;
  /** The guids of the messages stored last. They are the owner's from then on: it adds to them and writes them into checkpoints. */
  recentGuids: RecentGuids;
}

/** Takes the owner's present state when the store writes a checkpoint. */
export interface SnapshotSink {
  client(record: ClientRecord): void;
  subscription(record: SubscriptionRecord, pending: SequenceRanges): void;
  /** Guids of messages stored not long ago: oldest first. */
  recentGuids(run: GuidRun): void;
}

/**
 * What a store tells its owner (the broker), and the one thing that it asks for: a snapshot for a checkpoint. All are called from the
 * event loop, never from within an append. What goes into a batch has been handed down before the batch closes.
 */
export interface StoreHost {
  /** All batches up to this one are durable, and fenced: what they led to may now be said. In order. */
  onCommitted(batch: BatchId): void;
  /** Write the whole present state, synchronously. Called between batches, when all noted progress is in one. */
  snapshot(sink: SnapshotSink): void;
  /** The store cannot go on (failed sync, lost fence, a bug). Nothing that is not committed may be said. Called once. */
  onFailed(error: Error): void;
  /** Publishes are refused (a reason for people), or taken again (undefined). */
  onFullChanged(reason: string | undefined): void;
  /** What `admit` has put off may be asked for again. May be called from within any call to the store. */
  onRoom(): void;
}

/** Whether a message finds room: `later` if that will be known before long, and `StoreHost.onRoom` is called then. */
export type Admission = 'yes' | 'later' | { readonly full: string };

/**
 * Messages, clients, subscriptions and what they have acknowledged. Appends are synchronous and go into the gathering
 * batch; `commit` asks for it to be made durable. The memory store is the same machine without the disk.
 */
export interface Store {
  readonly kind: 'memory' | 'file';
  /** Made at the store's creation, the same for its whole life; 22 characters [0-9A-Za-z]. */
  readonly storeId: string;
  readonly recovered: RecoveredState;
  /** The batch that the next append joins. */
  readonly gathering: BatchId;
  /** The newest batch that has anything in it. */
  readonly appended: BatchId;
  /** All batches up to this one are durable. */
  readonly committed: BatchId;
  /** Why publishes must be refused at present, e.g. no space left on the device. Everything else goes on. */
  readonly fullReason: string | undefined;
  /** Messages that could not be read. */
  readonly unreadable: Unreadable;
  /** Segments that are missing, short or without their footer, each with what is wrong, for people. */
  readonly segmentProblems: readonly string[];
  /** What the process, or the machine, has too little of to open files, for people; undefined if nothing. What needs them waits. */
  readonly shortage: string | undefined;
  /** Bytes appended and not yet durable: the owner bounds it by refusing publishes. */
  readonly pendingBytes: number;

  /** Whether a message can be appended that came in so many bytes, with its channel's name and its guid. */
  admit(bytes: number): Admission;

  /** The store's own time of the present batch, ms since 1970: it never goes back, and does not jump with the clock. */
  readonly timeMs: number;
  /** What this machine's clock says, as far as the store believes it. */
  readonly believed: BelievedTime;

  /** How far the store's own time is ahead of the clock's, milliseconds; behind it if negative. */
  readonly timeLeadMs: number;
  /** What is wrong with the times in the store, for people. */
  readonly timeProblem: string | undefined;

  /** The store's own time now. */
  nowNs(): bigint;

  /** Starts calling the host. Before that, nothing is called. */
  attach(host: StoreHost): void;

  createLog(name: string, limits: LogLimits): ChannelLog;
  /** Its messages are gone once the batch is durable; files go later. Its subscriptions are the caller's to remove. */
  deleteLog(log: ChannelLog): void;
  /**
   * Drops what is older than `maxAgeMs`, of all logs, for one slice at most: call it again for the rest. Cheap when there is nothing to
   * drop.
   */
  expire(): void;
  /** Milliseconds until `expire` has something to do; Infinity if never as things stand. */
  expireInMs(): number;

  putClient(record: ClientRecord): void;
  removeClient(clientId: string): void;
  /** Adds it, or replaces the record of the same id: what is pending then stays. */
  putSubscription(record: SubscriptionRecord): void;
  removeSubscription(id: number): void;
  /**
   * This subscription has made progress since the last batch. Whatever it has by then goes into the batch that closes next, which is
   * within 15 ms. Cheap to call again and again.
   */
  noteProgress(progress: Progress): void;
  /** Adds to the gathering batch what this subscription has, and empties it: what it acknowledged last belongs before its end. */
  recordProgress(progress: Progress): void;
  /** The same for all whose progress is noted. */
  recordNotedProgress(): void;
  /** Adds to the gathering batch that these, of another subscription so far, are delivered to this one. */
  recordDelivered(id: number, delivered: SequenceRanges): void;

  /**
   * The gathering batch should become durable now: written at once if the disk is idle, else together with what still
   * comes when the disk is free. Cheap when nothing is gathered.
   */
  commit(): void;
  /**
   * No client waits for what is gathered, or for progress that is noted: a commit within 15 ms is enough. Cheap to
   * call again and again.
   */
  commitLater(): void;

  /**
   * Writes, if nothing else is being written, so that a disk which takes nothing any more is found out on a quiet day as well: it
   * shows as it does when a batch is written.
   */
  touch(): void;

  /**
   * Going on would be wrong: nothing is appended or written any more, and what is not durable by now is dropped. The host hears of
   * it by `onFailed`, unless it has before. There still is `close`.
   */
  fail(error: Error): void;

  /** Commits what is gathered, then releases files and locks. Nothing may be appended after the call. */
  close(): Promise<void>;
}
