import { type FileHandle, open } from 'node:fs/promises';
import type { ProblemList } from '../go-state/problem-list.js';
import { SourceError } from '../types/source-error.js';
import type { ChunkPool } from './chunk-pool.js';

/** Each file begins with its version, a u32: it has been 1 since 2016. */
export const FILE_HEADER_BYTES = 4;
/** Size (and type), then the CRC of the payload. */
export const RECORD_HEADER_BYTES = 8;
const FILE_VERSION = 1;
/** More than any NATS server lets a message have: 64 MiB, and its other fields. */
export const MAX_RECORD_BYTES = 65 * 1024 * 1024;

export type RecordCrc = (buffer: Buffer, start: number, end: number) => number;

/**
 * What `next` has found: a record; that `more` must be awaited first; or why there is no record at `offset`. `end` is the end of the
 * file, `zeros` the padding behind the last record, `torn` a record that the end of the file cuts off, `bad` one whose size or CRC is
 * wrong.
 */
export type RecordStep = 'record' | 'more' | 'end' | 'zeros' | 'torn' | 'bad';

export interface RecordReaderOptions {
  /** Where the chunks come from. What has been read stays as it is until the pool takes a chunk back. */
  readonly pool: ChunkPool;
  readonly problems: ProblemList;
  /** Undefined if CRCs are not checked. */
  readonly crc: RecordCrc | undefined;
  /** Whether the highest byte of a record's size is its type. */
  readonly isTyped: boolean;
}

/** Reads the records of one file of the Go server in large chunks. It makes no object per record. */
export class RecordReader {
  readonly path: string;
  /** Bytes of the file when it was opened. */
  readonly size: number;
  /** Where the present record lies in `buffer`. */
  buffer: Buffer;
  payloadStart = 0;
  payloadEnd = 0;
  /** 0 if records have no type. */
  type = 0;
  /** Where the present record begins in the file, or what is no record. */
  offset = FILE_HEADER_BYTES;
  /** Bytes whose CRC `next` has computed the last time. */
  checkedBytes = 0;
  readonly #file: FileHandle;
  readonly #options: RecordReaderOptions;
  /** What of `buffer` has been read from the file, and is still ahead. */
  #pos = 0;
  #end = 0;
  /** Where `buffer[0]` lies in the file. */
  #base = FILE_HEADER_BYTES;
  #needed = RECORD_HEADER_BYTES;
  /** Where the record that `next` has looked at would end, in `buffer`. */
  #badEnd = 0;

  private constructor(path: string, size: number, file: FileHandle, options: RecordReaderOptions) {
    this.path = path;
    this.size = size;
    this.#file = file;
    this.#options = options;
    this.buffer = Buffer.alloc(0);
  }

