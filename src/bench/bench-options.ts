import type { ConnectOptions } from '../index.js';

/** The options of a benchmark. */
export interface BenchOptions {
  readonly subject: string;
  readonly publishers: number;
  readonly subscribers: number;
  /** Messages of all publishers together. */
  readonly messages: number;
  /** Size of a payload. */
  readonly messageBytes: number;
  /** Whether each publisher waits for an ack before its next message. */
  readonly sync: boolean;
  /** Limit of messages without an ack, per publisher. */
  readonly maxPubAcksInFlight: number;
  /** Queue group in which the subscribers share the messages; undefined if each receives all. */
  readonly queue: string | undefined;
  /** Whether subscribers without publishers wait for new messages, instead of reading stored ones. */
  readonly ignoreOld: boolean;
  /** The benchmark gives up after this time without any message or ack. */
  readonly timeoutMs: number;
  /** Options for each client; a number is appended to the client id. */
  readonly connect: ConnectOptions;
}
