import { writeAll } from '../../files/file-io.js';
import { type FileId, journalName } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import { JOURNAL_DIRECTORY } from '../../files/store-folder.js';
import { BATCH_HEADER_BYTES, writeBatchHeader } from '../format/batch-format.js';
import { ByteReader, ByteWriter } from '../format/bytes.js';
import { RECORD_HEADER_BYTES, RecordType, sealRecord } from '../format/record.js';
import { advance, type JournalFile } from './journal-file.js';

/** How much of an older term's journal a new one accepted: what comes behind is never read. */
export interface AcceptedJournal extends FileId {
  end: number;
}

/** What a term began from: it names all that must be there, as long as no newer checkpoint stands for it. */
export interface TermRecord {
  /** The checkpoint; undefined if there was none, and the journals are all there ever were. `unknown` in a record of release 0.1.0. */
  base: FileId | 'unknown' | undefined;
  /** The journals that were read behind it, oldest first. */
  accepted: readonly AcceptedJournal[];
}

/** Limit of what one journal takes in a term record, and of everything else in its batch. */
const MAX_JOURNAL_BYTES = 24;
const MAX_OTHER_BYTES = 128;

/**
 * The first batch of a term, number 1: one record with the checkpoint and the journals that were read, and up to where. Until
 * it is durable the term has not served, and whatever it left behind does not count.
 */
export async function writeTermBatch(
  journal: JournalFile,
  { base, accepted }: { base: FileId | undefined; accepted: readonly AcceptedJournal[] },
  timestampNs: bigint,
): Promise<void> {
  const w = new ByteWriter(256);
  for (let i = 0; i < BATCH_HEADER_BYTES + RECORD_HEADER_BYTES - 1; i++) w.u8(0);
  w.u8(RecordType.term);
  // No epoch is 0.
  w.varint(base?.epoch ?? 0);
  w.varint(base?.number ?? 0);
  w.varint(accepted.length);
  for (const { epoch, number, end } of accepted) {
    w.varint(epoch);
    w.varint(number);
    w.varint(end);
  }
  sealRecord(w.buffer, BATCH_HEADER_BYTES, w.length);
  writeBatchHeader(w.buffer, 0, w.length, journal.life, journal.offset, 1, timestampNs);
  await writeAll(journal.file, w.buffer, 0, w.length, journal.offset);
  advance(journal, w.length);
}

/**
 * Makes durable what was read of older journals, before a term record says that it counts. A predecessor that was killed may have written a
 * batch that its machine had not synced: it was read from the machine's memory, and a power cut would take it away again.
 */
export async function syncAccepted(
  fs: StoreFs,
  dir: string,
  accepted: readonly AcceptedJournal[],
): Promise<void> {
  const syncs = accepted.map(async (id) => {
    const file = await fs.open(`${dir}/${JOURNAL_DIRECTORY}/${journalName(id)}`, 'read');
    await file.sync().finally(() => file.close());
  });
  if (accepted.length > 0) syncs.push(fs.syncDirectory(`${dir}/${JOURNAL_DIRECTORY}`));
  await Promise.all(syncs);
}

/** @returns undefined if the record at `start` is none */
export function readTermRecord(buffer: Buffer, start: number, end: number): TermRecord | undefined {
  const type = buffer[start + RECORD_HEADER_BYTES - 1];
  if (type !== RecordType.term && type !== RecordType.formerTerm) return undefined;
  const r = new ByteReader(buffer, start + RECORD_HEADER_BYTES, end);
  const base = type === RecordType.term ? { epoch: r.varint(), number: r.varint() } : 'unknown';
  const accepted: AcceptedJournal[] = [];
  for (let count = r.varint(); count > 0; count--) {
    accepted.push({ epoch: r.varint(), number: r.varint(), end: r.varint() });
  }
  return { base: base !== 'unknown' && base.epoch === 0 ? undefined : base, accepted };
}

/** Limit of the first batch of a term, with so many journals to be named. */
export function maxTermBatchBytes(journals: number): number {
  return MAX_OTHER_BYTES + journals * MAX_JOURNAL_BYTES;
}
