/** What one run of the load generator does. Given to it as JSON. */
export interface LoadSpec {
  natsPort: number;
  clusterId: string;
  /** In every client ID, inbox and guid: must differ from run to run. */
  runId: string;
  publishers: number;
  subscribers: number;
  /** Publishers take them in turn, message by message. With subscribers: one. */
  channels: string[];
  payloadBytes: number;
  /** Messages that a publisher sends ahead of their PubAcks. A multiple of the number of channels. */
  window: number;
  /** Of each subscription. */
  maxInFlight: number;
  /** Publishers wait when a subscriber is so many messages behind. */
  maxLag: number;
  warmupMessages: number;
  /** Measured after the warm-up... */
  messages: number;
  /** ...or fewer, if they take longer than this. */
  maxSeconds: number;
  /** The process that answers, for its CPU time. */
  targetPid: number;
  natsPid: number;
}

/** Printed as JSON. Messages are counted as published: with four subscribers each of them was delivered four times. */
export interface LoadResult {
  messages: number;
  seconds: number;
  messagesPerSecond: number;
  /** CPU time per message. */
  targetCpuMicros: number;
  natsCpuMicros: number;
  loadCpuMicros: number;
  /** Messages that a subscriber got again: 0 unless something is wrong. */
  redelivered: number;
  /** Messages published, acknowledged and delivered in the whole run, warm-up and tail included. */
  totalMessages: number;
}
