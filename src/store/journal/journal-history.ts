import { readUsed } from '../../files/file-io.js';
import { journalName } from '../../files/file-names.js';
import { damaged } from '../../files/store-error.js';
import { JOURNAL_DIRECTORY } from '../../files/store-folder.js';
import type { Served } from '../../lease/lease-state.js';
import type { BatchHeader } from '../format/batch-format.js';
import { FILE_HEADER_BYTES } from '../format/file-header.js';
import type { JournalPosition, JournalReader, JournalVisitor } from '../types/journal.js';
import { newBody } from './journal-file.js';
import {
  type JournalPlan,
  type PlanBase,
  type PlannedJournal,
  type PlanOptions,
  planJournals,
  tooShort,
} from './journal-plan.js';
import { openJournalContent, scanJournal } from './journal-reader.js';
import type { AcceptedJournal } from './term-record.js';

export interface JournalHistoryOptions extends PlanOptions {
  /** What was durable for certain. */
  served: Served;
  /** Reports what was cut. */
  warn: (message: string) => void;
}

/** The journal as older terms left it in files, from a checkpoint on. It is read once. */
export class JournalHistory implements JournalReader {
  /** What was read, oldest first: how far each file counts. */
  readonly accepted: AcceptedJournal[] = [];
  /** The newest term that served; 0 if none did. */
  readonly newestEpoch: number;
  /** Bytes that were read. */
  bytes = 0;
  readonly #options: JournalHistoryOptions;
  readonly #plan: JournalPlan;
  readonly #from: JournalPosition | undefined;
  #epoch = 0;
  #nextIndex = 0;

  private constructor(options: JournalHistoryOptions, plan: JournalPlan, from: JournalPosition | undefined) {
    this.#options = options;
    this.#plan = plan;
    this.#from = from;
    this.newestEpoch = plan.epoch;
  }

  /**
   * @param base the checkpoint from which it is to be read; undefined: from the beginning
   * @returns undefined if the newest term does not know this checkpoint
   * @throws StoreError if something that the newest term names is missing
   */
  static async from(
    options: JournalHistoryOptions,
    base: PlanBase | undefined,
  ): Promise<JournalHistory | undefined> {
    const plan = await planJournals(options, base);
    return plan && new JournalHistory(options, plan, base?.position);
  }

  async read(visitor: JournalVisitor): Promise<void> {
    const { fs } = this.#options;
    for (const journal of this.#plan.journals)
      this.#readFile(journal, await readUsed(fs, journal.path), visitor);
    this.#checkServed();
  }

  #readFile(journal: PlannedJournal, used: Buffer, visitor: JournalVisitor): void {
    const { epoch, number, path, from, acceptedEnd } = journal;
    const content = openJournalContent(path, used, this.#options.storeId);
    if (content === undefined || used.length < from) {
      // Only a file that nothing counts on may be empty: it was prepared, or a crash came before its header was synced.
      if ((acceptedEnd ?? from) > FILE_HEADER_BYTES) throw tooShort(path);
      return;
    }
    const body = newBody({ epoch, number }, path, content.salt);
    visitor.onPiece(content.buffer, path, body);
    const onBatch = ({ contentStart, contentEnd, timestampNs }: BatchHeader): void =>
      visitor.onBatch(contentStart, contentEnd, timestampNs);
    const firstIndex = journal.firstIndex || (epoch === this.#epoch ? this.#nextIndex : 0);
    const scan = scanJournal(content, from, firstIndex, acceptedEnd, onBatch);
    body.end = scan.end;
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

  /** @throws StoreError if what the lease says is durable is not there: what a crash tears was never in the lease */
  #checkServed(): void {
    const { dir, served } = this.#options;
    const { servedEpoch, servedBatch } = served;
    if (servedEpoch === 0 || this.newestEpoch > servedEpoch) return;
    if (this.newestEpoch < servedEpoch) {
      const path = `${dir}/${JOURNAL_DIRECTORY}/${journalName({ epoch: servedEpoch, number: 1 })}`;
      throw damaged(
        path,
        0,
        `the term of epoch ${servedEpoch} has served, as the lease says, and its first journal is missing or empty; no checkpoint of that term stands for it`,
      );
    }
    const nextIndex = this.#epoch === servedEpoch ? this.#nextIndex : (this.#from?.nextIndex ?? 1);
    if (servedBatch < nextIndex) return;
    const last = this.accepted.at(-1) ?? { epoch: servedEpoch, number: 1, end: 0 };
    throw damaged(
      `${dir}/${JOURNAL_DIRECTORY}/${journalName(last)}`,
      last.end,
      `batch ${nextIndex} of the term is due here, or in the journal that comes next: the lease says that the term's batches up to ${servedBatch} were durable`,
    );
  }
}
