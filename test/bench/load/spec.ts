/** What one run of the load generator does. Given to it as JSON. */
export interface LoadSpec {
  natsPort: number;
  clusterId: string;
  /** In every client ID, inbox and guid: must differ from run to run. */
  runId: string;
  /** A floor in memory, against which the generator warms itself and nats-server up, so that only the target is cold. */
  warmUpClusterId?: string | undefined;
  publishers: number;
  subscribers: number;
  /** The subscribers share the messages as one queue group, instead of each getting all. */
  isQueue: boolean;
  /** Subscribers get what is stored, from the first message. Without publishers that is all there is to measure. */
  isReplay: boolean;
  /** Publishers take them in turn, message by message. With subscribers: one. */
  channels: string[];
  payloadBytes: number;
  /** Messages that a publisher sends ahead of their PubAcks. A multiple of the number of channels. */
  window: number;
  /** Of each subscription. */
  maxInFlight: number;
  /** Publishers wait when a subscriber is so many messages behind. */
  maxLag: number;
  /** How many messages the first phase has: the first that this run publishes. 0: there is no such phase. */
  coldMessages: number;
  /** How many messages the second phase has. 0: there is no such phase. */
  warmMessages: number;
  /** A phase ends after this time, with however many messages. */
  maxSeconds: number;
  /** A publisher of small messages with a rate of its own, whose waits for acks are measured meanwhile. */
  probe?: { channel: string; perSecond: number } | undefined;
  /** The process that answers, for its CPU time. */
  targetPid: number;
  natsPid: number;
}

/** Messages are counted as published: with four subscribers each of them was delivered four times. */
export interface Phase {
  messages: number;
  seconds: number;
  messagesPerSecond: number;
  /** CPU time per message. */
  targetCpuMicros: number;
  natsCpuMicros: number;
  loadCpuMicros: number;
  /** Cores that were busy with something else. */
  otherCores: number;
}

/** How long messages waited for their PubAcks, in milliseconds. */
export interface Waits {
  count: number;
  medianMs: number;
  p99Ms: number;
  longestMs: number;
}

/** Printed as JSON. */
export interface LoadResult {
  /** NaN is null in JSON: a phase that was left out is not there at all. */
  cold?: Phase;
  warm?: Phase;
  /** Messages that a subscriber got again: 0 unless something is wrong. */
  redelivered: number;
  /** Messages published, acknowledged and delivered in the whole run, the tail included. */
  totalMessages: number;
  probe?: Waits;
  /** What the generator wrote on its sockets since its first message. */
  sentBytes: number;
  /** What nats-server had read, and the target had written, just before the first message. */
  natsReadBytes: number;
  targetWrittenBytes: number;
}

/** What the program does that kills a broker under load. Given to it as JSON. */
export interface OutageSpec {
  natsPort: number;
  clusterId: string;
  runId: string;
  channel: string;
  payloadBytes: number;
  perSecond: number;
  steadySeconds: number;
  /** The process that is killed. */
  targetPid: number;
}

/** Printed as JSON. */
export interface OutageResult {
  /** From the kill until messages waited for their acks no longer than before, for good. */
  outageMs: number;
  /** The longest time without any ack. */
  silentMs: number;
  /** The 99th percentile of the waits before the kill. */
  beforeMs: number;
  /** Messages that had to be sent again. */
  sentAgain: number;
  /** PubAcks with an error. */
  refused: number;
}
