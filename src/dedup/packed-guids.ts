import { must } from '../util/assert.js';
import { GUID_HEADER_BYTES } from './guid-entry.js';

/*
 * Guids as a checkpoint keeps them. Clients take guids from a NUID: the next one of a publisher has the same beginning and a number that
 * has grown by some hundred, so it takes two bytes instead of 31. Each run is read by itself. An entry, numbers are varints:
 *
 *   head           bit 0: another channel than the entry before (at first: 0); bit 1: another publisher (at first: none); bit 2: the guid is
 *                  spelled out. The bits above: its length if it is spelled out, else by how much its last four digits have grown
 *   channel        if bit 0 is set: the difference to the one before, zigzag
 *   publisher      if bit 1 is set: its place among those of the run. A new one has the next place, and its session follows
 *   guid           if bit 2 is set: u8, how many bytes it begins with as the publisher's guid before; then the other ones. If it is not set,
 *                  the guid is as long as the one before, and differs in the last four bytes only: digits of base 62, in the order of their bytes
 */
const OTHER_CHANNEL = 1;
const OTHER_PUBLISHER = 2;
const SPELLED = 4;
const FLAGS = OTHER_CHANNEL | OTHER_PUBLISHER | SPELLED;
/** What the flags leave of a head is multiplied by this. */
const HEAD_UNIT = 8;

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const DIGIT_BYTES = Buffer.from(DIGITS, 'latin1');
const BASE = DIGITS.length;
const NUMBER_DIGITS = 4;
const NUMBERS = BASE ** NUMBER_DIGITS;
/** The value of each byte as a digit; -1 if it is none. */
const VALUES = Int8Array.from({ length: 256 }, (_, byte) => DIGITS.indexOf(String.fromCharCode(byte)));
const MAX_GUID_BYTES = 255;
const MAX_ID = 0xffff_ffff;
/** What an entry takes at most, beside the bytes of its guid: all its numbers, each of the longest. */
const MAX_NUMBER_BYTES = 24;

/** Guids of one stretch of time, packed. */
export interface GuidRun {
  /** Timestamp of the first one, in milliseconds since 1970. */
  ms: number;
  count: number;
  packed: Buffer;
}

/** The buffer that a run is packed or unpacked in. A checkpoint has 64 runs or more: allocating it anew would be most of the work. */
let scratch = Buffer.allocUnsafeSlow(64 * 1024);

/** What the entries of a run have in common, for writer and reader alike. */
class RunState {
  channelId = 0;
  /** The place of the publisher of the entry before; -1 at first. */
  publisher = -1;
  /** Of each publisher: where its newest guid lies, and how long it is. */
  readonly starts: number[] = [];
  readonly lengths: number[] = [];
  readonly sessions: number[] = [];
  readonly #places = new Map<number, number>();

  /** The place of a session among the publishers of the run; that of a new one if it is not there. */
  placeOf(session: number): number {
    if (this.publisher >= 0 && this.sessions[this.publisher] === session) return this.publisher;
    return this.#places.get(session) ?? this.sessions.length;
  }

  begin(session: number): void {
    this.#places.set(session, this.sessions.length);
    this.sessions.push(session);
    this.starts.push(0);
    this.lengths.push(0);
  }

  note(start: number, length: number): void {
    this.starts[this.publisher] = start;
    this.lengths[this.publisher] = length;
  }

  get start(): number {
    return must(this.starts[this.publisher], 'a publisher has a place in its run');
  }

  get length(): number {
    return must(this.lengths[this.publisher], 'a publisher has a place in its run');
  }
}

/**
 * Packs entries, as a generation has them, one behind the other.
 *
 * @param ms timestamp of the first one
 * @throws RangeError if the last one is cut off
 */
