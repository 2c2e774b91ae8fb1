import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LeasedTerm, readStore, repair, verify } from '../leased-store.js';
import { SimFs } from '../sim-fs.js';

const TERMS = 3;

/** Messages in the journals of three terms, each with a checkpoint that points there. */
async function storeWithBodies(): Promise<{ fs: SimFs; texts: Record<string, string[]> }> {
  const fs = new SimFs();
  const texts: Record<string, string[]> = { a: [], b: [] };
  for (let number = 1; number <= TERMS; number++) {
    const term = await LeasedTerm.begin(fs, {}, `term-${number}`);
    for (const [channel, all] of Object.entries(texts)) {
      const more = [1, 2, 3].map((i) => `${channel} in term ${number}, message ${i}`);
      await term.publish(channel, more);
      all.push(...more);
    }
    await term.checkpoint();
    await term.end();
  }
  return { fs, texts };
}

function paths(fs: SimFs, folder: string): string[] {
  return fs.paths().filter((path) => path.includes(`/${folder}/`));
}

async function remove(fs: SimFs, folders: readonly string[]): Promise<void> {
  for (const folder of folders) for (const path of paths(fs, folder)) await fs.unlink(path);
}

describe('a repair of a store whose messages stay in its journals', () => {
  for (const folders of [['segments'], ['checkpoints']])
    it(`saves every message without ${folders.join(' and ')}`, async () => {
      const { fs, texts } = await storeWithBodies();
      assert.ok(paths(fs, 'journal').length >= TERMS, 'the journals are kept');
      await remove(fs, folders);
      assert.notDeepEqual((await verify(fs)).damages, []);
      assert.equal((await repair(fs)).result, 'repaired');
      assert.deepEqual((await verify(fs)).damages, []);
      for (const [channel, all] of Object.entries(texts)) assert.deepEqual(await readStore(fs, channel), all);
    });

  it('loses the one message alone whose bytes have changed, and names the journal', async () => {
    const { fs, texts } = await storeWithBodies();
    const damaged = 'b in term 2, message 2';
    const path = paths(fs, 'journal').find((journal) => fs.content(journal).includes(damaged)) ?? '';
    const content = Buffer.from(fs.content(path));
    content.writeUInt8(content.readUInt8(content.indexOf(damaged)) ^ 1, content.indexOf(damaged));
    fs.replace(path, content);
    assert.ok((await verify(fs)).damages.some((damage) => damage.path === path));
    assert.equal((await repair(fs)).result, 'repaired');
    assert.deepEqual((await verify(fs)).damages, []);
    assert.deepEqual(await readStore(fs, 'a'), texts.a);
    const left = texts.b?.map((text) => (text === damaged ? undefined : text));
    const found = await readStore(fs, 'b');
    assert.deepEqual(
      found.map((text) => (left?.includes(text) ? text : undefined)),
      left,
    );
  });
});
