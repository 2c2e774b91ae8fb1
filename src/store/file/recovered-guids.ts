import type { GuidRun } from '../../dedup/packed-guids.js';
import type { RecentGuids } from '../../dedup/recent-guids.js';
import {
  MESSAGE_HEADER_BYTES,
  messageChannelId,
  msgProtoStart,
  RecordType,
  readU32,
  recordEnd,
} from '../format/record.js';

/** Where the records of one batch lie, and its timestamp (ms since 1970). */
export interface ReadBatch {
  buffer: Buffer;
  start: number;
  end: number;
  ms: number;
}

/**
 * The guids that recovery has come by, to be entered when they are needed: it takes some 10 ms for 100,000 of them, more
 * in a process that has just begun, and no client publishes before the store is open.
 */
export class RecoveredGuids {
  readonly #runs: GuidRun[] = [];
  readonly #batches: ReadBatch[] = [];
  /** Messages in the batches. */
  messages = 0;

  /** From a checkpoint: before all batches. */
  addRuns(runs: readonly GuidRun[]): void {
    this.#runs.push(...runs);
  }

  /** Its records are checked. The buffer must stay as it is until the guids are entered. */
  addBatch(batch: ReadBatch): void {
    this.#batches.push(batch);
  }

  enterIn(guids: RecentGuids): void {
    guids.reserve(this.#runs.reduce((sum, { count }) => sum + count, this.messages));
    for (const run of this.#runs.splice(0)) guids.restoreRun(run);
    for (const batch of this.#batches.splice(0)) enterBatch(guids, batch);
  }
}

function enterBatch(guids: RecentGuids, { buffer, start, end, ms }: ReadBatch): void {
  for (let pos = start; pos < end; pos = recordEnd(buffer, pos)) {
    if (buffer[pos + 8] !== RecordType.message) continue;
    const guidStart = pos + MESSAGE_HEADER_BYTES;
    const guidEnd = msgProtoStart(buffer, pos);
    if (guidStart === guidEnd) continue;
    guids.restore(readU32(buffer, pos + 13), messageChannelId(buffer, pos), buffer, guidStart, guidEnd, ms);
  }
}
