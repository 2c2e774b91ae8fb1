import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { nodeFs, type StoreFs } from '../../src/files/fs.js';
import type { FileStore } from '../../src/store/file/file-store.js';
import type { FileStoreOptions } from '../../src/store/file/file-store-options.js';
import { openFileStore } from '../../src/store/file/open-file-store.js';
import { waitFor } from '../harness/wait.js';
import { random, TestClock, TestHost } from './support.js';

export function temporaryDirectory(t: TestContext): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'stanchion-store-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export interface OpenedStore {
  store: FileStore;
  host: TestHost;
  warnings: string[];
}

/** Opens a store as one term after the other, in a directory of its own; all is closed and removed after the test. */
export class Terms {
  readonly dir: string;
  readonly fs: StoreFs;
  readonly clock = new TestClock();
  epoch = 0;
  readonly #opened: FileStore[] = [];

  constructor(t: TestContext, storeFs: StoreFs = nodeFs) {
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'stanchion-store-'));
    this.fs = storeFs;
    t.after(async () => {
      for (const store of this.#opened) await store.close();
      fs.rmSync(this.dir, { recursive: true, force: true });
    });
  }

  async open(options: Partial<FileStoreOptions> = {}): Promise<OpenedStore> {
    const opened = await this.openOnly(options);
    return { ...opened, host: new TestHost(opened.store) };
  }

  /** Whoever calls attaches a host. */
  async openOnly(options: Partial<FileStoreOptions> = {}): Promise<Omit<OpenedStore, 'host'>> {
    const warnings: string[] = [];
    const store = await openFileStore({
      fs: this.fs,
      clock: this.clock,
      random,
      dir: this.dir,
      clusterId: 'test-cluster',
      epoch: ++this.epoch,
      warn: (message) => {
        warnings.push(message);
      },
      ...options,
    });
    this.#opened.push(store);
    return { store, warnings };
  }
}

/** So small that a few hundred messages go through every part of the machine. */
export const SMALL: Partial<FileStoreOptions> = {
  journalBytes: 1024 * 1024,
  blockBytes: 32 * 1024,
  cacheBytes: 64 * 1024,
  loadedBytes: 64 * 1024,
  maxOpenSegments: 2,
};

/** Waits for a condition that other work brings about. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  await waitFor(condition, what, 10_000);
}

/** Makes a checkpoint and waits until it is done. */
export async function checkpointed(opened: OpenedStore): Promise<void> {
  const { store } = opened;
  await until(() => !store.upkeep.isCheckpointing, 'the checkpoint before');
  store.upkeep.checkpoint();
  await until(() => !store.upkeep.isCheckpointing, 'the checkpoint');
}
