import { readUsed } from '../../files/file-io.js';
import type { FileId } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import type { BatchHeader } from '../format/batch-format.js';
import { FILE_HEADER_BYTES } from '../format/file-header.js';
import type { JournalPosition, JournalReader, JournalVisitor } from '../types/journal.js';
import { type PlannedJournal, planJournals, tooShort } from './journal-plan.js';
import { openJournalContent, scanJournal } from './journal-reader.js';
import type { AcceptedJournal } from './term-record.js';

export interface JournalHistoryOptions {
  fs: StoreFs;
  /** The store's. */
  dir: string;
  storeId: string;
  /** All journal files there are, oldest first. */
  journals: readonly FileId[];
  /** Reports what was cut. */
  warn: (message: string) => void;
}

/** The journal as older terms left it in files. It is read once. */
export class JournalHistory implements JournalReader {
  /** What was read, oldest first: how far each file counts. */
  readonly accepted: AcceptedJournal[] = [];
  /** Bytes that were read. */
  bytes = 0;
  readonly #options: JournalHistoryOptions;
  #epoch = 0;
  #nextIndex = 0;

  constructor(options: JournalHistoryOptions) {
    this.#options = options;
  }

  async read(from: JournalPosition | undefined, visitor: JournalVisitor): Promise<void> {
    const { fs, dir, storeId, journals } = this.#options;
    const plan = await planJournals(fs, dir, storeId, journals, from);
    for (const journal of plan) this.#readFile(journal, await readUsed(fs, journal.path), visitor);
  }

  #readFile(journal: PlannedJournal, used: Buffer, visitor: JournalVisitor): void {
    const { epoch, number, path, from, acceptedEnd } = journal;
    const content = openJournalContent(path, used, this.#options.storeId);
    if (content === undefined || used.length < from) {
      // Only a file that nothing counts on may be empty: it was prepared, or a crash came before its header was synced.
      if ((acceptedEnd ?? from) > FILE_HEADER_BYTES) throw tooShort(path);
      return;
    }
    visitor.onPiece(content.buffer, path);
    const onBatch = ({ contentStart, contentEnd, timestampNs }: BatchHeader): void =>
      visitor.onBatch(contentStart, contentEnd, timestampNs);
    const firstIndex = journal.firstIndex || (epoch === this.#epoch ? this.#nextIndex : 0);
    const scan = scanJournal(content, from, firstIndex, acceptedEnd, onBatch);
    visitor.onPieceEnd(scan.end);
    this.#nextIndex = scan.nextIndex;
    this.#epoch = epoch;
    this.bytes += scan.end - Math.max(from, FILE_HEADER_BYTES);
    // One that was only prepared goes when its term ends, which may be after this.
    if (scan.end > FILE_HEADER_BYTES) this.accepted.push({ epoch, number, end: scan.end });
    if (scan.tornBytes === 0) return;
    this.#options.warn(
      `${path}: a batch of ${scan.tornBytes} bytes at byte ${scan.end} was torn by a crash and is not read`,
    );
  }
}
