import type { BelievedTime } from '../../clock/believed-time.js';
import type { Clock } from '../../clock/clock.js';
import { Drops, type Measures } from '../../measures/measures.js';
import { BlockQueue } from '../batch/block.js';
import { Gathering } from '../batch/gathering.js';
import { LoadedRuns } from '../segments/loaded-runs.js';
import type { SegmentTable } from '../segments/segment-table.js';
import { StoreTime } from '../types/store-time.js';
import { Unreadable } from '../types/unreadable.js';
import { AgeQueue } from './age-queue.js';
import { MovedHeads } from './moved-heads.js';

export interface LogSettings {
  clock: Clock;
  believed: BelievedTime;
  warn: (message: string) => void;
  measures?: Measures;
  blockBytes: number;
  cacheBytes: number;
  loadedBytes: number;
}

/** What the logs of a store share. It is there before the journal: recovery builds the logs first. */
export class LogParts {
  readonly blocks: BlockQueue;
  readonly time: StoreTime;
  readonly gathering: Gathering;
  readonly ages = new AgeQueue();
  readonly segments: SegmentTable;
  readonly runs: LoadedRuns;
  readonly unreadable = new Unreadable();
  readonly drops: Drops;
  readonly movedHeads = new MovedHeads();
  readonly warn: (message: string) => void;

  constructor(settings: LogSettings, segments: SegmentTable) {
    this.warn = settings.warn;
    this.drops = settings.measures?.drops ?? new Drops();
    this.blocks = new BlockQueue(settings.blockBytes, settings.cacheBytes);
    this.time = new StoreTime(settings.clock, settings.believed, settings.warn);
    this.gathering = new Gathering(this.blocks, this.time);
    this.segments = segments;
    this.runs = new LoadedRuns(settings.loadedBytes);
  }
}

/** A log as it is recorded in a checkpoint. */
export interface LogState {
  id: number;
  name: string;
  firstSequence: number;
  lastSequence: number;
  byteCount: number;
  lastActivityMs: number;
}
