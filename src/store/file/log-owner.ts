import { Drops } from '../../measures/measures.js';
import { BlockQueue } from '../batch/block.js';
import { Gathering } from '../batch/gathering.js';
import { AgeQueue } from '../log/age-queue.js';
import type { FileLog, FileLogOwner } from '../log/file-log.js';
import { LoadedRuns } from '../segments/loaded-runs.js';
import type { Segment } from '../segments/segment.js';
import { SegmentFiles } from '../segments/segment-files.js';
import { StoreTime } from '../types/store-time.js';
import { Unreadable } from '../types/unreadable.js';
import type { FileStoreSettings } from './open-file-store.js';

export type LogOwnerSettings = Pick<
  FileStoreSettings,
  'fs' | 'clock' | 'believed' | 'warn' | 'blockBytes' | 'cacheBytes' | 'loadedBytes' | 'maxOpenSegments'
> &
  Partial<Pick<FileStoreSettings, 'measures'>>;

/** What logs need before there is a journal: recovery builds them first. */
export class LogOwner implements FileLogOwner {
  readonly blocks: BlockQueue;
  readonly time: StoreTime;
  readonly gathering: Gathering;
  readonly ages = new AgeQueue();
  readonly files: SegmentFiles;
  readonly runs: LoadedRuns;
  readonly unreadable = new Unreadable();
  readonly drops: Drops;
  readonly movedHeads: FileLog[] = [];
  readonly deadSegments = new Set<Segment>();
  /** Called when a segment has died. */
  onDead: (() => void) | undefined;
  readonly #warn: (message: string) => void;

  constructor(settings: LogOwnerSettings) {
    this.#warn = settings.warn;
    this.drops = settings.measures?.drops ?? new Drops();
    this.blocks = new BlockQueue(settings.blockBytes, settings.cacheBytes);
    this.time = new StoreTime(settings.clock, settings.believed, settings.warn);
    this.gathering = new Gathering(this.blocks, this.time);
    this.files = new SegmentFiles(settings.fs, settings.maxOpenSegments);
    this.runs = new LoadedRuns(settings.loadedBytes);
  }

  onHeadMoved(log: FileLog): void {
    log.isHeadRecorded = false;
    this.movedHeads.push(log);
  }

  onSegmentDead(segment: Segment): void {
    this.deadSegments.add(segment);
    this.onDead?.();
  }

  warn(message: string): void {
    this.#warn(message);
  }
}
