import { type FileHandle, open } from 'node:fs/promises';
import { FILE_HEADER_BYTES, RECORD_HEADER_BYTES, type RecordCrc } from './record-reader.js';

const ROW_BYTES = 32;
const CRC_OFFSET = 28;
const ROWS_AT_ONCE = 32 * 1024;
const HIGH_UNIT = 2 ** 32;
const NS_PER_MS = 1_000_000;
/** Above it, a u64 is not a sequence or an offset, and no double has it exactly. */
const MAX_HIGH = 2 ** 21;

/**
 * The index of a slice, `msgs.N.idx`: a row per message. The Go server counts messages by it and finds them by it; whatever else is in
 * the data file does not exist for it. It can lag behind the data file, be damaged, or not be there at all.
 */
export class MessageIndex {
  readonly path: string;
  readonly rowCount: number;
  /** The present row, during `each`. */
  sequence = 0;
  offset = 0;
  timestampMs = 0;
  payloadBytes = 0;
  /** Whether the file ends within a row. */
  readonly isTorn: boolean;
  readonly #file: FileHandle;
  readonly #crc: RecordCrc | undefined;

  private constructor(path: string, size: number, file: FileHandle, crc: RecordCrc | undefined) {
    this.path = path;
    this.rowCount = Math.max(0, Math.floor((size - FILE_HEADER_BYTES) / ROW_BYTES));
    this.isTorn = size !== FILE_HEADER_BYTES + this.rowCount * ROW_BYTES;
    this.#file = file;
    this.#crc = crc;
  }

  /** @returns undefined if it is not there, or cannot be opened: it is no more than an index */
  static async open(path: string, crc: RecordCrc | undefined): Promise<MessageIndex | undefined> {
    let file: FileHandle;
    try {
      file = await open(path, 'r');
    } catch {
      return undefined;
    }
    try {
      return new MessageIndex(path, (await file.stat()).size, file, crc);
    } catch {
      await file.close();
      return undefined;
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** Behind the record of the present row. */
  get end(): number {
    return this.offset + RECORD_HEADER_BYTES + this.payloadBytes;
  }

  /**
   * Goes through the rows, until `visit` returns false.
   *
   * @returns 'bad' at a row whose CRC is wrong; zeros end the index
   */
  async each(visit: () => boolean): Promise<'end' | 'stopped' | 'bad'> {
    const chunk = Buffer.allocUnsafe(Math.min(ROWS_AT_ONCE, this.rowCount) * ROW_BYTES);
    for (let row = 0; row < this.rowCount; ) {
      const bytes = Math.min(chunk.length, (this.rowCount - row) * ROW_BYTES);
      if (!(await this.#read(chunk, bytes, row))) return 'bad';
      for (let pos = 0; pos < bytes; pos += ROW_BYTES) {
        const kind = this.#decode(chunk, pos);
        if (kind === 'zeros') return 'end';
        if (kind === 'bad') return 'bad';
        if (!visit()) return 'stopped';
      }
      row += bytes / ROW_BYTES;
    }
    return 'end';
  }

  /** Makes the first row whose record lies behind this offset the present one. @returns false if there is none */
  async findBehind(offset: number): Promise<boolean> {
    const chunk = Buffer.alloc(ROW_BYTES);
    let low = 0;
    let high = this.rowCount;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const isThere = await this.#read(chunk, ROW_BYTES, middle);
      if (!isThere) return false;
      // Zeros lie behind all rows.
      if (this.#decode(chunk, 0) === 'zeros' || this.offset > offset) high = middle;
      else low = middle + 1;
    }
    if (low === this.rowCount || !(await this.#read(chunk, ROW_BYTES, low))) return false;
    return this.#decode(chunk, 0) === 'row';
  }

  async #read(chunk: Buffer, bytes: number, row: number): Promise<boolean> {
    for (let done = 0; done < bytes; ) {
      const at = FILE_HEADER_BYTES + row * ROW_BYTES + done;
      // What the disk cannot read is no better than what is not there: the data file is read instead.
      const { bytesRead } = await this.#file
        .read(chunk, done, bytes - done, at)
        .catch(() => ({ bytesRead: 0 }));
      if (bytesRead === 0) return false;
      done += bytesRead;
    }
    return true;
  }

  #decode(chunk: Buffer, pos: number): 'row' | 'zeros' | 'bad' {
    const sequenceHigh = chunk.readUInt32LE(pos + 4);
    const offsetHigh = chunk.readUInt32LE(pos + 12);
    const timeLow = chunk.readUInt32LE(pos + 16);
    const timeHigh = chunk.readInt32LE(pos + 20);
    const storedCrc = chunk.readUInt32LE(pos + CRC_OFFSET);
    this.sequence = sequenceHigh * HIGH_UNIT + chunk.readUInt32LE(pos);
    this.offset = offsetHigh * HIGH_UNIT + chunk.readUInt32LE(pos + 8);
    this.payloadBytes = chunk.readUInt32LE(pos + 24);
    if (storedCrc === 0 && this.sequence === 0 && this.offset === 0 && this.payloadBytes === 0)
      return 'zeros';
    if (this.#crc !== undefined && this.#crc(chunk, pos, pos + CRC_OFFSET) !== storedCrc) return 'bad';
    if (sequenceHigh >= MAX_HIGH || offsetHigh >= MAX_HIGH) return 'bad';
    // Nanoseconds of two words in whole milliseconds: exact, and without a BigInt.
    const rest = timeHigh * (HIGH_UNIT % NS_PER_MS) + timeLow;
    this.timestampMs = timeHigh * Math.floor(HIGH_UNIT / NS_PER_MS) + Math.floor(rest / NS_PER_MS);
    return 'row';
  }
}
