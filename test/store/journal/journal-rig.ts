import type { TestContext } from 'node:test';
import type { StoreFs } from '../../../src/files/fs.js';
import { Measures } from '../../../src/measures/measures.js';
import { BATCH_HEADER_BYTES } from '../../../src/store/format/batch-format.js';
import { type DecodedHeader, decodeFileHeader, Magic } from '../../../src/store/format/file-header.js';
import { RECORD_HEADER_BYTES, RecordType, sealRecord } from '../../../src/store/format/record.js';
import { FileJournal, type FileJournalOptions } from '../../../src/store/journal/file-journal.js';
import { createJournalFile, MIN_JOURNAL_BYTES } from '../../../src/store/journal/journal-file.js';
import { Reserve } from '../../../src/store/room/reserve.js';
import type { Batch, JournalListener } from '../../../src/store/types/journal.js';
import { must } from '../../../src/util/assert.js';
import { until } from '../file-support.js';
import { SimFs } from '../sim-fs.js';
import { random, TestClock } from '../support.js';

export const STORE_ID = 'storestorestorestore22';
const DIR = '/store';
const DIRECTORY = `${DIR}/journal`;
const SIZE = { count: 0, leastCount: 0, bytes: 4096, leastBytes: 4096 };

/** A journal alone, without the store around it. */
export class JournalRig {
  readonly fs: SimFs;
  readonly journal: FileJournal;
  readonly reserve: Reserve;
  readonly directory = DIRECTORY;
  failure: Error | undefined;
  /** How often what a mark stands for did not come to lie before it. */
  voids = 0;
  #isFree = true;
  #batch = 0;

  private constructor(fs: SimFs, reserve: Reserve, open: (listener: JournalListener) => FileJournal) {
    this.fs = fs;
    this.reserve = reserve;
    this.journal = open({
      onFree: () => {
        this.#isFree = true;
      },
      onCommitted: () => {},
      onFailed: (error) => {
        this.failure = error;
      },
      onFullChanged: () => {},
      onRoom: () => {},
      onRolled: () => {},
      onCheckpointDue: () => {},
      onMarkVoid: () => {
        this.voids++;
      },
    });
  }

  /** @param segmentBytes room that is set aside for a segment: a file may grow while there is enough */
  static async open(
    t: TestContext,
    options: Partial<FileJournalOptions> = {},
    segmentBytes = 0,
  ): Promise<JournalRig> {
    const fs = new SimFs();
    await fs.makeDirectory(DIRECTORY);
    const clock = new TestClock();
    const epoch = 1;
    const seg = segmentBytes === 0 ? SIZE : { ...SIZE, count: 1, bytes: segmentBytes };
    const reserve = new Reserve({ fs, clock, dir: DIR, epoch, sizes: { log: SIZE, ckpt: SIZE, seg } });
    if (segmentBytes > 0) {
      reserve.refill();
      await until(() => reserve.segmentBytes === segmentBytes, 'room is set aside');
    }
    const all: FileJournalOptions = {
      ...{ fs: fs as StoreFs, clock, random, directory: DIRECTORY, storeId: STORE_ID, epoch, reserve },
      ...{ journalBytes: MIN_JOURNAL_BYTES, fence: undefined, isSynced: true, recoveredBytes: 0 },
      ...{ measures: new Measures() },
      ...options,
    };
    const first = await createJournalFile(all, { epoch, number: 1 }, MIN_JOURNAL_BYTES);
    const rig = new JournalRig(
      fs,
      reserve,
      (listener) => new FileJournal(all, listener, { bytes: 0 }, first, 1),
    );
    t.after(() => rig.journal.close());
    return rig;
  }

  /** Writes one batch with one record, whose body is `content`. @param onBegun called each time when its write is under way */
  async write(content: Buffer, onBegun: () => void = () => {}): Promise<Batch> {
    const start = 100;
    const record = start + BATCH_HEADER_BYTES;
    const end = record + RECORD_HEADER_BYTES + content.length;
    const buffer = Buffer.alloc(end);
    buffer[record + RECORD_HEADER_BYTES - 1] = RecordType.message;
    content.copy(buffer, record + RECORD_HEADER_BYTES);
    sealRecord(buffer, record, end);
    const batch: Batch = {
      ...{ id: ++this.#batch, buffer, start, end },
      ...{ messages: 1, records: 1, timestampNs: 1n, place: undefined },
    };
    this.journal.append(batch);
    await until(() => {
      if (this.#isFree && this.journal.isFree && !this.journal.isEmpty) {
        this.#isFree = !this.journal.writeNext();
        if (!this.#isFree) onBegun();
      }
      return this.journal.isEmpty || this.failure !== undefined;
    }, `batch ${batch.id} is written`);
    return batch;
  }

  /** The headers of the files that have their names, oldest first. */
  async headers(): Promise<DecodedHeader[]> {
    const names = (await this.names()).filter((name) => name.endsWith('.log'));
    return names.map((name) => {
      const path = `${DIRECTORY}/${name}`;
      return must(
        decodeFileHeader(Magic.journal, this.fs.content(path), path, STORE_ID),
        'a header is whole',
      );
    });
  }

  /** The names of the journal's files. */
  async names(): Promise<string[]> {
    return (await this.fs.list(DIRECTORY)).sort();
  }
}