export function packGuids(ms: number, entries: Buffer): GuidRun {
  const run = new RunState();
  const view = new DataView(entries.buffer, entries.byteOffset, entries.length);
  let used = 0;
  let count = 0;
  for (let at = 0; at < entries.length; ) {
    const start = at + GUID_HEADER_BYTES;
    const length = entries.readUInt8(at + 8);
    if (start + length > entries.length) throw notWhole();
    used = packEntry(run, entries, view, at, start, length, used);
    run.note(start, length);
    at = start + length;
    count++;
  }
  return { ms, count, packed: Buffer.from(scratch.subarray(0, used)) };
}

function packEntry(
  run: RunState,
  entries: Buffer,
  view: DataView,
  at: number,
  start: number,
  length: number,
  from: number,
): number {
  makeRoom(from, MAX_NUMBER_BYTES + length);
  const channelId = entries.readUInt32LE(at);
  const session = entries.readUInt32LE(at + 4);
  const place = run.placeOf(session);
  let flags = 0;
  if (channelId !== run.channelId) flags |= OTHER_CHANNEL;
  if (place !== run.publisher) flags |= OTHER_PUBLISHER;
  const isNew = place === run.sessions.length;
  if (isNew) run.begin(session);
  run.publisher = place;
  const { start: before, length: beforeLength } = run;
  const growth = isNew || length !== beforeLength ? 0 : growthOf(entries, view, before, start, length);
  const head = growth > 0 ? growth * HEAD_UNIT + flags : length * HEAD_UNIT + (flags | SPELLED);
  let used = writeVarint(from, head);
  if (channelId !== run.channelId) used = writeVarint(used, zigzag(channelId - run.channelId));
  if ((flags & OTHER_PUBLISHER) !== 0) used = writeVarint(used, place);
  if (isNew) used = writeVarint(used, session);
  run.channelId = channelId;
  if (growth > 0) return used;
  const shared = sharedBytes(entries, before, beforeLength, start, length);
  scratch[used++] = shared;
  return used + entries.copy(scratch, used, start + shared, start + length);
}

/**
 * Unpacks a run: its entries as a generation has them. They are valid until something else is packed or unpacked.
 *
 * @throws RangeError if it is not whole
 */
export function unpackGuids({ count, packed }: GuidRun): Buffer {
  const run = new RunState();
  const reader = new Reader(packed);
  let used = 0;
  let unpacked = 0;
  for (; reader.at < packed.length; unpacked++) {
    makeRoom(used, GUID_HEADER_BYTES + MAX_GUID_BYTES);
    const head = reader.varint();
    const value = Math.floor(head / HEAD_UNIT);
    // This is all that there is to most entries, and a process that has just begun does it 65,536 times.
    if ((head & FLAGS) === 0) used = readGrown(run, used, value);
    else {
      if ((head & OTHER_CHANNEL) !== 0) run.channelId += unzigzag(reader.varint());
      if ((head & OTHER_PUBLISHER) !== 0) run.publisher = readPublisher(run, reader);
      if (run.channelId < 0 || run.channelId > MAX_ID || run.publisher < 0) throw notWhole();
      const at = used;
      used = (head & SPELLED) !== 0 ? readSpelled(run, reader, at, value) : readGrown(run, at, value);
      scratch.writeUInt32LE(run.channelId, at);
    }
  }
  if (unpacked !== count) throw notWhole();
  return scratch.subarray(0, used);
}

function readPublisher(run: RunState, reader: Reader): number {
  const place = reader.varint();
  if (place > run.sessions.length) throw notWhole();
  if (place === run.sessions.length) {
    const session = reader.varint();
    if (session > MAX_ID) throw notWhole();
    run.begin(session);
  }
  return place;
}

function readSpelled(run: RunState, reader: Reader, at: number, length: number): number {
  const { start: before, length: beforeLength } = run;
  const start = at + GUID_HEADER_BYTES;
  const shared = reader.u8();
  if (length > MAX_GUID_BYTES || shared > length || shared > beforeLength) throw notWhole();
  scratch.writeUInt32LE(must(run.sessions[run.publisher], 'a publisher has a session'), at + 4);
  scratch[at + 8] = length;
  scratch.copyWithin(start, before, before + shared);
  reader.copyTo(scratch, start + shared, length - shared);
  run.note(start, length);
  return start + length;
}

