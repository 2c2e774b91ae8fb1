import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { StoreError } from '../../../src/files/store-error.js';
import { StoreReader } from '../../../src/store/tools/store-reader.js';
import type { ChannelLog, MessageRef } from '../../../src/store/types/store.js';
import { checkpointed, type OpenedStore, SMALL, Terms } from '../file-support.js';
import { NO_LIMITS, payloadOf, pubMsg } from '../support.js';

/** 1 KiB each, so that a few of them fill the blocks and the read-ahead. */
const text = (number: number): string => `message ${number} `.padEnd(1024, '.');

async function publish(opened: OpenedStore, log: ChannelLog, first: number, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    log.append(pubMsg(log.name, text(first + i)), 1);
    if (i % 100 === 99) await opened.host.commit();
  }
  await opened.host.commit();
}

async function readAll(reader: StoreReader, name: string): Promise<{ found: string[]; dropped: number }> {
  const channel = reader.channels.find((each) => each.name === name);
  assert.ok(channel !== undefined);
  const found: string[] = [];
  const { dropped } = await reader.read(channel, (ref: MessageRef) => void found.push(payloadOf(ref)));
  return { found, dropped };
}

const texts = (first: number, last: number): string[] =>
  Array.from({ length: last - first + 1 }, (_, i) => text(first + i));

describe('a store that is read without its lease', () => {
  it('has all of the moment when it was opened, and no more, though its files are rewritten and removed meanwhile', async (t) => {
    const terms = new Terms(t);
    const opened = await terms.open(SMALL);
    const { store } = opened;
    const kept = store.createLog('kept', NO_LIMITS);
    const other = store.createLog('other', { ...NO_LIMITS, maxMessages: 10 });
    for (let round = 0; round < 3; round++) {
      await publish(opened, kept, 1 + round * 300, 300);
      await publish(opened, other, 1 + round * 600, 600);
      await checkpointed(opened);
    }
    const { fs, clock, dir } = terms;
    const reader = await StoreReader.open({ fs, clock, dir });
    t.after(() => reader.close());
    const files = () => ['journal', 'segments'].flatMap((name) => readdirSync(join(dir, name)));
    const before = files();
    for (let round = 3; round < 9; round++) {
      await publish(opened, kept, 1 + round * 300, 300);
      await publish(opened, other, 1 + round * 600, 600);
      await checkpointed(opened);
    }
    const after = files();
    assert.ok(
      before.some((name) => !after.includes(name)),
      'files that it had found are gone',
    );
    assert.deepEqual(await readAll(reader, 'kept'), { found: texts(1, 900), dropped: 0 });
    // What a limit has dropped meanwhile is missing, and counted.
    assert.deepEqual(await readAll(reader, 'other'), { found: [], dropped: 10 });
  });

  it('refuses a folder that has another store by then', async (t) => {
    const terms = new Terms(t);
    const opened = await terms.open(SMALL);
    await publish(opened, opened.store.createLog('orders', NO_LIMITS), 1, 600);
    await checkpointed(opened);
    await opened.store.close();
    const others = new Terms(t);
    await (await others.open()).store.close();
    let { dir } = terms;
    const { fs, clock } = terms;
    const moved = {
      ...fs,
      open: (path: string, mode: 'read') => fs.open(path.replace(terms.dir, dir), mode),
    };
    const reader = await StoreReader.open({ fs: moved, clock, dir: terms.dir });
    t.after(() => reader.close());
    ({ dir } = others);
    await assert.rejects(readAll(reader, 'orders'), (error: StoreError) =>
      /has another store by now/.test(error.message),
    );
  });
});
