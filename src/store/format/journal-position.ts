/** A place between two batches. */
export interface JournalPosition {
  epoch: number;
  number: number;
  offset: number;
  /** Number in its term of the batch that comes next. */
  nextIndex: number;
}
