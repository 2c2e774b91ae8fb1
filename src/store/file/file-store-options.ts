import type { BelievedTime } from '../../clock/believed-time.js';
import type { Clock } from '../../clock/clock.js';
import type { Extension } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import type { FsCalls } from '../../files/fs-calls.js';
import type { Served } from '../../lease/lease-state.js';
import type { Measures } from '../../measures/measures.js';
import type { RoomSize } from '../room/reserve.js';
import type { RandomBytes } from '../types/store-id.js';
import type { ContinuedTime } from '../types/store-time.js';

export interface FileStoreOptions {
  fs: StoreFs;
  clock: Clock;
  random: RandomBytes;
  /** Made if it is not there. */
  dir: string;
  clusterId: string;
  /** The epoch of this term: higher than any before. */
  epoch: number;
  /** What was durable for certain when this term took the lease, as the lease's name says. Default: nothing is known. */
  served?: Served;
  /**
   * Ends when this term has been confirmed after the call; fails when it is lost. Without it, one broker alone is meant. It is given the
   * number of the newest batch that is durable, for the lease's name.
   */
  fence?: (batch?: number) => Promise<void>;
  /** false: nothing is synced; a crash of the machine may lose or damage what was acknowledged. Default true. */
  sync?: boolean;
  /** Counts what opening the store asks of the file system, and can put an end to it. What the open store asks later is not counted. */
  calls?: FsCalls;
  /** The file system has been tried since this process began (see self-test.ts): a takeover need not wait for it. */
  isTested?: boolean;
  /** What this machine's clock says, as far as it is believed. Default: one of the store's own. */
  believed?: BelievedTime;
  /** The store's own time now, as announced by the broker that had the store until a moment ago. Default: not announced. */
  continued?: () => ContinuedTime | undefined;
  /**
   * Names the present run of this machine, from its start on: what it has counted since then shows whether its clock has jumped while no
   * broker ran. Default: not known.
   */
  bootId?: string | undefined;
  /** Called at the end of `close`: gives back what opening the store took. */
  onClosed?: () => Promise<void>;
  /** Called when there was no store, and this opening has made one. */
  onMade?: ((storeId: string) => void) | undefined;
  /** Tells of what was cut or passed over. */
  warn: (message: string) => void;
  /** Where writes, fences, checkpoints and what limits drop are noted. Default: nowhere. */
  measures?: Measures;
  /** Size of journal files, bytes. Default 8 MiB. */
  journalBytes?: number;
  /**
   * Bytes in full journal files that a checkpoint is worth: what recovery may have to replay is two files more. Default: four files, but for
   * small messages, of which a file is enough.
   */
  checkpointBytes?: number;
  /** Size of the pieces of memory that batches gather in, and so of a batch. Default 4 MiB. */
  blockBytes?: number;
  /** Recent messages in memory, bytes. What is not in segments yet comes on top. Default 8 MiB. */
  cacheBytes?: number;
  /** Messages loaded from disk in memory, bytes. Default 16 MiB. */
  loadedBytes?: number;
  /** Segments open at once. Default 64. */
  maxOpenSegments?: number;
  /** Bytes of no use that files may have, beside half of what is alive, before they are rewritten. Default: `journalBytes`. */
  spareBytes?: number;
  /** What is set aside while there is room. Default: as `journalBytes` wants it. */
  sizes?: Readonly<Record<Extension, RoomSize>>;
}

/** The options, complete. */
export interface FileStoreSettings {
  fs: StoreFs;
  clock: Clock;
  random: RandomBytes;
  dir: string;
  epoch: number;
  fence: ((batch?: number) => Promise<void>) | undefined;
  /** Whether what is written is synced. */
  isSynced: boolean;
  believed: BelievedTime;
  warn: (message: string) => void;
  measures: Measures;
  journalBytes: number;
  checkpointBytes: number;
  blockBytes: number;
  cacheBytes: number;
  loadedBytes: number;
  maxOpenSegments: number;
  spareBytes: number;
  /** What is set aside. */
  sizes: Readonly<Record<Extension, RoomSize>>;
}
