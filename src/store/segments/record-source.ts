import type { StoreFile } from '../../files/fs.js';
import { readMsgProtoSequence } from '../../protocol/msgproto.js';
import { FILE_HEADER_BYTES } from '../format/file-header.js';
import {
  checkRecord,
  MESSAGE_HEADER_BYTES,
  messageChannelId,
  msgProtoStart,
  RECORD_HEADER_BYTES,
  RecordType,
  readU32,
  recordEnd,
} from '../format/record.js';
import { readWhatCanBeRead } from './lenient-read.js';

const READ_BYTES = 1024 * 1024;

/** Where a record lies in a source's buffer. */
export interface FoundRecord {
  start: number;
  end: number;
}

/** The records that an extent's rows point to. */
export interface RecordSource {
  readonly buffer: Buffer;
  /** Where in `buffer` the record lies that begins at this offset of the rows; undefined if there is no whole one. */
  at(offset: number): Promise<FoundRecord | undefined>;
  /** Where a record ends if its length is right; -1 if it cannot be. */
  supposedEnd(offset: number): Promise<number>;
  /** The offset of a message that no row shows, which is due at `from`, or behind it; -1 if it is not there. */
  find(from: number, channelId: number, sequence: number): Promise<number>;
}

/** The records of an extent that has its own, back to back, through a window. */
export class OwnRecords implements RecordSource {
  buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  readonly #file: StoreFile;
  readonly #offset: number;
  readonly #bytes: number;

  constructor(file: StoreFile, offset: number, bytes: number) {
    this.#file = file;
    this.#offset = offset;
    this.#bytes = bytes;
  }

  async at(at: number): Promise<FoundRecord | undefined> {
    if (at < 0 || at + 8 > this.#bytes) return undefined;
    const until = await this.supposedEnd(at);
    if (until < 0) return undefined;
    if (until - this.#at > this.buffer.length) await this.#read(at, Math.max(READ_BYTES, until - at));
    const start = at - this.#at;
    const end = checkRecord(this.buffer, start, this.buffer.length);
    return end < 0 ? undefined : { start, end };
  }

  async supposedEnd(at: number): Promise<number> {
    let start = at - this.#at;
    if (start < 0 || start + 8 > this.buffer.length) {
      await this.#read(at, READ_BYTES);
      start = 0;
    }
    if (start + 8 > this.buffer.length) return -1;
    const end = at + 8 + readU32(this.buffer, start);
    return end > this.#bytes ? -1 : end;
  }

  /** It is nowhere else. */
  async find(from: number): Promise<number> {
    return from;
  }

  async #read(at: number, wanted: number): Promise<void> {
    this.buffer = await readWhatCanBeRead(this.#file, this.#offset + at, Math.min(wanted, this.#bytes - at));
    this.#at = at;
  }
}

/** The records of a body, in memory as a whole. Those of other channels lie between those of an extent. */
export class BodyRecords implements RecordSource {
  readonly buffer: Buffer;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  async at(offset: number): Promise<FoundRecord | undefined> {
    if (offset < FILE_HEADER_BYTES) return undefined;
    const end = checkRecord(this.buffer, offset, this.buffer.length);
    return end < 0 ? undefined : { start: offset, end };
  }

  async supposedEnd(offset: number): Promise<number> {
    return this.#endOf(offset);
  }

  /** Record follows record, also over the headers of batches. The messages of a channel lie in their order. */
  async find(from: number, channelId: number, sequence: number): Promise<number> {
    const { buffer } = this;
    let offset = Math.max(from, FILE_HEADER_BYTES);
    for (let end = this.#endOf(offset); end > 0; end = this.#endOf(offset)) {
      const isOfChannel =
        buffer[offset + 8] === RecordType.message &&
        end - offset > MESSAGE_HEADER_BYTES &&
        messageChannelId(buffer, offset) === channelId;
      if (isOfChannel) {
        const found = readMsgProtoSequence(buffer, msgProtoStart(buffer, offset), end);
        if (found === sequence) return offset;
        if (found > sequence) return -1;
      }
      offset = end;
    }
    return -1;
  }

  #endOf(offset: number): number {
    if (offset < 0 || offset + RECORD_HEADER_BYTES > this.buffer.length) return -1;
    const end = recordEnd(this.buffer, offset);
    return end <= offset + 8 || end > this.buffer.length ? -1 : end;
  }
}
