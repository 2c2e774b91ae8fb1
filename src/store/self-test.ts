import { isMissing, StoreError } from './errors.js';
import { removeIfThere, writeAll } from './file-io.js';
import type { StoreFs } from './fs.js';

/**
 * Tries what the store's safety rests on: creating only what is not there, renaming atomically from an exact name, and
 * reading back what was written.
 *
 * @throws StoreError `unsupported`
 */
export async function testFileSystem(fs: StoreFs, dir: string, epoch: number): Promise<void> {
  const a = `${dir}/self-test.${epoch}.a`;
  const b = `${dir}/self-test.${epoch}.b`;
  await removeIfThere(fs, a);
  await removeIfThere(fs, b);
  try {
    const written = Buffer.from('stanchion');
    const file = await fs.open(a, 'create');
    try {
      await writeAll(file, written, 0, written.length, 0);
      await file.sync();
    } finally {
      await file.close();
    }
    if (!(await fails(() => fs.open(a, 'create'), 'EEXIST')))
      throw cannot(dir, 'create a file only if it is not there');
    await fs.rename(a, b);
    if (!(await fails(() => fs.rename(a, b), 'ENOENT')))
      throw cannot(dir, 'refuse to rename what is not there');
    if ((await fs.status(a)) !== undefined) throw cannot(dir, 'take the old name away in a rename');
    const read = Buffer.alloc(written.length);
    const renamed = await fs.open(b, 'read');
    try {
      await renamed.read(read, 0, read.length, 0);
    } finally {
      await renamed.close();
    }
    if (!read.equals(written)) throw cannot(dir, 'give back what was written');
    await fs.syncDirectory(dir);
  } finally {
    await removeIfThere(fs, a);
    await removeIfThere(fs, b);
  }
}

async function fails(attempt: () => Promise<unknown>, code: string): Promise<boolean> {
  try {
    await attempt();
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === code) return true;
    if (isMissing(error)) return false;
    throw error;
  }
}

function cannot(dir: string, what: string): StoreError {
  return new StoreError(
    'unsupported',
    `The file system of ${dir} does not ${what}, so a store is not safe there. Use a local disk, NFS, EFS, CephFS or GlusterFS`,
  );
}
