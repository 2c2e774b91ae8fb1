/** What reading a store took, milliseconds, and what was read. */
export interface RecoveryReport {
  /** Directories were listed. */
  readonly listMs: number;
  /** The newest checkpoint was read. */
  readonly checkpointMs: number;
  /** Journals behind it were read. */
  readonly journalMs: number;
  /** The rest: what opening takes beside the reading, as the first journal of the lease. */
  readonly openMs: number;
  /** Bytes of journals that were read. */
  readonly journalBytes: number;
  /** Messages that those hold. */
  readonly journalMessages: number;
}