  /**
   * @returns undefined if the file does not exist
   * @throws SourceError 'unsupported' for another version, 'damaged' if it has none, if the source is strict
   */
  static async open(path: string, options: RecordReaderOptions): Promise<RecordReader | undefined> {
    const file = await openIfThere(path);
    if (file === undefined) return undefined;
    try {
      const { size } = await file.stat();
      if (size < FILE_HEADER_BYTES) {
        options.problems.damaged({ where: path, offset: 0 }, 'the file is too short to have a version');
        await file.close();
        return undefined;
      }
      await checkVersion(file, path, options.problems);
      return new RecordReader(path, size, file, options);
    } catch (error) {
      await file.close().catch(() => {});
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** Where `next` will look. */
  get nextOffset(): number {
    return this.#base + this.#pos;
  }

  /** Goes to the record that begins there. */
  seek(offset: number): void {
    const isBuffered = offset >= this.#base && offset <= this.#base + this.#end;
    this.offset = offset;
    if (isBuffered) {
      this.#pos = offset - this.#base;
      return;
    }
    this.#base = offset;
    this.#pos = 0;
    this.#end = 0;
  }

  /** Reads the next record, or goes on to it. Anything but a record leaves the reader where it is. */
  next(): RecordStep {
    const { buffer } = this;
    const pos = this.#pos;
    const left = this.#end - pos;
    this.offset = this.#base + pos;
    this.checkedBytes = 0;
    if (left < RECORD_HEADER_BYTES) {
      const rest = this.size - this.offset;
      if (rest <= 0) return 'end';
      if (rest < RECORD_HEADER_BYTES) return 'torn';
      this.#needed = RECORD_HEADER_BYTES;
      return 'more';
    }
    const head =
      (buffer[pos] | (buffer[pos + 1] << 8) | (buffer[pos + 2] << 16) | (buffer[pos + 3] << 24)) >>> 0;
    const crc =
      (buffer[pos + 4] | (buffer[pos + 5] << 8) | (buffer[pos + 6] << 16) | (buffer[pos + 7] << 24)) >>> 0;
    if (head === 0 && crc === 0) return 'zeros';
    const size = this.#options.isTyped ? head & 0xffffff : head;
    const whole = RECORD_HEADER_BYTES + size;
    if (whole > left) {
      if (this.offset + whole > this.size) return 'torn';
      if (size > MAX_RECORD_BYTES) return 'bad';
      this.#needed = whole;
      return 'more';
    }
    const payloadStart = pos + RECORD_HEADER_BYTES;
    const payloadEnd = payloadStart + size;
    const check = this.#options.crc;
    this.checkedBytes = size;
    this.#badEnd = payloadEnd;
    if (check !== undefined && check(buffer, payloadStart, payloadEnd) !== crc) return 'bad';
    this.type = this.#options.isTyped ? head >>> 24 : 0;
    this.payloadStart = payloadStart;
    this.payloadEnd = payloadEnd;
    this.#pos = payloadEnd;
    return 'record';
  }

  /** Goes on where a bad record ends by its size. With types, such a record always fits in memory. */
  skipBad(): void {
    this.#pos = this.#badEnd;
  }

  /**
   * Whether a record may begin here whose payload begins with this byte. It looks only at what has been read, and says yes where that is
   * not enough.
   */
  couldBegin(payloadByte: number): boolean {
    const first = this.#pos + RECORD_HEADER_BYTES;
    if (first >= this.#end) return true;
    return this.buffer[first] === payloadByte && this.buffer[this.#pos + 3] <= MAX_RECORD_BYTES >>> 24;
  }

  /**
   * Reads what the next record needs, and more, into another chunk.
   *
   * @throws SourceError 'damaged' if the disk cannot read it, or the file has become shorter
   */
  async more(): Promise<void> {
    const left = this.#end - this.#pos;
    const chunk = this.#options.pool.take(this.#needed);
    if (left > 0) this.buffer.copy(chunk, 0, this.#pos, this.#end);
    this.#base += this.#pos;
    this.buffer = chunk;
    this.#pos = 0;
    this.#end = left;
    while (this.#end < this.#needed) {
      const at = this.#base + this.#end;
      const room = Math.min(chunk.length - this.#end, this.size - at);
      this.#end += await this.#read(chunk, this.#end, room, at);
    }
  }

  async #read(chunk: Buffer, start: number, bytes: number, at: number): Promise<number> {
    let bytesRead: number;
    try {
      ({ bytesRead } = await this.#file.read(chunk, start, bytes, at));
    } catch (error) {
      const text = `${this.path} cannot be read at byte ${at}: ${(error as Error).message}`;
      throw new SourceError('damaged', text, { cause: error });
    }
    if (bytesRead === 0)
      throw new SourceError('damaged', `${this.path} has become shorter while it was read`);
    return bytesRead;
  }

  /** Whether only zeros are left from here on. */
  async hasOnlyZeros(): Promise<boolean> {
    const chunk = Buffer.allocUnsafe(64 * 1024);
    for (let at = this.offset; at < this.size; ) {
      const { bytesRead } = await this.#file.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) return true;
      for (let i = 0; i < bytesRead; i++) if (chunk[i] !== 0) return false;
      at += bytesRead;
    }
    return true;
  }

  /** Bytes of the file now: more than `size` if another process writes to it. */
  async sizeNow(): Promise<number> {
    return (await this.#file.stat()).size;
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new SourceError('not-found', `${path} cannot be opened: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

async function checkVersion(file: FileHandle, path: string, problems: ProblemList): Promise<void> {
  const head = Buffer.alloc(FILE_HEADER_BYTES);
  await file.read(head, 0, FILE_HEADER_BYTES, 0);
  const version = head.readUInt32LE();
  if (version === FILE_VERSION) return;
  const text = `the file has version ${version}, and the files of all Go servers have version ${FILE_VERSION}`;
  if (!problems.isLenient) throw new SourceError('unsupported', `${path}: ${text}. Is it one of them?`);
  problems.note({ where: path, offset: 0 }, `${text}: it is read as one of them`);
}
