import { removeIfThere } from '../../files/file-io.js';
import { type FileId, segmentName } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import { SEGMENT_DIRECTORY } from '../../files/store-folder.js';
import { assert, must } from '../../util/assert.js';
import { copyBytes } from '../../util/copy-bytes.js';
import { BlobFileWriter } from '../blobs/blob-file-writer.js';
import type { CheckpointExtent, NamedSegment } from '../format/checkpoint-format.js';
import { MESSAGE_HEADER_BYTES, RecordType, sealRecord, writeU32 } from '../format/record.js';
import { ROW_BYTES } from '../format/segment-format.js';
import { SegmentWriter } from '../segments/segment-writer.js';

export interface NewSegmentsOptions {
  fs: StoreFs;
  /** The store's. */
  dir: string;
  storeId: string;
  epoch: number;
  /** The time of the machine's clock, ms since 1970: the store's own time cannot be later. */
  nowMs: number;
  /** A segment has so many bytes, and what one drain adds. Default: as much as a merge makes of sixteen journal files. */
  segmentBytes?: number | undefined;
}

/** What a channel has in segments. */
export interface ChannelSegments {
  extents: CheckpointExtent[];
  /** The sequence of its first message; 0 if it has none. */
  first: number;
  /** The sequence of its last message; 0 if it has none. */
  last: number;
  messages: number;
  /** Bytes of its MsgProtos. */
  bytes: number;
  /** The latest time that one of its messages bears, ms since 1970; 0 if it has none. */
  latestMs: number;
}

const SEGMENT_BYTES = 128 * 1024 * 1024;
const RECORDS_BYTES = 1024 * 1024;
/** Messages of an extent: the rows of one are in memory until it ends, 1 MiB of them. */
const MAX_ROWS = 65_536;

/**
 * Writes segments of messages that come channel by channel, one segment behind the other, as merges write them: with their records. Messages are added without waiting; when
 * `isFull`, `drain` before the next one. Memory is bounded: 1 MiB of records, as much of rows, and what the writer of a segment has.
 */
export class NewSegments {
  /** Those that are whole and durable. */
  readonly named: NamedSegment[] = [];
  /** The latest of the store's own times in them, ms since 1970. */
  newestMs = 0;
  readonly #options: NewSegmentsOptions;
  readonly #segmentBytes: number;
  readonly #records = Buffer.allocUnsafeSlow(RECORDS_BYTES);
  #used = 0;
  #hasLarge = false;
  #blob: BlobFileWriter | undefined;
  #writer: SegmentWriter | undefined;
  /** Bytes of the present segment. */
  #written = 0;
  /** Extents of the present segment that their channels have. */
  #taken = 0;
  #channelId = 0;
  #channel = noMessages();
  /** The sequence that would go on the extent; 0 if none is begun. */
  #next = 0;
  /** Messages of the extent that is begun. */
  #rows = 0;
  /** The sequence of the last message in the extents of the channel. */
  #extentsEnd = 0;
  #rowMs = 0;

  constructor(options: NewSegmentsOptions) {
    this.#options = options;
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
  }

  get isFull(): boolean {
    return this.#used > RECORDS_BYTES / 2 || this.#hasLarge || (this.#writer?.isFull ?? false);
  }

