import type { StoreFs } from './fs.js';

/** Inodes per block of ext4's inode table. Files made one after the other are neighbours there. */
const NEIGHBOURS = 16;
/** ext4 takes the lowest free inodes first, so these go to the next files. */
const BELOW = 48;

/**
 * Runs `make`, whose files get inodes in blocks that the next few files do not share. ext4 without a journal, which small virtual
 * machines often have, writes such a block at each sync of a file if any inode in it has changed. A lease next to the store's journal,
 * renamed after each batch, would make each sync a quarter slower.
 *
 * @param room path of a temporary folder that it makes
 */
export async function makeApart<T>(fs: StoreFs, room: string, make: () => Promise<T>): Promise<T> {
  const fillers: string[] = [];
  const fill = async (count: number): Promise<void> => {
    const more = Array.from({ length: count }, (_, index) => `${room}/${fillers.length + index}`);
    fillers.push(...more);
    // All at once: a broker that makes its store waits for them. None is still under way when they are removed.
    const made = await Promise.allSettled(
      more.map(async (filler) => (await fs.open(filler, 'create')).close()),
    );
    const failed = made.find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  };
  try {
    await fs.makeDirectory(room);
    await fill(BELOW);
    const made = await make();
    await fill(NEIGHBOURS);
    return made;
  } finally {
    await Promise.all(fillers.map((filler) => fs.unlink(filler).catch(() => {})));
    await fs.removeDirectory(room).catch(() => {});
  }
}
