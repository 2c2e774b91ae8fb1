import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { journalName } from '../../../src/files/file-names.js';
import { type FirstJournalOptions, removeNeedless } from '../../../src/store/file/first-journal.js';
import { SimFs } from '../sim-fs.js';

describe('a term that begins where there is no room', () => {
  it('removes journals that no recovery would read, and none between two that count', async () => {
    const fs = new SimFs();
    for (const folder of ['journal', 'checkpoints', 'segments']) await fs.makeDirectory(`/store/${folder}`);
    const names = [1, 2, 3, 4, 5].map((number) => journalName({ epoch: 3, number }));
    for (const name of names) await (await fs.open(`/store/journal/${name}`, 'create')).close();
    // The checkpoint's position is in the second; the third has no batch; the fifth was only prepared.
    const accepted = [2, 4].map((number) => ({ epoch: 3, number, end: 1000 }));
    const recovery = { accepted, checkpoint: undefined, state: { bodies: [], segments: [] } };
    const check = { haveLengths: () => Promise.resolve(true) };
    const options = { fs, dir: '/store', epoch: 4, recovery, check } as unknown as FirstJournalOptions;
    await removeNeedless(options, 3);
    assert.deepEqual((await fs.list('/store/journal')).sort(), names.slice(1, 4));
  });
});
