import type { ClientRecord, SubscriptionRecord } from '../../store/types/store.js';

/** A place that messages and positions are imported from: a Go server's files, its database, a running server, a file of JSON Lines. */
export interface ImportSource {
  /** The folder, file or URL, without secrets: for messages. */
  readonly name: string;
  /** Reads everything but the messages. */
  open(): Promise<SourceState>;
  /**
   * Reads the messages of one channel, in ascending order of their sequences, as far as the old server would still have them.
   * @throws SourceError if something cannot be read, unless the source is lenient: then it adds to `problems`, and goes on
   */
  read(channel: SourceChannel, sink: MessageSink): Promise<void>;
  /** What could not be read, or does not come along, in the order that it was met. */
  readonly problems: readonly SourceProblem[];
  close(): Promise<void>;
}

/** Takes the messages of one channel. Adding does not wait: when `isFull`, `drain` before the next one. */
export interface MessageSink {
  /**
   * The next message, from `start` to `end` an encoded MsgProto with sequence, subject, reply, data and timestamp, and nothing else.
   * The memory must stay as it is until the next `drain`.
   *
   * @param timestampMs its timestamp in milliseconds since 1970
   */
  message(buffer: Buffer, start: number, end: number, sequence: number, timestampMs: number): void;
  readonly isFull: boolean;
  drain(): Promise<void>;
}

/** What a source holds beside messages. */
export interface SourceState {
  /** Undefined if the source does not say. */
  clusterId: string | undefined;
  /** Subjects that connected clients send to; undefined if they are those of the cluster id, or if there are no such clients. */
  subjects: SourceSubjects | undefined;
  clients: SourceClient[];
  /** In the order of their names. */
  channels: SourceChannel[];
}

/** The subjects that clients of the old server learned when they connected. Very old stores have an id of their own in them. */
export interface SourceSubjects {
  publish: string;
  subscribe: string;
  unsubscribe: string;
  close: string;
  /** '' in stores of the oldest versions. */
  subscriptionClose: string;
}

/** A connected client. */
export type SourceClient = Omit<ClientRecord, 'session'>;

export interface SourceChannel {
  readonly name: string;
  /** Sequence of the oldest message; `lastSequence + 1` if there is none. */
  readonly firstSequence: number;
  /** Sequence of the newest message that there ever was; 0 if none. */
  readonly lastSequence: number;
  /** Messages from the first to the last, without those in gaps. An estimate, for the progress shown, where the source cannot know. */
  readonly messages: number;
  /** Messages that the source still has, and that the old server's limits hide: they do not come along. */
  readonly hidden?: HiddenMessages;
  /** A source may add some until the channel has been read: what runs shows its positions last. */
  readonly subscriptions: SourceSubscription[];
}

/** How many messages each limit hides. */
export interface HiddenMessages {
  byMaxMessages: number;
  byMaxBytes: number;
  byMaxAge: number;
}

/** A subscription, or a durable that is offline. */
export interface SourceSubscription extends Omit<SubscriptionRecord, 'id' | 'channelId'> {
  /** Delivered and not acknowledged, ascending. */
  pending: number[];
}

/** Something that was not read, or does not come along. */
export interface SourceProblem {
  /** Whether messages or positions are lost by it. */
  readonly isLoss: boolean;
  /** The file or table. */
  readonly where: string;
  /** Bytes from the start of the file, where that is known. */
  readonly offset?: number;
  /** A sentence for people. */
  readonly text: string;
}
