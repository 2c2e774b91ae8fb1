/** What the other writer on the disk does. Given to it as JSON. */
export interface DiskWriterSpec {
  dir: string;
  /** Appended and synced at a time. */
  bytes: number;
  perSecond: number;
}

/** Printed once it writes. */
export const WRITING = 'the other writer is at work';
