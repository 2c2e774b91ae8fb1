import type { FaultKind } from './drill-options.js';

/** The takeover after one fault. Times are in milliseconds. */
export interface Takeover {
  readonly fault: FaultKind;
  /** Time of the fault, since 1970. */
  readonly atMs: number;
  /** Longest time without an ack, from the fault until the next one. */
  outageMs: number;
  /** Time from the fault until clients were served as before it: see `AckRate`. null if they were not before the next fault. */
  asBeforeMs: number | null;
  /** Longest pause of the drill itself in that time: the outage may be shorter by it. */
  drillPauseMs: number;
  readonly from: string;
  readonly to: string;
  readonly epoch: number;
  /** Why the new active took over, in its own words. */
  readonly reason: string;
  /** Time from its decision until it served. */
  readonly tookMs: number;
  /** Time of the recovery of the store, a part of `tookMs`. */
  readonly recoveryMs: number;
  /** Time from the fault until it served; null if it has the clock of another machine. */
  readonly servedAfterMs: number | null;
  /** Epochs beyond the one that the drill caused. */
  unexpectedEpochs: number;
}