/** The entry is the one before of the same publisher, but for its channel and the number at its end. */
function readGrown(run: RunState, at: number, growth: number): number {
  if (run.publisher < 0) throw notWhole();
  const { start: before, length } = run;
  const start = at + GUID_HEADER_BYTES;
  const end = start + length;
  const numberBefore = length < NUMBER_DIGITS ? -1 : numberAt(scratch, before + length - NUMBER_DIGITS);
  if (numberBefore < 0 || numberBefore + growth >= NUMBERS) throw notWhole();
  scratch.copyWithin(at, before - GUID_HEADER_BYTES, before + length);
  let digits = numberBefore + growth;
  let digitsBefore = numberBefore;
  for (let i = end - 1; digits !== digitsBefore; i--) {
    scratch[i] = DIGIT_BYTES[digits % BASE] ?? 0;
    digits = Math.floor(digits / BASE);
    digitsBefore = Math.floor(digitsBefore / BASE);
  }
  run.note(start, length);
  return end;
}

function sharedBytes(bytes: Buffer, one: number, oneLength: number, other: number, length: number): number {
  const most = Math.min(oneLength, length);
  let shared = 0;
  while (shared < most && bytes[one + shared] === bytes[other + shared]) shared++;
  return shared;
}

/** By how much the number at the end of a guid has grown, from one of the same length; 0 if the guid differs by more than that. */
function growthOf(bytes: Buffer, view: DataView, before: number, start: number, length: number): number {
  const prefix = length - NUMBER_DIGITS;
  if (prefix < 0) return 0;
  let i = 0;
  for (; i + 4 <= prefix; i += 4) if (view.getInt32(before + i) !== view.getInt32(start + i)) return 0;
  for (; i < prefix; i++) if (bytes[before + i] !== bytes[start + i]) return 0;
  const number = numberAt(bytes, start + prefix);
  const numberBefore = numberAt(bytes, before + prefix);
  return number < 0 || numberBefore < 0 ? 0 : Math.max(0, number - numberBefore);
}

/** The number that four digits are; -1 if one of them is no digit. */
function numberAt(bytes: Buffer, at: number): number {
  const first = digitAt(bytes, at);
  const second = digitAt(bytes, at + 1);
  const third = digitAt(bytes, at + 2);
  const fourth = digitAt(bytes, at + 3);
  return (first | second | third | fourth) < 0
    ? -1
    : ((first * BASE + second) * BASE + third) * BASE + fourth;
}

function digitAt(bytes: Buffer, at: number): number {
  return VALUES[bytes[at] ?? 0] ?? -1;
}

function makeRoom(used: number, bytes: number): void {
  if (used + bytes <= scratch.length) return;
  const larger = Buffer.allocUnsafeSlow(2 * (used + bytes));
  scratch.copy(larger, 0, 0, used);
  scratch = larger;
}

function writeVarint(at: number, value: number): number {
  let rest = value;
  let end = at;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) scratch[end++] = (rest & 0x7f) | 0x80;
  scratch[end++] = rest;
  return end;
}

function zigzag(difference: number): number {
  return difference >= 0 ? difference * 2 : -difference * 2 - 1;
}

function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

function notWhole(): RangeError {
  return new RangeError('the guids end in the middle of one, or are none');
}

class Reader {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  u8(): number {
    const byte = this.#bytes[this.at++];
    if (byte === undefined) throw notWhole();
    return byte;
  }

  varint(): number {
    const first = this.u8();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let unit = 128; ; unit *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * unit;
      if (value > Number.MAX_SAFE_INTEGER) throw notWhole();
      if (byte < 0x80) return value;
    }
  }

  copyTo(target: Buffer, at: number, bytes: number): void {
    if (this.at + bytes > this.#bytes.length) throw notWhole();
    this.#bytes.copy(target, at, this.at, this.at + bytes);
    this.at += bytes;
  }
}
