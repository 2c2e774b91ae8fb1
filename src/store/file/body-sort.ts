import { damaged, StoreError } from '../../files/store-error.js';
import { readMsgProtoSequence } from '../../protocol/msgproto.js';
import { must } from '../../util/assert.js';
import { copyBytes } from '../../util/copy-bytes.js';
import { sumOf } from '../../util/sum-of.js';
import { readBatchTimeNs } from '../format/batch-format.js';
import { FILE_HEADER_BYTES } from '../format/file-header.js';
import {
  checkRecord,
  MESSAGE_HEADER_BYTES,
  messageChannelId,
  msgProtoStart,
  RecordType,
  recordEnd,
} from '../format/record.js';
import type { FileLog } from '../log/file-log.js';
import { type Body, type BodyReader, readBody } from '../segments/body.js';
import type { Extent } from '../segments/segment.js';
import type { SegmentWriter } from '../segments/segment-writer.js';
import type { MergeRun } from './merge-copy.js';

/** Records that are sorted in memory at once. With the buffers for reading and writing, a merge takes some 45 MiB. */
const PASS_BYTES = 32 * 1024 * 1024;
const READ_BYTES = 1024 * 1024;
/** What a record is known by: its length and type, the header of a batch, the channel and sequence of a message. */
const HEAD_BYTES = 512;

/** Consecutive messages of one log that are copied in one pass. */
interface Part {
  readonly log: FileLog;
  readonly extents: Extent[];
  bytes: number;
  messages: number;
}

/** Where the records of a part go. */
interface Target {
  readonly log: FileLog;
  readonly first: number;
  readonly last: number;
  /** The message that is due. */
  next: number;
  /** Where its records begin in the pass' memory, and where the next one goes. */
  readonly start: number;
  at: number;
  /** Where its first message has its time. */
  readonly times: number;
}

/**
 * Copies the messages of bodies into a segment, sorted by channel. A body is read from front to back, once in each pass; each pass takes as
 * many channels as fit in memory: their extents say how large their records are, so each has its place before the first is read.
 */
export class BodySort {
  readonly #blobs: BodyReader;
  #isStopped = false;

  constructor(blobs: BodyReader) {
    this.#blobs = blobs;
  }

  /** The copy that is under way fails before long. */
  stop(): void {
    this.#isStopped = true;
  }

  /** @param runs in the order of channels; what is alive of them is copied */
  async copy(writer: SegmentWriter, runs: readonly MergeRun[], passBytes = PASS_BYTES): Promise<void> {
    const passes = passesOf(runs, passBytes);
    const most = (of: (part: Part) => number): number =>
      Math.max(0, ...passes.map((parts) => sumOf(parts, of)));
    const out = Buffer.allocUnsafeSlow(most(({ bytes }) => bytes));
    const times = new Float64Array(most(({ messages }) => messages));
    const walk = new BodyWalk(this.#blobs, () => this.#isStopped);
    for (const parts of passes) {
      const pass = new Pass(parts, out, times);
      for (const body of bodiesOf(parts)) await walk.read(body, pass);
      await pass.checkAll();
      await pass.write(writer);
    }
  }
}

/** The parts of each pass. A part larger than that has a pass of its own: it is one extent then. */
function passesOf(runs: readonly MergeRun[], passBytes: number): Part[][] {
  const passes: Part[][] = [];
  let parts: Part[] = [];
  let bytes = 0;
  for (const { log, extents } of runs) {
    let part: Part | undefined;
    for (const extent of extents) {
      if (bytes > 0 && bytes + extent.recordBytes > passBytes) {
        passes.push(parts);
        parts = [];
        part = undefined;
        bytes = 0;
      }
      if (part === undefined) {
        part = { log, extents: [], bytes: 0, messages: 0 };
        parts.push(part);
      }
      part.extents.push(extent);
      part.bytes += extent.recordBytes;
      part.messages += extent.count;
      bytes += extent.recordBytes;
    }
  }
  if (parts.length > 0) passes.push(parts);
  return passes;
}

/** In the order in which they were written: so the messages of a channel come in theirs. */
function bodiesOf(parts: readonly Part[]): Body[] {
  const bodies = new Set<Body>();
  for (const { extents } of parts) for (const { body } of extents) if (body !== undefined) bodies.add(body);
  return [...bodies].sort((a, b) => a.id.epoch - b.id.epoch || a.id.number - b.id.number);
}

/** The messages of one pass, in memory: gathered from the bodies, then written channel by channel. */
class Pass {
  readonly #out: Buffer;
  readonly #times: Float64Array;
  readonly #targets: Target[] = [];
  /** Those of a channel that are not complete, in order. */
  readonly #due = new Map<number, Target[]>();
  readonly #extents: readonly Extent[];

