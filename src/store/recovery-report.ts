/** What opening a store took, milliseconds, and what was read. */
export interface RecoveryReport {
  /** Directories were listed. */
  readonly listMs: number;
  /** The newest checkpoint was read. */
  readonly checkpointMs: number;
  /** Journals behind it were read. */
  readonly journalMs: number;
  /** Bytes of journals that were read. */
  readonly journalBytes: number;
  /** Messages that those hold. */
  readonly journalMessages: number;
}
