import { BelievedTime } from '../../clock/believed-time.js';
import type { Clock } from '../../clock/clock.js';
import { guardedClock } from '../../clock/guarded-clock.js';
import type { Extension } from '../../files/file-names.js';
import { type StoreFs, withoutSync } from '../../files/fs.js';
import { type FsCalls, uncounted } from '../../files/fs-calls.js';
import { testFileSystem } from '../../files/self-test.js';
import { StoreError } from '../../files/store-error.js';
import { CHECKPOINT_DIRECTORY, JOURNAL_DIRECTORY, SEGMENT_DIRECTORY } from '../../files/store-folder.js';
import { carryOver } from '../../lease/carry-over.js';
import { Measures } from '../../measures/measures.js';
import { bugOf } from '../../util/bug.js';
import { SEGMENT_SHARE } from '../journal/file-journal-room.js';
import { MIN_JOURNAL_BYTES } from '../journal/journal-file.js';
import { writeTermBatch } from '../journal/term-record.js';
import { Reserve, type RoomSize } from '../room/reserve.js';
import type { RandomBytes } from '../types/store-id.js';
import type { ContinuedTime } from '../types/store-time.js';
import { FileStore } from './file-store.js';
import { createFirstJournalFile, removeNeedless } from './first-journal.js';
import { checkIdentity, openIdentity, STORE_VERSION } from './identity.js';
import { LogOwner } from './log-owner.js';
import { recover } from './recovery.js';

export interface FileStoreOptions {
  fs: StoreFs;
  clock: Clock;
  random: RandomBytes;
  /** Made if it is not there. */
  dir: string;
  clusterId: string;
  /** Of this term: higher than any before. */
  epoch: number;
  /** Ends when this term has been confirmed after the call; fails when it is lost. Without it, one broker alone is meant. */
  fence?: () => Promise<void>;
  /** false: nothing is synced; a crash of the machine may lose or damage what was acknowledged. Default true. */
  sync?: boolean;
  /** Counts what opening the store asks of the file system, and can put an end to it. What the open store asks later is not counted. */
  calls?: FsCalls;
  /** The file system has been tried since this process began (see self-test.ts): a takeover need not wait for it. */
  isTested?: boolean;
  /** What this machine's clock says, as far as it is believed. Default: one of the store's own. */
  believed?: BelievedTime;
  /** The store's own time now, as the broker that had the store until a moment ago told of it. Default: nobody has. */
  continued?: () => ContinuedTime | undefined;
  /** Tells of what was cut or passed over. */
  warn: (message: string) => void;
  /** Where writes, fences, checkpoints and what limits drop are noted. Default: nowhere. */
  measures?: Measures;
  /** Size of journal files, bytes: what recovery may have to replay is twice that. Default 8 MiB. */
  journalBytes?: number;
  /** Size of the pieces of memory that batches gather in, and so of a batch. Default 4 MiB. */
  blockBytes?: number;
  /** Recent messages in memory, bytes. What is not in segments yet comes on top. Default 8 MiB. */
  cacheBytes?: number;
  /** Messages loaded from disk in memory, bytes. Default 16 MiB. */
  loadedBytes?: number;
  /** Segments open at once. Default 64. */
  maxOpenSegments?: number;
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
  fence: (() => Promise<void>) | undefined;
  believed: BelievedTime;
  warn: (message: string) => void;
  measures: Measures;
  journalBytes: number;
  blockBytes: number;
  cacheBytes: number;
  loadedBytes: number;
  maxOpenSegments: number;
  /** What is set aside. */
  sizes: Readonly<Record<Extension, RoomSize>>;
}

const MIB = 1024 * 1024;

/**
 * Opens a store, or makes one. The caller holds the lease of `epoch` (see src/lease): two stores on one directory
 * under one epoch are not guarded against here.
 *
 * @throws StoreError: another cluster's, a newer version's, damaged (with file and offset), no room, or a file system
 *   that cannot do what is needed
 */
