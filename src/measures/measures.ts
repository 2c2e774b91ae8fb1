import { BYTE_BOUNDS, COUNT_BOUNDS, DURATION_BOUNDS, Histogram } from './histogram.js';
import type { RecoveryReport } from './recovery-report.js';

/** How many messages each limit of channels has removed: plain numbers, for the hot path. */
export class Drops {
  messages = 0;
  bytes = 0;
  age = 0;
}

/**
 * The measurements of one process, which go on from term to term. Durations are in seconds. Each part writes its own; metrics read
 * them.
 */
export class Measures {
  /** From the receipt of the first message of a batch to the acks of the batch; each of its messages counts once. */
  readonly publishAck = new Histogram(DURATION_BOUNDS);
  /** From the timestamp of a message to its first delivery. A part of the deliveries is measured; each of their messages counts once. */
  readonly delivery = new Histogram(DURATION_BOUNDS);
  readonly journalWrite = new Histogram(DURATION_BOUNDS);
  readonly journalBatchBytes = new Histogram(BYTE_BOUNDS);
  readonly journalBatchMessages = new Histogram(COUNT_BOUNDS);
  /** From the end of a sync to its confirmation by the lease. */
  readonly fence = new Histogram(DURATION_BOUNDS);
  /** A renewal of the lease, in either thread. */
  readonly leaseRenewal = new Histogram(DURATION_BOUNDS);
  readonly checkpoint = new Histogram(DURATION_BOUNDS);
  readonly drops = new Drops();
  /** How often a file could not be opened because the process, or the machine, had too few descriptors or too little memory. */
  shortages = 0;
  /** The last opening of the file store; undefined if it was not opened. */
  recovery: RecoveryReport | undefined;
}
