import { isMissing, shortageOf } from '../../files/store-error.js';
import { assert, must } from '../../util/assert.js';
import { msgProtoStart, recordEnd } from '../format/record.js';
import type { LoadedRun, LoadedRunOwner } from '../segments/loaded-runs.js';
import { readRun } from '../segments/run-reader.js';
import { type Extent, extentIndex } from '../segments/segment.js';
import type { MessageRef } from '../types/store.js';
import { namesOf, type ReadLog } from '../types/unreadable.js';
import type { LogParts } from './log-parts.js';

/** The log that messages are loaded for. */
export interface LoadingLog extends ReadLog {
  readonly id: number;
  readonly extents: readonly Extent[];
  find(sequence: number, ref: MessageRef): boolean;
}

/** Messages behind one that cannot be read that are tried, to see whether they can. */
const MAX_PROBED = 64;
/** A merge may take a file away as often as this between the look and the read. */
const ATTEMPTS = 3;
const SCRATCH: MessageRef = { buffer: Buffer.alloc(0), start: 0, end: 0 };

/** The messages of one log that were read back from segments: runs of consecutive ones, as long as the memory for all logs holds them. */
export class LoadedMessages implements LoadedRunOwner {
  readonly #log: LoadingLog;
  readonly #parts: LogParts;
  readonly #runs: LoadedRun[] = [];
  /** Where `find` found last. */
  #run: LoadedRun | undefined;
  readonly #loads = new Map<number, Promise<void>>();

  constructor(log: LoadingLog, parts: LogParts) {
    this.#log = log;
    this.#parts = parts;
  }

  get id(): number {
    return this.#log.id;
  }

  find(sequence: number, ref: MessageRef): boolean {
    let run = this.#run;
    if (run === undefined || sequence < run.first || sequence > run.last) {
      run = undefined;
      for (const candidate of this.#runs) {
        if (sequence >= candidate.first && sequence <= candidate.last) run = candidate;
      }
      if (run === undefined) return false;
      this.#run = run;
      this.#parts.runs.touch(run);
    }
    const start = must(run.starts[sequence - run.first], 'a run has a start for each of its messages');
    ref.buffer = run.buffer;
    ref.start = msgProtoStart(run.buffer, start);
    ref.end = recordEnd(run.buffer, start);
    return true;
  }

  load(sequence: number): Promise<void> {
    let loading = this.#loads.get(sequence);
    if (loading === undefined) {
      loading = this.#load(sequence).finally(() => this.#loads.delete(sequence));
      this.#loads.set(sequence, loading);
    }
    return loading;
  }

  dropRun(run: LoadedRun): void {
    const index = this.#runs.indexOf(run);
    assert(index >= 0, 'a run is let go of once');
    this.#runs.splice(index, 1);
    if (this.#run === run) this.#run = undefined;
  }

  /** The log's channel is gone. */
  release(): void {
    for (const run of this.#runs.splice(0)) this.#parts.runs.remove(run);
    this.#run = undefined;
  }

  /** Tries whether these can be read, so that it is known which cannot. */
  async probe(first: number, last: number): Promise<void> {
    const log = this.#log;
    for (let sequence = first; sequence <= last && !log.isDeleted; ) {
      const extent = log.extents[extentIndex(log.extents, sequence)];
      if (extent === undefined) return;
      if (extent.isGap) {
        sequence = extent.last + 1;
        continue;
      }
      try {
        sequence = (await readRun(this.#parts.segments.blobs, this, extent, sequence)).last + 1;
      } catch (error) {
        await this.#noteUnreadable(extent, sequence, error as Error);
        return;
      }
    }
  }

  async #load(sequence: number): Promise<void> {
    const log = this.#log;
    const { segments, runs, unreadable, warn } = this.#parts;
    // A merge may take the file away between the look and the read, and the journal write over it: then look again.
    for (let attempt = 1; ; attempt++) {
      const extent = log.extents[extentIndex(log.extents, sequence)];
      if (extent === undefined || extent.isGap || log.find(sequence, SCRATCH)) return;
      try {
        const run = await readRun(segments.blobs, this, extent, sequence);
        if (log.isDeleted) return;
        this.#runs.push(run);
        runs.add(run);
        if (unreadable.wereRead(log, run.first, run.last))
          warn(`Message ${sequence} of channel ${log.name} could be read after all`);
        return;
      } catch (error) {
        if ((isMissing(error) || !this.#isOf(extent)) && attempt < ATTEMPTS) continue;
        await this.#noteUnreadable(extent, sequence, error as Error);
        throw error;
      }
    }
  }

  /** Whether no merge has rewritten it meanwhile. */
  #isOf(extent: Extent): boolean {
    const { extents } = this.#log;
    return extents[extentIndex(extents, extent.last)] === extent;
  }

  /** Finds how far it goes, so that it can be reported at once. */
  async #noteUnreadable(extent: Extent, first: number, error: Error): Promise<void> {
    const log = this.#log;
    const { unreadable, segments, warn } = this.#parts;
    // With nothing to open the file with, nothing is known of what is in it.
    if (log.isDeleted || shortageOf(error) !== undefined) return;
    const { segment, body, records } = extent;
    const { path = records.path } = error as Error & { path?: string };
    if (isMissing(error)) segments.onMissing?.(path === segment.path || body === undefined ? segment : body);
    if (unreadable.isKnown(log, first)) return;
    let last = first;
    const end = Math.min(extent.last, first + MAX_PROBED);
    while (last < end) {
      const isWhole = await readRun(segments.blobs, this, extent, last + 1).then(
        () => true,
        (behind: unknown) => shortageOf(behind) !== undefined,
      );
      if (isWhole) break;
      last++;
    }
    if (!this.#isOf(extent)) return;
    const place = unreadable.note(log, first, last, path, error);
    if (place === undefined) return;
    warn(
      `${namesOf(place)} cannot be read: ${place.why}. Subscriptions that are to get it wait there, and the read is tried again every few seconds. ` +
        'Other channels go on. `stanchion store verify` names everything that is damaged; docs/damage.md says what to do',
    );
  }
}