export async function openFileStore(options: FileStoreOptions): Promise<FileStore> {
  const { dir, epoch, warn, random, measures = new Measures() } = options;
  let store: FileStore | undefined;
  const clock = guardedClock(options.clock, (thrown) => {
    if (store === undefined) throw thrown;
    store.fail(bugOf(thrown));
  });
  const begunMs = clock.monotonicMs();
  const storeFs = options.sync === false ? withoutSync(options.fs) : options.fs;
  const fs = options.calls?.count(storeFs) ?? storeFs;
  const unique = Buffer.from(random(6)).toString('hex');
  // A directory that is not ours is refused before anything is tried there.
  const found = await checkIdentity(fs, dir, options.clusterId);
  await fs.makeDirectory(dir);
  if (!options.isTested) {
    await testFileSystem(fs, dir, epoch, unique).catch((error: unknown) => {
      // It was tried when the store was made.
      if (found === undefined || !(error instanceof StoreError) || error.code !== 'no-space') throw error;
      warn(`There is no room to try the file system of ${dir}. It was tried when the store was made`);
    });
  }
  const { storeId, formatVersion } = await openIdentity({ ...options, fs });
  if (formatVersion < STORE_VERSION) await carryOver({ fs, dir, epoch, unique, warn });
  for (const name of [JOURNAL_DIRECTORY, SEGMENT_DIRECTORY, CHECKPOINT_DIRECTORY])
    await fs.makeDirectory(`${dir}/${name}`);
  await fs.syncDirectory(dir);
  const journalBytes = Math.max(MIN_JOURNAL_BYTES, options.journalBytes ?? 8 * MIB);
  const settings: FileStoreSettings = {
    fs: storeFs,
    clock,
    random,
    dir,
    epoch,
    fence: options.fence,
    believed: options.believed ?? new BelievedTime({ clock, warn }),
    warn,
    measures,
    journalBytes,
    sizes: options.sizes ?? roomSizes(journalBytes),
    blockBytes: options.blockBytes ?? 4 * MIB,
    cacheBytes: options.cacheBytes ?? 8 * MIB,
    loadedBytes: options.loadedBytes ?? 16 * MIB,
    maxOpenSegments: options.maxOpenSegments ?? 64,
  };
  const owner = new LogOwner(settings);
  const reserve = new Reserve({ ...settings, fs });
  const recovery = await recover({
    fs,
    clock,
    dir,
    storeId,
    owner,
    warn,
    lease: { epoch, unique, reserve },
  });
  if (recovery.highestEpoch >= epoch) {
    throw new StoreError(
      'lost',
      `${dir} has files of epoch ${recovery.highestEpoch}, so a term of epoch ${epoch} is over. Start the broker again`,
    );
  }
  const forFirst = { fs, dir, storeId, random, epoch, reserve, recovery };
  const first = await createFirstJournalFile(forFirst);
  owner.time.open({
    newestNs: recovery.state.newestNs,
    saved: recovery.state.time,
    continued: options.continued?.(),
    fileNs: await first.file.writtenNs?.().catch(() => undefined),
  });
  for (const log of recovery.state.logs.values()) owner.time.hasStamps(log.recoverLastStamp());
  // From here on the older journals end where this term has read them to end.
  await writeTermBatch(first, recovery.accepted, owner.time.ns).catch((error: unknown) => {
    first.file.close().catch(() => {});
    throw error;
  });
  // A predecessor that died in the middle of a checkpoint has left what was set aside for that.
  if (first.isReserve) await removeNeedless(forFirst);
  const { listMs, checkpointMs, journalMs } = recovery.report;
  const readMs = listMs + checkpointMs + journalMs;
  const report = { ...recovery.report, openMs: Math.max(0, clock.monotonicMs() - begunMs - readMs) };
  measures.recovery = report;
  const journal = { ...first, file: uncounted(first.file) };
  store = new FileStore(settings, storeId, owner, { ...recovery, report }, journal);
  return store;
}

/** Several takeovers in a row find a journal each, and two checkpoints their room: that of a predecessor cannot be written over. */
function roomSizes(journalBytes: number): Readonly<Record<Extension, RoomSize>> {
  return {
    log: { count: 4, leastCount: 2, bytes: MIN_JOURNAL_BYTES, leastBytes: MIN_JOURNAL_BYTES },
    ckpt: { count: 2, leastCount: 1, bytes: MIB, leastBytes: MIB },
    // Of two journals, the most that is in no segment.
    seg: {
      count: 1,
      leastCount: 1,
      bytes: Math.ceil(journalBytes * 2 * SEGMENT_SHARE) + MIB,
      leastBytes: 2 * MIB,
    },
  };
}
