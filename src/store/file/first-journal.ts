import { removeIfThere } from '../../files/file-io.js';
import {
  checkpointName,
  compareIds,
  type FileId,
  journalName,
  parseNames,
  segmentName,
} from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import { isNoSpace, StoreError } from '../../files/store-error.js';
import { CHECKPOINT_DIRECTORY, JOURNAL_DIRECTORY, SEGMENT_DIRECTORY } from '../../files/store-folder.js';
import { createJournalFile, type JournalFile, MIN_JOURNAL_BYTES, useRoom } from '../journal/journal-file.js';
import type { Reserve } from '../room/reserve.js';
import type { SegmentCheck } from '../segments/segment-check.js';
import type { RandomBytes } from '../types/store-id.js';
import type { Recovery } from './recovery.js';

/** Enough to say what was accepted, and to go on with what is no message until there is room. */
const LEAST_BYTES = 16 * 1024;
/** For what a file takes beside its bytes. */
const MARGIN_BYTES = 64 * 1024;

export interface FirstJournalOptions {
  fs: StoreFs;
  dir: string;
  storeId: string;
  random: RandomBytes;
  epoch: number;
  reserve: Reserve;
  recovery: Recovery;
  check: SegmentCheck;
}

/**
 * The first file of a term: small, so that a takeover does not wait for zeros to be written. Where there is no room for it, one that was
 * set aside; and in a store that has none, what is left when everything that is not needed any more is removed.
 *
 * @throws StoreError `no-space`
 */
export async function createFirstJournalFile(options: FirstJournalOptions): Promise<JournalFile> {
  const { dir, epoch, reserve } = options;
  const id = { epoch, number: 1 };
  const directory = `${dir}/${JOURNAL_DIRECTORY}`;
  const forFile = { ...options, directory };
  try {
    return await createJournalFile(forFile, id, MIN_JOURNAL_BYTES);
  } catch (error) {
    if (!isNoSpace(error)) throw error;
  }
  const room = await reserve.take('log');
  if (room !== undefined) return await useRoom(forFile, reserve, id, room);
  // This term has not said yet which checkpoint it begins from: a checkpoint that its predecessor was making may still come to count.
  await removeNeedless(options, options.recovery.newestEpoch);
  // So many have begun on the full disk, and ended before their first checkpoint.
  const { journalBytes } = options.recovery;
  await reserve.cut(MIN_JOURNAL_BYTES + MARGIN_BYTES, journalBytes + MARGIN_BYTES);
  try {
    const file = await createJournalFile(forFile, id, MIN_JOURNAL_BYTES, LEAST_BYTES);
    return { ...file, isReserve: true };
  } catch (error) {
    if (!isNoSpace(error)) throw error;
    throw new StoreError(
      'no-space',
      `No room for a journal of ${LEAST_BYTES} bytes in ${directory}: make room on its device, then start again`,
      error,
    );
  }
}

/**
 * What older terms have left and no recovery would read: journals before the checkpoint's position that no message stays in, and those with
 * nothing in them, older checkpoints, segments that the newest does not name, also if they were set aside before. The first checkpoint would remove them, and may
 * need their room. A predecessor
 * that still writes to one of them has lost its lease, and acknowledges nothing any more.
 *
 * Where a segment or journal that the newest checkpoint names is missing or short, they may have what that has lost: then they stay.
 *
 * @param segmentsBelow only segments of older epochs are removed
 */
export async function removeNeedless(options: FirstJournalOptions, segmentsBelow: number): Promise<void> {
  const { fs, dir, epoch, recovery, check } = options;
  const { accepted, checkpoint, state } = recovery;
  if (!(await check.haveLengths())) return;
  const needed = new Set([...accepted, ...[...state.bodies].map(({ id }) => id)].map(journalName));
  const named = new Set([...state.segments].map(({ path }) => path));
  const remove = async (
    folder: string,
    kind: 'log' | 'ckpt' | 'seg',
    nameOf: (id: FileId) => string,
    isNeedless: (id: FileId, path: string) => boolean,
  ): Promise<void> => {
    // The newest first: an epoch's first file says whether it has served.
    for (const id of parseNames(await fs.list(`${dir}/${folder}`), kind).reverse()) {
      const path = `${dir}/${folder}/${nameOf(id)}`;
      if (id.epoch < epoch && isNeedless(id, path)) await removeIfThere(fs, path);
    }
  };
  // Before the journals on which they count.
  await remove(
    CHECKPOINT_DIRECTORY,
    'ckpt',
    checkpointName,
    (id) => checkpoint !== undefined && compareIds(id, checkpoint) < 0,
  );
  // One that found no room for its first batch has none, and the journal went on behind it: as long as this term has not served, none may be missing.
  const [oldest] = accepted;
  const isPassedBy = (id: FileId): boolean =>
    oldest !== undefined &&
    compareIds(id, oldest) > 0 &&
    accepted.some(({ epoch: of, number }) => of === id.epoch && number > id.number);
  await remove(
    JOURNAL_DIRECTORY,
    'log',
    journalName,
    (id) => !needed.has(journalName(id)) && !isPassedBy(id),
  );
  // Half a checkpoint, or a journal without its name. The epoch stands before its first point.
  for (const folder of [CHECKPOINT_DIRECTORY, JOURNAL_DIRECTORY]) {
    for (const name of await fs.list(`${dir}/${folder}`)) {
      if (!name.endsWith('.tmp') || !(Number.parseInt(name, 10) < epoch)) continue;
      await removeIfThere(fs, `${dir}/${folder}/${name}`);
    }
  }
  await remove(
    SEGMENT_DIRECTORY,
    'seg',
    segmentName,
    (id, path) => id.epoch < segmentsBelow && !named.has(path),
  );
}
