// A store of release 0.1.0, and the program that made it.

import fs from 'node:fs';
import { readWhole, writeFile } from '../../../src/files/file-io.js';
import type { OpenMode, StoreFile, StoreFs } from '../../../src/files/fs.js';
import { encodeKeyFile, GROUP_KEY_BYTES, identityCrc } from '../../../src/store/file/group-key.js';
import type { StoreIdentity } from '../../../src/store/file/identity.js';

interface Fixture {
  entries: { path: string; bytes?: number; content?: string }[];
}

export const FORMER_CLUSTER_ID = 'c';
/** What is in it, by channel. */
export const FORMER_MESSAGES: Readonly<Record<string, number>> = { orders: 30, news: 5 };

/** Puts the store there that 0.1.0 has left. Its lease was given back in epoch 2. */
export async function putFormerStore(storeFs: StoreFs, dir: string): Promise<void> {
  const text = fs.readFileSync(new URL('./store-0.1.0.json', import.meta.url), 'utf8');
  const { entries } = JSON.parse(text) as Fixture;
  const folders = [dir];
  await storeFs.makeDirectory(dir);
  for (const { path, bytes, content } of entries) {
    if (bytes === undefined) {
      folders.push(`${dir}/${path}`);
      await storeFs.makeDirectory(`${dir}/${path}`);
      continue;
    }
    const whole = Buffer.alloc(bytes);
    Buffer.from(content ?? '', 'base64').copy(whole);
    await writeFile(storeFs, `${dir}/${path}`, whole);
  }
  for (const folder of folders) await storeFs.syncDirectory(folder);
}

const FORMER_STATE = /^(\d{8,10}\.\d{6,16}\.)/;
const STATE = /^v1\.(\d{8,10}\.\d{6,16}\.)served-\d+-\d+\.[a-z]+-[A-Za-z0-9_-]+\./;
const KEY = /\/stanchion\.[0-9A-Za-z]{22}\.key(\.|$)/;
const VERSION = /"formatVersion": (\d)/;

/**
 * Release 0.1.0 as far as the carrying over goes: the program of today, on a file system that shows it the names and the version of
 * today where those of 0.1.0 are, and writes those of 0.1.0 where it writes its own. It finds a key that is not on the disk, since 0.1.0
 * knew of none. All else it does as 0.1.0 did.
 */
export function asFormerProgram(real: StoreFs, dir: string): StoreFs {
  const onDisk = (path: string): string => {
    if (!path.startsWith(`${dir}/`)) return path;
    const [top, ...rest] = path.slice(dir.length + 1).split('/') as [string, ...string[]];
    // It knows of no lease before its own.
    if (/^reign(\.|$)/.test(top)) return `${dir}/unknown.${top}`;
    if (!/^lease(\.|$)/.test(top)) return path;
    return [dir, top.replace('lease', 'reign'), ...rest.map((name) => name.replace(STATE, '$1'))].join('/');
  };
  const shown = (path: string, names: readonly string[]): string[] => {
    if (path === dir) {
      const unknown = names.map((name) => (/^lease(\.|$)/.test(name) ? `unknown.${name}` : name));
      return unknown.map((name) => name.replace(/^reign(?=\.|$)/, 'lease'));
    }
    if (path !== `${dir}/lease`) return [...names];
    return names.map((name) => name.replace(FORMER_STATE, 'v1.$1served-0-0.none-0.'));
  };
  const { renameSync, listSync, freeBytes } = real;
  return {
    open: async (path: string, mode: OpenMode) => {
      if (KEY.test(path))
        return new ImaginedKey(mode === 'read' ? await imaginedKey(real, dir) : Buffer.alloc(0));
      const file = await real.open(onDisk(path), mode);
      return path.startsWith(`${dir}/stanchion.json`) ? new FormerIdentity(file) : file;
    },
    readSync: (path, ...rest) => real.readSync(onDisk(path), ...rest),
    rename: (from, to) => real.rename(onDisk(from), onDisk(to)),
    link: async (from, to) => {
      if (!KEY.test(to)) await real.link(onDisk(from), onDisk(to));
    },
    unlink: async (path) => {
      if (!KEY.test(path)) await real.unlink(onDisk(path));
    },
    makeDirectory: (path) => real.makeDirectory(onDisk(path)),
    removeDirectory: (path) => real.removeDirectory(onDisk(path)),
    list: async (path) => shown(path, await real.list(onDisk(path))),
    status: (path) => real.status(onDisk(path)),
    syncDirectory: (path) => real.syncDirectory(onDisk(path)),
    ...(renameSync && { renameSync: (from: string, to: string) => renameSync(onDisk(from), onDisk(to)) }),
    ...(listSync && { listSync: (path: string) => shown(path, listSync(onDisk(path))) }),
    ...(freeBytes && { freeBytes: (path: string) => freeBytes(onDisk(path)) }),
  };
}

/** The one that belongs to the identity. */
async function imaginedKey(real: StoreFs, dir: string): Promise<Buffer> {
  const identity = JSON.parse((await readWhole(real, `${dir}/stanchion.json`)).toString()) as StoreIdentity;
  const key = { groupKey: Buffer.alloc(GROUP_KEY_BYTES), identityCrc: identityCrc(identity) };
  return encodeKeyFile(identity.storeId, key);
}

/** What is written to it is nowhere. */
class ImaginedKey implements StoreFile {
  readonly #content: Buffer;

  constructor(content: Buffer) {
    this.#content = content;
  }

  write(
    _buffer: Buffer,
    start: number,
    end: number,
    _position: number,
    done: (error: Error | null, written: number) => void,
  ): void {
    queueMicrotask(() => done(null, end - start));
  }

  async read(buffer: Buffer, start: number, end: number, position: number): Promise<number> {
    return this.#content.copy(buffer, start, position, position + end - start);
  }

  async size(): Promise<number> {
    return this.#content.length;
  }

  async sync(): Promise<void> {}

  async truncate(): Promise<void> {}

  async close(): Promise<void> {}
}

/** Its version is three less on the disk. */
class FormerIdentity implements StoreFile {
  readonly #real: StoreFile;

  constructor(real: StoreFile) {
    this.#real = real;
  }

  write(
    buffer: Buffer,
    start: number,
    end: number,
    position: number,
    done: (error: Error | null, written: number) => void,
  ): void {
    const copy = Buffer.from(buffer);
    shiftVersion(copy, -3);
    this.#real.write(copy, start, end, position, done);
  }

  async read(buffer: Buffer, start: number, end: number, position: number): Promise<number> {
    const bytes = await this.#real.read(buffer, start, end, position);
    shiftVersion(buffer.subarray(start, start + bytes), 3);
    return bytes;
  }

  size(): Promise<number> {
    return this.#real.size();
  }

  sync(): Promise<void> {
    return this.#real.sync();
  }

  truncate(bytes: number): Promise<void> {
    return this.#real.truncate(bytes);
  }

  close(): Promise<void> {
    return this.#real.close();
  }
}

function shiftVersion(text: Buffer, by: number): void {
  const found = VERSION.exec(text.toString('latin1'));
  if (found === null) return;
  text.write(String(Number(found[1]) + by), found.index + found[0].length - 1, 'latin1');
}
