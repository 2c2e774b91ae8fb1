import type { ProblemList } from '../go-state/problem-list.js';
import { StoredMessage } from '../go-wire/stored-message.js';
import { ChunkPool } from './chunk-pool.js';
import { type RecordCrc, RecordReader } from './record-reader.js';

const SEQUENCE_TAG = 0x08;
/** The sequence behind damage is not further away than this. */
const MAX_GAP = 10_000_000;
/** Bytes whose CRC is computed in all: damage that makes each byte look like a record's start ends the search. */
const MAX_CHECKED_BYTES = 256 * 1024 * 1024;

export interface FoundRecord {
  readonly offset: number;
  readonly sequence: number;
}

/**
 * Looks for the next record in a data file that has no index: a size that fits, a CRC that is right, a message with a higher sequence.
 *
 * @param from the first offset to try
 * @param lastSequence of the message before the damage; 0 if there is none
 */
export async function findRecord(
  path: string,
  crc: RecordCrc,
  problems: ProblemList,
  from: number,
  lastSequence: number,
): Promise<FoundRecord | undefined> {
  const pool = new ChunkPool();
  const reader = await RecordReader.open(path, { pool, crc, problems, isTyped: false });
  if (reader === undefined) return undefined;
  try {
    return await search(reader, pool, from, lastSequence);
  } finally {
    await reader.close();
  }
}

async function search(
  reader: RecordReader,
  pool: ChunkPool,
  from: number,
  lastSequence: number,
): Promise<FoundRecord | undefined> {
  const message = new StoredMessage();
  let checkedBytes = 0;
  for (let offset = from; offset < reader.size; ) {
    reader.seek(offset);
    if (!reader.couldBegin(SEQUENCE_TAG)) {
      offset++;
      continue;
    }
    const step = reader.next();
    if (step === 'more') {
      await reader.more();
      pool.release(reader.buffer);
      continue;
    }
    offset++;
    checkedBytes += reader.checkedBytes;
    if (checkedBytes > MAX_CHECKED_BYTES) return undefined;
    if (step !== 'record') continue;
    if (!message.decode(reader.buffer, reader.payloadStart, reader.payloadEnd)) continue;
    const { sequence } = message;
    if (sequence > lastSequence && (lastSequence === 0 || sequence <= lastSequence + MAX_GAP))
      return { offset: reader.offset, sequence };
  }
  return undefined;
}
