// Stores that programs of other versions have made, and what their clients know of them.

import fs from 'node:fs';
import { writeFile } from '../../src/files/file-io.js';
import type { StoreFs } from '../../src/files/fs.js';
import { type Entry, unpackFolder } from './packed.js';

/** A channel as its last reader has seen it. */
export interface KnownChannel {
  readonly first: number;
  readonly last: number;
  /** The hash of all its messages, one after the other, as they were delivered. */
  readonly sha256: string;
}

/** What the clients of a store know of it. */
export interface Knowledge {
  readonly clusterId: string;
  readonly clients: readonly string[];
  readonly channels: Readonly<Record<string, KnownChannel>>;
  /** Delivered and not acknowledged, by channel and queue group, durable or inbox. */
  readonly pending: Readonly<Record<string, readonly number[]>>;
}

/** The text of a message: 300 bytes of JSON, or 20,000 in the channel `large`. */
export function textOf(channel: string, number: number): string {
  const text = JSON.stringify({ channel, number, at: `2026-11-28T12:00:${number}Z`, amount: number * 37 });
  return text.padEnd(channel === 'large' ? 20_000 : 300, ` ${channel} ${number}`);
}

export const STORED_STORES = ['0.1.0', 'version-3'] as const;
export type StoredStore = (typeof STORED_STORES)[number];

export function knowledgeOf(name: StoredStore): Knowledge {
  return JSON.parse(fs.readFileSync(new URL(`./${name}.json`, import.meta.url), 'utf8')) as Knowledge;
}

/** The files and folders of a store. */
export function entriesOf(name: StoredStore): Entry[] {
  return unpackFolder(fs.readFileSync(new URL(`./${name}.store.br`, import.meta.url)));
}

/** Puts a store there, in a folder that does not exist. Its lease was given back. */
export async function putStoredStore(storeFs: StoreFs, dir: string, name: StoredStore): Promise<void> {
  const folders = [dir];
  await storeFs.makeDirectory(dir);
  for (const { path, bytes, content } of entriesOf(name)) {
    if (bytes === undefined) {
      folders.push(`${dir}/${path}`);
      await storeFs.makeDirectory(`${dir}/${path}`);
      continue;
    }
    const whole = Buffer.alloc(bytes);
    content?.copy(whole);
    await writeFile(storeFs, `${dir}/${path}`, whole);
  }
  for (const folder of folders) await storeFs.syncDirectory(folder);
}
