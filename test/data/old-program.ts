import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { StoreFs } from '../../src/files/fs.js';
import type { FileStoreOptions } from '../../src/store/file/file-store-options.js';
import type { Store } from '../../src/store/types/store.js';
import { unpackFolder } from './packed.js';

/** Unpacks the program of release 0.1.0 into a folder. @returns the path of its command line, for node */
export function unpackOldProgram(dir: string): string {
  for (const entry of unpackFolder(fs.readFileSync(new URL('./0.1.0.program.br', import.meta.url)))) {
    const target = path.join(dir, entry.path);
    if (entry.content === undefined) fs.mkdirSync(target, { recursive: true });
    else fs.writeFileSync(target, entry.content);
  }
  return path.join(dir, 'dist', 'cli', 'main.js');
}

/** What 0.1.0 calls a state of the lease. */
export interface OldState {
  readonly epoch: number;
  readonly counter: number;
  readonly holder: string;
}

/** What 0.1.0 calls the lease. */
export interface OldLease {
  create(unique: string): Promise<void>;
  read(): Promise<OldState>;
  readFresh(unique: string): Promise<OldState>;
  renew(known: OldState): Promise<OldState | 'lost'>;
  takeOver(known: OldState, epoch: number, holder: string): Promise<OldState | 'lost'>;
  release(known: OldState): Promise<OldState | 'lost'>;
}

/** The store and the lease of release 0.1.0. As far as tests use them, they have what those of today have. */
export interface OldStoreModule {
  readonly Reign: new (fs: StoreFs, dir: string) => OldLease;
  openFileStore(options: FileStoreOptions): Promise<Store & { close(): Promise<void> }>;
  checkIdentity(fs: StoreFs, dir: string, clusterId: string): Promise<unknown>;
}

export async function loadOldStore(): Promise<OldStoreModule> {
  const dir = fs.mkdtempSync(path.join(tmpdir(), 'stanchion-old-'));
  try {
    unpackOldProgram(dir);
    return (await import(pathToFileURL(path.join(dir, 'dist', 'store.js')).href)) as OldStoreModule;
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}
