import { BelievedTime } from '../../clock/believed-time.js';
import { guardedClock } from '../../clock/guarded-clock.js';
import type { Extension } from '../../files/file-names.js';
import { withoutSync } from '../../files/fs.js';
import { uncounted } from '../../files/fs-calls.js';
import { FsShortage } from '../../files/fs-shortage.js';
import { testFileSystem } from '../../files/self-test.js';
import { StoreError } from '../../files/store-error.js';
import { CHECKPOINT_DIRECTORY, JOURNAL_DIRECTORY, SEGMENT_DIRECTORY } from '../../files/store-folder.js';
import { carryOver } from '../../lease/carry-over.js';
import { NONE_SERVED } from '../../lease/lease-state.js';
import { Measures } from '../../measures/measures.js';
import { bugOf } from '../../util/bug.js';
import { BlobFolder } from '../blobs/blob-folder.js';
import { FileJournal } from '../journal/file-journal.js';
import { MIN_JOURNAL_BYTES } from '../journal/journal-file.js';
import { syncAccepted, writeTermBatch } from '../journal/term-record.js';
import { LogParts } from '../log/log-parts.js';
import { Reserve, type RoomSize } from '../room/reserve.js';
import { segmentBytesFor } from '../room/segment-room.js';
import { SegmentCheck } from '../segments/segment-check.js';
import { SegmentTable } from '../segments/segment-table.js';
import { recordBootClock, timeByBootNs } from './boot-clock.js';
import { FileStore } from './file-store.js';
import type { FileStoreOptions, FileStoreSettings } from './file-store-options.js';
import { createFirstJournalFile, removeNeedless } from './first-journal.js';
import { makeKeyFile, readGroupKey } from './group-key.js';
import { checkIdentity, openIdentity, STORE_VERSION } from './identity.js';
import { recover } from './recovery.js';

