import type { ProblemList } from '../go-state/problem-list.js';
import { SourceError } from '../types/source-error.js';
import type { ChunkPool } from './chunk-pool.js';
import { MessageIndex } from './message-index.js';
import { MessageWalk } from './message-walk.js';
import { FILE_HEADER_BYTES, type RecordCrc, RecordReader } from './record-reader.js';

/** What the Go server counts for a message beside its payload: the header of its record, and its row in the index. */
export const MESSAGE_OVERHEAD_BYTES = 40;

/** How files are read. */
export interface ReadSettings {
  readonly pool: ChunkPool;
  readonly crc: RecordCrc | undefined;
  readonly problems: ProblemList;
}

/** One pair of files of a channel, `msgs.N.dat` and `msgs.N.idx`. */
export interface Slice {
  readonly path: string;
  /** Undefined if there is no index that can be used. */
  readonly indexPath: string | undefined;
  /** Behind the last record that the index lists; 0 without one. */
  readonly indexEnd: number;
  /** Parts that hold no message: [start, end, start, end, ...], ascending. */
  readonly holes: readonly number[];
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly count: number;
  /** As the Go server counts them. */
  readonly bytes: number;
  /** Bytes of the data file when it was counted. */
  readonly fileBytes: number;
}

/** A slice whose files are open. */
export interface OpenSlice {
  readonly reader: RecordReader;
  readonly index: MessageIndex | undefined;
  readonly indexEnd: number;
  readonly holes: readonly number[];
}

/** Opens the files of a slice during `use`. */
export async function withSlice<T>(
  { path, indexPath, indexEnd, holes }: Slice,
  settings: ReadSettings,
  use: (open: OpenSlice) => Promise<T>,
): Promise<T> {
  const reader = await RecordReader.open(path, { ...settings, isTyped: false });
  if (reader === undefined) throw new SourceError('damaged', `${path} has gone while it was read`);
  const index = indexPath === undefined ? undefined : await MessageIndex.open(indexPath, settings.crc);
  try {
    if (indexPath !== undefined && index === undefined)
      throw new SourceError('damaged', `${indexPath} has gone while it was read`);
    return await use({ reader, index, indexEnd, holes });
  } finally {
    await reader.close();
    await index?.close();
  }
}

/** A message as `eachMessage` shows it. One object for all. */
export interface MessagePlace {
  sequence: number;
  offset: number;
  payloadBytes: number;
  timestampMs: number;
}

/**
 * Goes through the messages of a slice, by its index as far as there is one.
 *
 * @param visit returns false to stop
 * @returns 'bad' if the index turns out to be damaged
 */
export async function eachMessage(
  slice: OpenSlice,
  settings: ReadSettings,
  visit: (place: MessagePlace) => boolean,
): Promise<'end' | 'stopped' | 'bad'> {
  const { index, holes } = slice;
  if (index !== undefined) {
    let holeAt = 0;
    const end = await index.each(() => {
      while (holeAt < holes.length && holes[holeAt + 1] <= index.offset) holeAt += 2;
      if (holeAt < holes.length && index.offset >= holes[holeAt]) return true;
      return visit(index);
    });
    if (end !== 'end') return end;
  }
  return eachRecord(slice, settings, visit);
}

/** Goes through the messages of a slice that its index does not list: through all of them if there is none. */
export async function eachRecord(
  slice: OpenSlice,
  { pool, crc, problems }: ReadSettings,
  visit: (place: MessagePlace) => boolean,
): Promise<'end' | 'stopped'> {
  const { reader, indexEnd } = slice;
  const from = indexEnd === 0 ? FILE_HEADER_BYTES : indexEnd;
  const walk = new MessageWalk({ ...slice, crc, problems }, from);
  const place: MessagePlace = { sequence: 0, offset: 0, payloadBytes: 0, timestampMs: 0 };
  for (;;) {
    const step = walk.next();
    if (step === 'end') return 'end';
    if (step === 'wait') {
      await walk.resolve();
      pool.release(reader.buffer);
      continue;
    }
    place.sequence = walk.message.sequence;
    place.offset = reader.offset;
    place.payloadBytes = reader.payloadEnd - reader.payloadStart;
    place.timestampMs = walk.message.timestampMs;
    if (!visit(place)) return 'stopped';
  }
}
