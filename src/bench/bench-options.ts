import type { ConnectOptions } from '../index.js';

/** What is to be measured. */
export interface BenchOptions {
  readonly subject: string;
  readonly publishers: number;
  readonly subscribers: number;
  /** Of all publishers together. */
  readonly messages: number;
  /** Of each message. */
  readonly messageBytes: number;
  /** Wait for each ack before the next message. */
  readonly sync: boolean;
  /** Without an ack at a time, per publisher. */
  readonly maxPubAcksInFlight: number;
  /** The subscribers share the messages; undefined: each gets all of them. */
  readonly queue: string | undefined;
  /** Without publishers: wait for new messages, instead of reading what is stored. */
  readonly ignoreOld: boolean;
  /** Without any message or ack after which it is given up, ms. */
  readonly timeoutMs: number;
  /** Client ids get a number behind. */
  readonly connect: ConnectOptions;
}
