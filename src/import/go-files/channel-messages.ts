import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogLimits } from '../../store/types/store.js';
import type { HiddenMessages } from '../types/source.js';
import { eachMessage, MESSAGE_OVERHEAD_BYTES, type ReadSettings, type Slice, withSlice } from './slice.js';
import { scanSlice } from './slice-scan.js';

const DATA_FILE = /^msgs\.(\d+)\.dat$/;
const INDEX_FILE = /^msgs\.(\d+)\.idx$/;

/** The messages of one channel, as far as the Go server would have them after a start. */
export interface ChannelMessages {
  readonly slices: readonly Slice[];
  /** In `slices`, the one with the first message. */
  readonly firstSlice: number;
  /** In the data file of that slice, where the first message is; undefined if it is at the start. */
  readonly firstOffset: number | undefined;
  /** `lastSequence + 1` if all are hidden. */
  readonly firstSequence: number;
  /** 0 if there never was a message. */
  readonly lastSequence: number;
  readonly count: number;
  readonly hidden: HiddenMessages;
}

/** The numbers of the slices among a channel's files, ascending. */
export function sliceNumbers(files: readonly string[], pattern = DATA_FILE): number[] {
  return files
    .flatMap((name) => {
      const number = pattern.exec(name)?.[1];
      return number === undefined ? [] : [Number(number)];
    })
    .sort((a, b) => a - b);
}

/** Finds the slices of a channel, and what its limits leave of them. */
export async function findMessages(
  dir: string,
  limits: LogLimits,
  nowMs: number,
  settings: ReadSettings,
): Promise<ChannelMessages> {
  const slices: Slice[] = [];
  const files = await readdir(dir);
  const numbers = sliceNumbers(files);
  for (const number of sliceNumbers(files, INDEX_FILE))
    if (!numbers.includes(number))
      settings.problems.note({ where: join(dir, `msgs.${number}.idx`) }, 'the index has no data file');
  let before = Infinity;
  // From the newest one: where it begins, the one before it ends.
  for (const number of numbers.toReversed()) {
    const base = join(dir, `msgs.${number}`);
    const slice = await scanSlice(`${base}.dat`, `${base}.idx`, before, settings);
    if (slice === undefined) continue;
    before = slice.firstSequence;
    slices.push(slice);
  }
  slices.reverse();
  noteGaps(slices, settings);
  return new LimitedMessages(slices, limits, nowMs, settings).find();
}

/** The old server has lost them as well, or a file was removed by hand. */
function noteGaps(slices: readonly Slice[], { problems }: ReadSettings): void {
  for (let i = 1; i < slices.length; i++) {
    const from = slices[i - 1].lastSequence + 1;
    const to = slices[i].firstSequence - 1;
    if (to >= from)
      problems.note(
        { where: slices[i].path },
        `messages ${from} to ${to} are in no file: the gap comes along`,
      );
  }
}

/** Drops messages from the front, in the order and with the sums of the Go server. */
class LimitedMessages {
  readonly #slices: readonly Slice[];
  readonly #limits: LogLimits;
  readonly #nowMs: number;
  readonly #settings: ReadSettings;
  readonly #hidden: HiddenMessages = { byMaxMessages: 0, byMaxBytes: 0, byMaxAge: 0 };
  #count = 0;
  #bytes = 0;
  #slice = 0;
  #offset: number | undefined;
  #first = 0;

  constructor(slices: readonly Slice[], limits: LogLimits, nowMs: number, settings: ReadSettings) {
    this.#slices = slices;
    this.#limits = limits;
    this.#nowMs = nowMs;
    this.#settings = settings;
    for (const { count, bytes } of slices) {
      this.#count += count;
      this.#bytes += bytes;
    }
    this.#first = slices[0]?.firstSequence ?? 1;
  }

  async find(): Promise<ChannelMessages> {
    if (this.#isOver(this.#count, this.#bytes)) await this.#dropToLimits();
    if (this.#limits.maxAgeMs > 0) await this.#dropOld();
    const lastSequence = this.#slices.at(-1)?.lastSequence ?? 0;
    return {
      slices: this.#slices,
      firstSlice: this.#slice,
      firstOffset: this.#offset,
      firstSequence: this.#count === 0 ? lastSequence + 1 : this.#first,
      lastSequence,
      count: this.#count,
      hidden: this.#hidden,
    };
  }

  /** The newest message stays, whatever its size. */
  #isOver(count: number, bytes: number): boolean {
    const { maxMessages, maxBytes } = this.#limits;
    return count > 1 && ((maxMessages > 0 && count > maxMessages) || (maxBytes > 0 && bytes > maxBytes));
  }

  async #dropToLimits(): Promise<void> {
    const { maxMessages } = this.#limits;
    const countBefore = this.#count;
    for (;;) {
      const { count, bytes } = this.#slices[this.#slice];
      if (!this.#isOver(this.#count - count, this.#bytes - bytes)) break;
      this.#count -= count;
      this.#bytes -= bytes;
      this.#slice++;
    }
    this.#first = this.#slices[this.#slice].firstSequence;
    await this.#dropWhile(() => this.#isOver(this.#count, this.#bytes));
    const dropped = countBefore - this.#count;
    this.#hidden.byMaxMessages =
      maxMessages === 0 ? 0 : Math.min(dropped, Math.max(0, countBefore - maxMessages));
    this.#hidden.byMaxBytes = dropped - this.#hidden.byMaxMessages;
  }

  async #dropOld(): Promise<void> {
    const countBefore = this.#count;
    const newestOldMs = this.#nowMs - this.#limits.maxAgeMs;
    await this.#dropWhile((timestampMs) => timestampMs <= newestOldMs);
    this.#hidden.byMaxAge = countBefore - this.#count;
  }

  async #dropWhile(isDropped: (timestampMs: number) => boolean): Promise<void> {
    for (; this.#count > 0; this.#slice++) {
      const from = this.#first;
      const end = await withSlice(this.#slices[this.#slice], this.#settings, (slice) =>
        eachMessage(slice, this.#settings, ({ sequence, offset, payloadBytes, timestampMs }) => {
          if (sequence < from) return true;
          this.#first = sequence;
          this.#offset = offset;
          if (!isDropped(timestampMs)) return false;
          this.#count--;
          this.#bytes -= payloadBytes + MESSAGE_OVERHEAD_BYTES;
          return true;
        }),
      );
      this.#settings.pool.release();
      if (end === 'stopped') return;
      this.#offset = undefined;
      this.#first = this.#slices[this.#slice + 1]?.firstSequence ?? this.#first;
    }
  }
}
