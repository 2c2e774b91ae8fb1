import type { StoreFs } from './fs.js';

/** In a block of ext4's inode table: files made one after the other are neighbours there. */
const NEIGHBOURS = 16;
/** The lowest numbers that are free are given out first, so these come to the files that are made next. */
const BELOW = 48;

/**
 * Makes something whose inodes share no block of the inode table with the files made after it, as long as these are few.
 * ext4 without a journal, as small virtual machines have it, writes that block at each sync of a file if anything in it
 * has changed: a term next to the journal, renamed after each batch, would make each sync a quarter slower.
 *
 * @param room a directory to be made for that time
 */
export async function makeApart<T>(fs: StoreFs, room: string, make: () => Promise<T>): Promise<T> {
  const fillers: string[] = [];
  const fill = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const filler = `${room}/${fillers.length}`;
      await (await fs.open(filler, 'create')).close();
      fillers.push(filler);
    }
  };
  try {
    await fs.makeDirectory(room);
    await fill(BELOW);
    const made = await make();
    await fill(NEIGHBOURS);
    return made;
  } finally {
    for (const filler of fillers) await fs.unlink(filler).catch(() => {});
    await fs.removeDirectory(room).catch(() => {});
  }
}
