import { removeIfThere, writeAll } from './file-io.js';
import type { StoreFs } from './fs.js';
import { errorCode } from './fs-error.js';
import { isMissing, isNoSpace, StoreError } from './store-error.js';

const ATTEMPTS = 3;
/** What the test makes. */
const FILES = ['a', 'b', 'c'] as const;
const FOLDERS = ['d', 'e', 'f'] as const;
const INSIDE = 'x';
const NAME = /^self-test\.(\d+)\./;

/** A file or folder of a self-test, perhaps left behind by a process that died. */
export function isSelfTestFile(name: string): boolean {
  return NAME.test(name);
}

/** The name of a file that a store's folder may have at any time. Members of later epochs remove it if it is left behind. */
export function selfTestFile(epoch: number, what: string): string {
  return `self-test.${epoch}.${what}`;
}

/**
 * Tests the file system for what the safety of the store depends on: creating and linking only names that do not exist; renaming
 * files and folders atomically from an exact name, and never onto a folder that is not empty; writing durably; reading back what was
 * written; listing names.
 *
 * @param unique makes the names unique, since several processes may test at once
 * @throws StoreError `unsupported`, `no-space`
 */
export async function testFileSystem(fs: StoreFs, dir: string, epoch: number, unique: string): Promise<void> {
  await removeLeftOvers(fs, dir, epoch);
  for (let attempt = 1; ; attempt++) {
    try {
      return await testOnce(fs, dir, selfTestFile(epoch, `${unique}.${attempt}`));
    } catch (error) {
      // A network file system may do a call, lose its answer and repeat it, which looks like a failed test. Also, a member of a later
      // epoch may have removed the files as left over.
      if (attempt === ATTEMPTS || (error instanceof StoreError && error.code === 'no-space')) throw error;
    }
  }
}

async function testOnce(fs: StoreFs, dir: string, prefix: string): Promise<void> {
  try {
    // Files and folders have nothing to do with each other, and a broker that makes its store waits for both.
    const tests = [testFiles(fs, dir, prefix), testFolders(fs, dir, prefix)];
    // None is still under way when what they leave is removed.
    const failed = (await Promise.allSettled(tests)).find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    await attempt(dir, 'sync a directory', () => fs.syncDirectory(dir));
  } finally {
    await Promise.all([
      ...FILES.map((name) => removeIfThere(fs, `${dir}/${prefix}.${name}`).catch(() => {})),
      ...FOLDERS.map((name) => removeFolder(fs, `${dir}/${prefix}.${name}`)),
    ]);
  }
}

async function removeFolder(fs: StoreFs, path: string): Promise<void> {
  await removeIfThere(fs, `${path}/${INSIDE}`).catch(() => {});
  await fs.removeDirectory(path).catch(() => {});
}

async function testFiles(fs: StoreFs, dir: string, prefix: string): Promise<void> {
  const [a, b, c] = FILES.map((name) => `${dir}/${prefix}.${name}`) as [string, string, string];
  const written = Buffer.from('stanchion');
  const file = await attempt(dir, 'create a file', () => fs.open(a, 'create'));
  try {
    await attempt(dir, 'write and sync a file (fdatasync)', async () => {
      await writeAll(file, written, 0, written.length, 0);
      await file.sync();
    });
  } finally {
    await file.close();
  }
  await refuses(dir, 'create a file only if it is not there', 'EEXIST', async () =>
    (await fs.open(a, 'create')).close(),
  );
  await attempt(dir, 'rename a file', () => fs.rename(a, b));
  await refuses(dir, 'refuse to rename what is not there', 'ENOENT', () => fs.rename(a, b));
  const names = (await fs.list(dir)).filter((name) => FILES.some((file) => name === `${prefix}.${file}`));
  if (names.length !== 1 || names[0] !== `${prefix}.b`)
    throw cannot(dir, 'list exactly the new name after a rename');
  await attempt(dir, 'give a file a second name (hard link)', () => fs.link(b, c));
  await refuses(dir, 'refuse a second name that is taken', 'EEXIST', () => fs.link(b, c));
  await attempt(dir, 'write durably (O_DSYNC)', async () => {
    const durable = await fs.open(b, 'durable');
    try {
      await writeAll(durable, written, 0, written.length, written.length);
    } finally {
      await durable.close();
    }
  });
  const read = Buffer.alloc(written.length * 2);
  const renamed = await fs.open(b, 'read');
  try {
    await renamed.read(read, 0, read.length, 0);
    if ((await renamed.size()) !== read.length) throw cannot(dir, 'report the size of what was written');
  } finally {
    await renamed.close();
  }
  if (!read.equals(Buffer.concat([written, written]))) throw cannot(dir, 'give back what was written');
}

/** Tests renaming a folder: the lease's folder is made with its file inside, and must not replace an existing one. */
async function testFolders(fs: StoreFs, dir: string, prefix: string): Promise<void> {
  const [d, e, f] = FOLDERS.map((name) => `${dir}/${prefix}.${name}`) as [string, string, string];
  for (const path of [d, e]) {
    await attempt(dir, 'make a folder', () => fs.makeDirectory(path));
    const file = await attempt(dir, 'create a file', () => fs.open(`${path}/${INSIDE}`, 'create'));
    await file.close();
  }
  const onto = await outcome(() => fs.rename(d, e));
  if (onto === undefined || !['ENOTEMPTY', 'EEXIST'].includes(errorCode(onto) ?? ''))
    throw cannot(dir, 'refuse to rename a folder onto one that is not empty', onto);
  await attempt(dir, 'rename a folder', () => fs.rename(d, f));
  const moved = await fs.list(f);
  if (moved.length !== 1) throw cannot(dir, 'keep what is in a folder when the folder is renamed');
}

/** Removes the files of processes that died in a test. Those of this epoch may belong to a test that is running. */
async function removeLeftOvers(fs: StoreFs, dir: string, epoch: number): Promise<void> {
  for (const name of await fs.list(dir)) {
    const match = NAME.exec(name);
    if (match === null || Number(match[1]) >= epoch) continue;
    await fs.unlink(`${dir}/${name}`).catch(() => {});
    await removeFolder(fs, `${dir}/${name}`);
  }
}

async function attempt<T>(dir: string, what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!REFUSALS.has(errorCode(error) ?? '')) throw noRoom(dir, error);
    throw cannot(dir, what, error);
  }
}

/** The error codes with which file systems refuse an unsupported call. Any other code is another kind of problem. */
const REFUSALS = new Set([
  'EINVAL',
  'ENOSYS',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EPERM',
  'EXDEV',
  'EMLINK',
  'ENOENT',
  'EISDIR',
]);

async function refuses(dir: string, what: string, code: string, work: () => Promise<unknown>): Promise<void> {
  const error = await outcome(work);
  if (errorCode(error) === code) return;
  if (error !== undefined && !isMissing(error)) throw error;
  throw cannot(dir, what, error);
}

async function outcome(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error;
  }
}

function noRoom(dir: string, error: unknown): unknown {
  if (!isNoSpace(error)) return error;
  return new StoreError(
    'no-space',
    `No room to try the file system of ${dir}: make room, then start again`,
    error,
  );
}

function cannot(dir: string, what: string, cause?: unknown): StoreError {
  return new StoreError(
    'unsupported',
    `The file system of ${dir} does not ${what}, so a store is not safe there. ` +
      'Use a local disk, NFS, EFS, CephFS or GlusterFS; see docs/shared-store.md',
    cause,
  );
}
