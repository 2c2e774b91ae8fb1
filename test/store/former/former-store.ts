// A small store of release 0.1.0.

import fs from 'node:fs';
import { writeFile } from '../../../src/files/file-io.js';
import type { StoreFs } from '../../../src/files/fs.js';

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
