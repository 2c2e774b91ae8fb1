import { readWhole } from '../../src/files/file-io.js';
import type { StoreFile, StoreFs } from '../../src/files/fs.js';
import { type JournalLife, readBatchHeader, writeBatchHeader } from '../../src/store/format/batch-format.js';
import { decodeFileHeader, FILE_HEADER_BYTES, Magic, storeIdOf } from '../../src/store/format/file-header.js';
import { bound } from './bound.js';
import type { Mutation } from './machine.js';
import { PassedOnFile } from './passed-on-file.js';

const NEXT_JOURNAL = /\/journal\/[^/]*\.log\.tmp$/;

/** A journal file that is used again is taken up without its salt: what its former life has left reads as batches of the new one. */
export const noSalt: Mutation = {
  fs: (real) => {
    const open: StoreFs['open'] = async (path, mode) => {
      if (mode !== 'durable' || !NEXT_JOURNAL.test(path)) return await real.open(path, mode);
      const former = await readWhole(real, path);
      return new UnsaltedFile(await real.open(path, mode), path, former);
    };
    return bound(real, { open });
  },
};

/** Writes the batches of a former life anew behind the header of the next one, as if nothing told them apart. */
class UnsaltedFile extends PassedOnFile {
  readonly #path: string;
  readonly #former: Buffer;

  constructor(file: StoreFile, path: string, former: Buffer) {
    super(file);
    this.#path = path;
    this.#former = former;
  }

  override write(...[buffer, start, end, position, done]: Parameters<StoreFile['write']>): void {
    const former = position === 0 ? lifeIn(this.#former, this.#path) : undefined;
    const next = former && lifeIn(buffer.subarray(start, end), this.#path);
    if (former === undefined || next === undefined) {
      super.write(buffer, start, end, position, done);
      return;
    }
    const content = this.#former;
    const bytes = resalt(content, former, next);
    super.write(content, FILE_HEADER_BYTES, bytes, FILE_HEADER_BYTES, (error) => {
      if (error === null) super.write(buffer, start, end, position, done);
      else done(error, 0);
    });
  }
}

function lifeIn(content: Buffer, path: string): JournalLife | undefined {
  if (content.length < FILE_HEADER_BYTES) return undefined;
  return decodeFileHeader(Magic.journal, content, path, storeIdOf(content));
}

/** @returns where the last batch ends */
function resalt(content: Buffer, former: JournalLife, next: JournalLife): number {
  let pos = FILE_HEADER_BYTES;
  for (;;) {
    const header = readBatchHeader(content, pos, former);
    if (header === undefined || header.contentEnd > content.length) return pos;
    writeBatchHeader(content, pos, header.contentEnd, next, pos, header.index, header.timestampNs);
    pos = header.contentEnd;
  }
}
