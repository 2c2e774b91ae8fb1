import { removeIfThere } from '../../files/file-io.js';
import { type FileId, journalName } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import { isMissing, isNoSpace, StoreError } from '../../files/store-error.js';
import { JOURNAL_DIRECTORY } from '../../files/store-folder.js';
import { type Reserve, takeRoom } from '../room/reserve.js';

const LOOK = /^look\.(\d+)\./;
const ATTEMPTS = 10;
/** Epochs are won one after the other; only candidates that died leave gaps. */
const MAX_EPOCHS_TRIED = 64;

/**
 * Lists a directory past what a network mount remembers of it: a change of one's own makes the mount ask the server, and
 * a listing that shows that change is not older than it.
 *
 * @param unique makes the name of that change this call's own
 * @param reserve has a file for that change, where none can be made
 * @throws StoreError `unsupported` if the mount goes on showing an old listing, `no-space`
 */
export async function listFresh(
  fs: StoreFs,
  directory: string,
  epoch: number,
  unique: string,
  reserve?: Reserve,
): Promise<string[]> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const own = `look.${epoch}.${unique}.${attempt}`;
    const room = await touch(fs, directory, own, reserve);
    let names: string[];
    try {
      names = await fs.list(directory);
    } finally {
      if (room) await reserve?.give('log', `${directory}/${own}`);
      else await removeIfThere(fs, `${directory}/${own}`);
    }
    if (!names.includes(own)) continue;
    await removeOldLooks(fs, directory, names, epoch);
    return names.filter((name) => !LOOK.test(name));
  }
  throw new StoreError(
    'unsupported',
    `A file made in ${directory} does not show in a listing of it, so files of other brokers may be missed there too. ` +
      'Mount the store without a cache of directories that lives longer than its own changes (NFS: lookupcache=positive, or a lower acdirmax)',
  );
}

/** @returns whether it is a file of the reserve */
async function touch(
  fs: StoreFs,
  directory: string,
  name: string,
  reserve: Reserve | undefined,
): Promise<boolean> {
  try {
    await (await fs.open(`${directory}/${name}`, 'create')).close();
    return false;
  } catch (error) {
    if (!isNoSpace(error)) throw error;
    const room = await reserve?.take('log');
    if (room !== undefined) {
      await takeRoom(fs, room, `${directory}/${name}`);
      return true;
    }
    throw new StoreError(
      'no-space',
      `No room for even an empty file in ${directory}: make room on its device, then start again`,
      error,
    );
  }
}

/** Removes what processes have left that died while they looked. */
async function removeOldLooks(
  fs: StoreFs,
  directory: string,
  names: readonly string[],
  epoch: number,
): Promise<void> {
  for (const name of names) {
    const match = LOOK.exec(name);
    if (match !== null && Number(match[1]) < epoch) await removeIfThere(fs, `${directory}/${name}`);
  }
}

/**
 * Adds journals that are there though the listing does not show them: those that would come next are opened by name. Not
 * seeing the newest journal would lose what it holds without a trace; any other that is missing is noticed as a gap.
 *
 * @param listed oldest first
 * @param epoch of the new term: older ones are looked for
 */
export async function withUnlisted(
  fs: StoreFs,
  dir: string,
  listed: readonly FileId[],
  epoch: number,
): Promise<FileId[]> {
  const all = [...listed];
  const last = listed.at(-1);
  if (last !== undefined) await follow(fs, dir, all, { epoch: last.epoch, number: last.number + 1 });
  const firstEpoch = Math.max((last?.epoch ?? 0) + 1, epoch - MAX_EPOCHS_TRIED);
  for (let other = firstEpoch; other < epoch; other++)
    await follow(fs, dir, all, { epoch: other, number: 1 });
  return all;
}

async function follow(fs: StoreFs, dir: string, all: FileId[], first: FileId): Promise<void> {
  let id = first;
  while (await canOpen(fs, `${dir}/${JOURNAL_DIRECTORY}/${journalName(id)}`)) {
    all.push(id);
    id = { epoch: id.epoch, number: id.number + 1 };
  }
}

async function canOpen(fs: StoreFs, path: string): Promise<boolean> {
  try {
    await (await fs.open(path, 'read')).close();
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