  /** Messages of this channel follow, until `endChannel`. */
  async startChannel(id: number): Promise<void> {
    this.#channelId = id;
    this.#channel = noMessages();
    this.#next = this.#rowMs = 0;
    if (this.#writer === undefined) await this.#begin();
  }

  /**
   * The next message of the channel: `buffer[start, end)` is its MsgProto, which is copied. Sequences ascend; those in between are a gap.
   *
   * @param timestampMs the time that it bears
   */
  message(buffer: Buffer, start: number, end: number, sequence: number, timestampMs: number): void {
    const channel = this.#channel;
    assert(sequence > channel.last, 'the messages of a channel come in the order of their sequences');
    const writer = must(this.#writer, 'a channel begins before its messages');
    if (sequence !== this.#next || this.#rows === MAX_ROWS) {
      this.#endExtent();
      this.#rows = 0;
      writer.startExtent(this.#channelId, sequence);
      if (channel.first === 0) channel.first = sequence;
    }
    this.#next = sequence + 1;
    this.#rows++;
    const bytes = MESSAGE_HEADER_BYTES + end - start;
    let target = this.#records;
    let at = this.#used;
    if (at + bytes > RECORDS_BYTES) {
      target = Buffer.allocUnsafeSlow(bytes);
      at = 0;
      this.#hasLarge = true;
    } else this.#used += bytes;
    target[at + 8] = RecordType.message;
    writeU32(target, at + 9, this.#channelId);
    // No publisher of this store has sent it, and nothing is known of its guid.
    writeU32(target, at + 13, 0);
    target[at + 17] = 0;
    const recordEnd = copyBytes(target, at + MESSAGE_HEADER_BYTES, buffer, start, end);
    sealRecord(target, at, recordEnd);
    // The store's own time never goes back, and a clock that was ahead must not carry it into the future.
    const ms = Math.min(Math.floor(timestampMs), this.#options.nowMs);
    if (ms > this.#rowMs) this.#rowMs = ms;
    writer.message(target, at, recordEnd, end - start, this.#rowMs);
    this.#written += bytes + ROW_BYTES;
    channel.last = sequence;
    channel.messages++;
    channel.bytes += end - start;
    if (timestampMs > channel.latestMs) channel.latestMs = timestampMs;
  }

  async drain(): Promise<void> {
    await this.#drain();
    if (this.#written < this.#segmentBytes) return;
    await this.#end();
    await this.#begin();
  }

  /** All messages of the channel have come. */
  async endChannel(): Promise<ChannelSegments> {
    this.#endExtent();
    // The next channel's rows overwrite those of the extent.
    if (this.isFull) await this.drain();
    if (this.#rowMs > this.newestMs) this.newestMs = this.#rowMs;
    return this.#channel;
  }

  /** No channel follows. */
  async finish(): Promise<void> {
    await this.#end();
  }

  /** Removes what is not whole. */
  async abandon(): Promise<void> {
    const blob = this.#blob;
    this.#blob = this.#writer = undefined;
    await blob?.abandon();
  }

  async #begin(): Promise<void> {
    const { fs, dir, epoch, storeId } = this.#options;
    const id: FileId = { epoch, number: this.named.length + 1 };
    const directory = `${dir}/${SEGMENT_DIRECTORY}`;
    const path = `${directory}/${segmentName(id)}`;
    await removeIfThere(fs, path);
    this.#blob = await BlobFileWriter.create(fs, { id, directory, path, temporary: path });
    this.#writer = new SegmentWriter(this.#blob, storeId);
    this.#written = this.#taken = 0;
  }

  async #end(): Promise<void> {
    this.#endExtent();
    const writer = this.#writer;
    const blob = this.#blob;
    if (writer === undefined || blob === undefined) return;
    if (writer.extents.length === 0) return await this.abandon();
    await this.#drain();
    await writer.finish();
    await blob.finish();
    this.#blob = this.#writer = undefined;
    this.named.push({ ...blob.id, file: writer.segment.file });
  }

  async #drain(): Promise<void> {
    await this.#writer?.drain();
    this.#used = 0;
    this.#hasLarge = false;
  }

  /** The channel gets what was written of it since the last time, and gaps in between. */
  #endExtent(): void {
    if (this.#next === 0) return;
    this.#next = 0;
    const writer = must(this.#writer, 'an extent is begun in a segment');
    writer.endExtent();
    const { extents } = this.#channel;
    for (; this.#taken < writer.extents.length; this.#taken++) {
      const { extent } = must(writer.extents[this.#taken], 'it lies between the ends');
      const { first, count, offset, recordBytes } = extent;
      if (extents.length > 0 && first > this.#extentsEnd + 1)
        extents.push(gapOf(first - this.#extentsEnd - 1));
      extents.push({ segment: this.named.length, count, offset, recordBytes, body: undefined });
      this.#extentsEnd = extent.last;
    }
  }
}

/** Sequences that have no message. */
export function gapOf(count: number): CheckpointExtent {
  return { segment: 0, count, offset: 0, recordBytes: 0, body: undefined };
}

function noMessages(): ChannelSegments {
  return { extents: [], first: 0, last: 0, messages: 0, bytes: 0, latestMs: 0 };
}
