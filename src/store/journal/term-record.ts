import { writeAll } from '../../files/file-io.js';
import type { FileId } from '../../files/file-names.js';
import { BATCH_HEADER_BYTES, writeBatchHeader } from '../format/batch-format.js';
import { ByteReader, ByteWriter } from '../format/bytes.js';
import { RECORD_HEADER_BYTES, RecordType, sealRecord } from '../format/record.js';
import type { JournalFile } from './journal-file.js';

/** How much of an older term's journal a new one accepted: what comes behind is never read. */
export interface AcceptedJournal extends FileId {
  end: number;
}

/**
 * The first batch of a term, number 1: one record with the journals that were read, oldest first, and up to where. Until
 * it is durable the term has not served, and whatever it left behind does not count.
 */
export async function writeTermBatch(
  journal: JournalFile,
  accepted: readonly AcceptedJournal[],
  timestampNs: bigint,
): Promise<void> {
  const w = new ByteWriter(256);
  for (let i = 0; i < BATCH_HEADER_BYTES + RECORD_HEADER_BYTES - 1; i++) w.u8(0);
  w.u8(RecordType.term);
  w.varint(accepted.length);
  for (const { epoch, number, end } of accepted) {
    w.varint(epoch);
    w.varint(number);
    w.varint(end);
  }
  sealRecord(w.buffer, BATCH_HEADER_BYTES, w.length);
  writeBatchHeader(w.buffer, 0, journal.salt, 1, w.length - BATCH_HEADER_BYTES, timestampNs);
  await writeAll(journal.file, w.buffer, 0, w.length, journal.offset);
  journal.offset += w.length;
}

/** @returns undefined if the record at `start` is none */
export function readTermRecord(buffer: Buffer, start: number, end: number): AcceptedJournal[] | undefined {
  if (buffer[start + RECORD_HEADER_BYTES - 1] !== RecordType.term) return undefined;
  const r = new ByteReader(buffer, start + RECORD_HEADER_BYTES, end);
  const accepted: AcceptedJournal[] = [];
  for (let count = r.varint(); count > 0; count--) {
    accepted.push({ epoch: r.varint(), number: r.varint(), end: r.varint() });
  }
  return accepted;
}