const MIB = 1024 * 1024;
/** A batch that finds no room in a file leaves a part of it unused: four files count as three and a quarter. */
const CHECKPOINT_FILES = 3.25;

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
  const shortage = new FsShortage(clock, warn, () => measures.shortages++);
  const storeFs = shortage.watch(options.sync === false ? withoutSync(options.fs) : options.fs);
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
  const journalBytes = Math.max(MIN_JOURNAL_BYTES, options.journalBytes ?? 8 * MIB);
  const settings: FileStoreSettings = {
    fs: storeFs,
    clock,
    random,
    dir,
    epoch,
    fence: options.fence,
    isSynced: options.sync !== false,
    believed: options.believed ?? new BelievedTime({ clock, warn }),
    warn,
    measures,
    journalBytes,
    checkpointBytes: options.checkpointBytes ?? journalBytes * CHECKPOINT_FILES,
    spareBytes: options.spareBytes ?? journalBytes,
    sizes: options.sizes ?? roomSizes(journalBytes),
    blockBytes: options.blockBytes ?? 4 * MIB,
    cacheBytes: options.cacheBytes ?? 8 * MIB,
    loadedBytes: options.loadedBytes ?? 16 * MIB,
    maxOpenSegments: options.maxOpenSegments ?? 64,
  };
  // What opening the store asks of the file system is counted, and can be put an end to.
  const reserve = new Reserve({ ...settings, fs });
  const identity = await openIdentity({ ...options, fs, found });
  const { storeId, formatVersion } = identity;
  if (formatVersion < STORE_VERSION) {
    const makeKey = (): Promise<void> => makeKeyFile(fs, dir, identity, random, reserve);
    const versions = { from: formatVersion, to: STORE_VERSION };
    await carryOver({ fs, dir, epoch, unique, warn, makeKey, ...versions });
    await readGroupKey(fs, dir, identity);
  }
  const folders = [JOURNAL_DIRECTORY, SEGMENT_DIRECTORY, CHECKPOINT_DIRECTORY];
  await Promise.all(folders.map((name) => fs.makeDirectory(`${dir}/${name}`)));
  await fs.syncDirectory(dir);
  const room = new Reserve(settings);
  const blobs = { ...settings, reserve: room };
  const segments = new BlobFolder({ ...blobs, kind: 'seg', maxOpen: settings.maxOpenSegments });
  const parts = new LogParts(settings, new SegmentTable(segments));
  const recovery = await recover({
    fs,
    clock,
    dir,
    storeId,
    parts,
    warn,
    served: options.served ?? NONE_SERVED,
    term: { epoch, unique, reserve },
  });
  if (recovery.highestEpoch >= epoch) {
    throw new StoreError(
      'lost',
      `${dir} has files of epoch ${recovery.highestEpoch}, so a term of epoch ${epoch} is over. Start the broker again`,
    );
  }
  const check = new SegmentCheck({
    ...{ clock, warn, storeId, table: parts.segments, unreadable: parts.unreadable },
    ...{ files: [...recovery.state.segments, ...recovery.state.bodies], listed: recovery.listedNames },
    logs: recovery.state.logs,
  });
  // A predecessor that was killed behind its last rename has not synced it. This term will name that checkpoint as what it began from.
  const isBaseDurable =
    recovery.checkpoint === undefined
      ? Promise.resolve()
      : fs.syncDirectory(`${dir}/${CHECKPOINT_DIRECTORY}`);
  const areAcceptedDurable = syncAccepted(fs, dir, recovery.accepted);
  isBaseDurable.catch(() => {});
  areAcceptedDurable.catch(() => {});
  const forFirst = { fs, dir, storeId, random, epoch, reserve, recovery, check };
  const first = await createFirstJournalFile(forFirst);
  parts.time.open({
    newestNs: recovery.state.newestNs,
    saved: recovery.state.time,
    continued: options.continued?.(),
    bootNs: await timeByBootNs({ fs, clock, dir, bootId: options.bootId }),
    fileNs: await first.file.writtenNs?.().catch(() => undefined),
  });
  parts.segments.adopt(recovery.state.segments, recovery.state.bodies);
  for (const log of recovery.state.logs.values()) parts.time.hasStamps(log.recoverLastStamp());
  // From here on the older journals end where this term has read them to end.
  const record = { base: recovery.checkpoint, accepted: recovery.accepted };
  await Promise.all([isBaseDurable, areAcceptedDurable])
    .then(() => writeTermBatch(first, record, parts.time.ns))
    .catch((error: unknown) => {
      first.file.close().catch(() => {});
      throw error;
    });
  // A predecessor that died in the middle of a checkpoint has left what was set aside for that.
  if (first.isReserve) await removeNeedless(forFirst, epoch);
  await check.opened();
  const { listMs, checkpointMs, journalMs } = recovery.report;
  const readMs = listMs + checkpointMs + journalMs;
  const report = { ...recovery.report, openMs: Math.max(0, clock.monotonicMs() - begunMs - readMs) };
  measures.recovery = report;
  const journal = { ...first, file: uncounted(first.file) };
  store = new FileStore({
    ...settings,
    ...{ storeId, parts, report, check, shortage, reserve: room, formerSubjects: identity.formerSubjects },
    onClosed: async () => {
      await endBootClock();
      await options.onClosed?.();
    },
    state: recovery.state,
    recoveredBytes: recovery.journalBytes,
    beganFrom: recovery.position,
    checkpoints: new BlobFolder({ ...blobs, kind: 'ckpt', maxOpen: 1 }),
    openJournal: (listener, gathering) => {
      const directory = `${dir}/${JOURNAL_DIRECTORY}`;
      const forJournal = { ...blobs, directory, storeId, recoveredBytes: recovery.journalBytes };
      return new FileJournal(forJournal, listener, gathering, journal, 2);
    },
  });
  const { bootId } = options;
  const endBootClock = recordBootClock({ fs: storeFs, clock, dir, bootId }, epoch, () => parts.time.nowMs);
  return store;
}

/** Several takeovers in a row find a journal each, and two checkpoints their room: that of a predecessor cannot be written over. */
function roomSizes(journalBytes: number): Readonly<Record<Extension, RoomSize>> {
  return {
    log: { count: 4, leastCount: 2, bytes: MIN_JOURNAL_BYTES, leastBytes: MIN_JOURNAL_BYTES },
    ckpt: { count: 2, leastCount: 1, bytes: MIB, leastBytes: MIB },
    // It holds two journals: no more than that is ever in no segment.
    seg: {
      count: 1,
      leastCount: 1,
      bytes: segmentBytesFor(2 * journalBytes),
      leastBytes: 2 * MIB,
    },
  };
}
