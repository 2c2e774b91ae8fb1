import type { FaultKind } from './drill-options.js';

/** What came of one fault. Times are milliseconds. */
export interface Takeover {
  readonly fault: FaultKind;
  /** When the fault struck, since 1970. */
  readonly atMs: number;
  /** Longest time without an ack from the fault on, until the next. */
  outageMs: number;
  /** Longest time in that in which the drill itself was held up: the outage may be shorter by so much. */
  drillPauseMs: number;
  readonly from: string;
  readonly to: string;
  readonly epoch: number;
  /** As the new active tells it: why it took over, from its decision until it served, and of that the recovery of the store. */
  readonly reason: string;
  readonly tookMs: number;
  readonly recoveryMs: number;
  /** From the fault until it served. Null if its clock is another machine's. */
  readonly servedAfterMs: number | null;
  /** Epochs more than the one that was asked for. */
  unexpectedEpochs: number;
}
