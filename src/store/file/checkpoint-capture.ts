import type { CheckpointIds, SnapshotWriter } from '../format/checkpoint-format.js';
import type { FileLog } from '../log/file-log.js';
import type { Extent } from '../segments/segment.js';
import type { JournalPosition } from '../types/journal.js';
import type { BatchId } from '../types/store.js';

/** A place in the journal that everything lies before, and the state there. */
export interface CheckpointPoint {
  position: JournalPosition;
  /** The last batch before it. */
  batch: BatchId;
  /** The block in memory that the next batch goes into. */
  blockId: number;
  ids: CheckpointIds;
  /** The broker's state. */
  snapshot: SnapshotWriter;
}

/** A log as it was at that place. */
export interface LogCapture {
  log: FileLog;
  firstSequence: number;
  lastSequence: number;
  byteCount: number;
  lastActivityMs: number;
  flushedThrough: number;
  extents: Extent[];
}

/** A checkpoint that is being made. */
export interface Capture extends CheckpointPoint {
  logs: LogCapture[];
  begunMs: number;
  /** Something that was to be before its position will not be. */
  isVoid: boolean;
}

export function captureLogs(logs: Iterable<FileLog>): LogCapture[] {
  const captures: LogCapture[] = [];
  for (const log of logs) {
    captures.push({
      log,
      firstSequence: log.firstSequence,
      lastSequence: log.lastSequence,
      byteCount: log.byteCount,
      lastActivityMs: log.lastActivityMs,
      flushedThrough: log.flushedThrough,
      extents: log.extents.slice(),
    });
  }
  return captures;
}
