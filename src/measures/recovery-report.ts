/** The time that opening a store took, in milliseconds, and the amount of data that was read. */
export interface RecoveryReport {
  /** Time to list directories. */
  readonly listMs: number;
  /** Time to read the newest checkpoint. */
  readonly checkpointMs: number;
  /** Time to read the journals behind the checkpoint. */
  readonly journalMs: number;
  /** The rest of the time, such as that for the first journal of the term. */
  readonly openMs: number;
  /** Bytes read from journals. */
  readonly journalBytes: number;
  /** Messages read from journals. */
  readonly journalMessages: number;
}