  constructor(parts: readonly Part[], out: Buffer, times: Float64Array) {
    this.#out = out;
    this.#times = times;
    this.#extents = parts.flatMap(({ extents }) => extents);
    let at = 0;
    let time = 0;
    for (const { log, extents, bytes, messages } of parts) {
      const first = Math.max(must(extents[0], 'a part has an extent').first, log.firstSequence);
      const { last } = must(extents.at(-1), 'a part has an extent');
      if (first <= last && !log.isDeleted) {
        const target = { log, first, last, next: first, start: at, at, times: time };
        this.#targets.push(target);
        const due = this.#due.get(log.id);
        if (due === undefined) this.#due.set(log.id, [target]);
        else due.push(target);
      }
      at += bytes;
      time += messages;
    }
  }

  /** Whose message this is, if it is of this pass. */
  targetOf(channelId: number, sequence: number): Target | undefined {
    const due = this.#due.get(channelId);
    while (due?.[0] !== undefined && due[0].next > due[0].last) due.shift();
    const target = due?.[0];
    return target !== undefined && sequence >= target.next && sequence <= target.last ? target : undefined;
  }

  isOf(channelId: number): boolean {
    return this.#due.has(channelId);
  }

  add(target: Target, buffer: Buffer, start: number, end: number, timestampMs: number): void {
    this.#times[target.times + target.next - target.first] = timestampMs;
    target.at = copyBytes(this.#out, target.at, buffer, start, end);
    target.next++;
  }

  /** @throws StoreError if a message was not found */
  async checkAll(): Promise<void> {
    for (const { log, next, last } of this.#targets) {
      if (next > last) continue;
      await log.probe(next, next);
      const extent = this.#extents.find(({ first, last: end }) => next >= first && next <= end);
      throw damaged(extent?.records.path ?? '', FILE_HEADER_BYTES, `message ${next} is missing`);
    }
  }

  async write(writer: SegmentWriter): Promise<void> {
    const out = this.#out;
    for (const { log, first, last, start, times } of this.#targets) {
      writer.startExtent(log.id, first);
      let at = start;
      for (let i = 0; i <= last - first; i++) {
        const end = recordEnd(out, at);
        const timestampMs = must(this.#times[times + i], 'each message has a time');
        writer.message(out, at, end, end - msgProtoStart(out, at), timestampMs);
        at = end;
        if (writer.isFull) await writer.drain();
      }
      writer.endExtent();
    }
    // What was added refers to the memory that the next pass goes into.
    await writer.drain();
  }
}

/** Goes through a body: record follows record, also over the headers of batches. */
class BodyWalk {
  readonly #blobs: BodyReader;
  readonly #isStopped: () => boolean;
  #window: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  #windowAt = 0;
  #windowBytes = 0;

  constructor(blobs: BodyReader, isStopped: () => boolean) {
    this.#blobs = blobs;
    this.#isStopped = isStopped;
  }

  async read(body: Body, pass: Pass): Promise<void> {
    const { end, path, salt } = body;
    this.#windowBytes = 0;
    let timestampMs = 0;
    for (let offset = FILE_HEADER_BYTES; offset < end; ) {
      let at = offset - this.#windowAt;
      const headBytes = Math.min(HEAD_BYTES, end - offset);
      if (at < 0 || at + headBytes > this.#windowBytes) at = await this.#fill(body, offset, headBytes);
      const window = this.#window;
      const next = offset + recordEnd(window, at) - at;
      if (next <= offset + 8 || next > end) throw damaged(path, offset, 'the length of a record is wrong');
      if (window[at + 8] === RecordType.message) {
        const channelId = messageChannelId(window, at);
        const known = Math.min(at + next - offset, this.#windowBytes);
        if (pass.isOf(channelId) && known > at + MESSAGE_HEADER_BYTES) {
          const sequence = readMsgProtoSequence(window, msgProtoStart(window, at), known);
          const target = pass.targetOf(channelId, sequence);
          if (target !== undefined) {
            if (at + next - offset > this.#windowBytes) at = await this.#fill(body, offset, next - offset);
            const isWhole = checkRecord(this.#window, at, at + next - offset) > 0 && sequence === target.next;
            if (!isWhole) {
              // No client has asked for that message yet. Health reports it all the same.
              await target.log.probe(target.next, target.next);
              throw damaged(path, offset, `message ${target.next} of channel ${target.log.name} is due here`);
            }
            pass.add(target, this.#window, at, at + next - offset, timestampMs);
          }
        }
      } else if (window[at + 8] === RecordType.batch) {
        const timeNs = readBatchTimeNs(window, at, salt);
        if (timeNs === undefined) throw damaged(path, offset, 'the header of a batch is not whole');
        timestampMs = Number(timeNs / 1_000_000n);
      }
      offset = next;
    }
  }

  /** @returns where the byte at `offset` is in the window, with all of `least` behind it */
  async #fill(body: Body, offset: number, least: number): Promise<number> {
    if (this.#isStopped()) throw new StoreError('closed', 'The store is closed');
    if (least > this.#window.length) this.#window = Buffer.allocUnsafeSlow(least);
    const wanted = Math.min(this.#window.length, body.end - offset);
    this.#windowAt = offset;
    this.#windowBytes = await readBody(this.#blobs, body, this.#window.subarray(0, wanted), offset);
    if (this.#windowBytes < least) throw damaged(body.path, offset, 'the file ends here');
    return 0;
  }
}
