import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SourceError } from '../../../src/import/types/source-error.js';
import { repairStore } from '../../../src/store/tools/repair-store.js';
import { DIR, LeasedTerm, readStore, verify } from '../../store/leased-store.js';
import { SimFs } from '../../store/sim-fs.js';
import { random } from '../../store/support.js';
import { MadeUpSource, messages, subscription } from '../made-up-source.js';
import { clock, importFrom, takeLease } from './import-support.js';

const TEXTS = [...messages(1, 40)].map(({ data }) => data.toString());
const UNFINISHED = { code: 'foreign', message: /an import into it has not ended, or was interrupted/ };

function source(): MadeUpSource {
  const subscriptions = [subscription({ lastSent: 5, pending: [5] })];
  return new MadeUpSource([
    { name: 'a', firstSequence: 1, lastSequence: 40, messages: messages(1, 40), subscriptions },
    { name: 'b', firstSequence: 1, lastSequence: 40, messages: messages(1, 40) },
  ]);
}

/** Runs an import until the power is cut before one operation. @returns the file system as it is found then, and whether the import had ended */
async function cutAt(
  operation: number,
  before: SimFs,
  keep: 'synced' | 'written',
): Promise<[SimFs, boolean]> {
  before.stopAt = before.operations + operation;
  let hasEnded = false;
  const ended = importFrom(before, source()).then(() => {
    hasEnded = true;
  });
  const stopped = (async () => {
    while (!before.isStopped && !hasEnded) await new Promise((resolve) => setImmediate(resolve));
  })();
  await Promise.race([ended, stopped]);
  return [before.restarted(keep), hasEnded];
}

describe('an import that is interrupted', () => {
  for (const keep of ['synced', 'written'] as const) {
    it(`leaves no half store wherever the power is cut, and begins anew when it is run again (${keep})`, async () => {
      let refused = 0;
      let whole = 0;
      for (let operation = 1; ; operation++) {
        const [fs, hasEnded] = await cutAt(operation, new SimFs(), keep);
        if (hasEnded) break;
        const isStore = fs.paths().includes(`${DIR}/stanchion.json`);
        if (isStore) {
          whole++;
          assert.deepEqual((await verify(fs)).damages, []);
          assert.deepEqual(await readStore(fs, 'a'), TEXTS);
          continue;
        }
        if (fs.paths().includes(`${DIR}/stanchion.json.importing`)) {
          refused++;
          await assert.rejects(LeasedTerm.begin(fs), UNFINISHED);
        }
        if (operation % 5 > 0) continue;
        // Once more, and interrupted again.
        const [again] = await cutAt(operation, fs, keep);
        await importFrom(again, source());
        assert.deepEqual((await verify(again)).damages, []);
        assert.deepEqual(await readStore(again, 'b'), TEXTS);
      }
      assert.ok(refused > 10 && whole > 0, `${refused} refused, ${whole} whole`);
    });
  }

  it('is refused by verify and repair, whatever they are given', async () => {
    const [fs] = await cutAt(50, new SimFs(), 'written');
    await assert.rejects(verify(fs), UNFINISHED);
    const repairing = repairStore({
      ...{ fs, clock, dir: DIR, random, clusterId: 'test-cluster', isDryRun: false },
      ask: async () => true,
      takeLease: () => takeLease(fs),
    });
    await assert.rejects(repairing, UNFINISHED);
  });

  it('leaves an empty folder if its source fails, and a broker or another import may have it', async () => {
    const fs = new SimFs();
    const failing = source();
    failing.onMessage = ({ sequence }) => {
      if (sequence === 30) throw new SourceError('damaged', 'byte 17 is wrong');
    };
    await assert.rejects(importFrom(fs, failing), { code: 'damaged', message: 'byte 17 is wrong' });
    assert.deepEqual(
      fs.paths().filter((path) => !path.startsWith(`${DIR}/lease`)),
      [],
    );
    await importFrom(fs, source());
    assert.deepEqual(await readStore(fs, 'a'), TEXTS);
  });

  it('ends with the reason of its signal, and leaves nothing', async () => {
    const fs = new SimFs();
    const abort = new AbortController();
    const given = source();
    given.onMessage = ({ sequence }) => {
      if (sequence === 20) abort.abort(new Error('enough'));
    };
    await assert.rejects(importFrom(fs, given, { signal: abort.signal }), { message: 'enough' });
    const term = await LeasedTerm.begin(fs);
    assert.equal(term.store.recovered.logs.length, 0);
    await term.end();
  });

  it('changes nothing in a folder that holds a store, or anything else', async () => {
    const fs = new SimFs();
    await importFrom(fs, source());
    const before = new Map(fs.paths().map((path) => [path, fs.content(path)]));
    await assert.rejects(importFrom(fs, source()), {
      code: 'foreign',
      message: /holds a store already, of cluster "test-cluster"/,
    });
    await assert.rejects(importFrom(fs, source(), { clusterId: 'other' }), {
      code: 'foreign',
      message: /holds a store already/,
    });
    assert.deepEqual(new Map(fs.paths().map((path) => [path, fs.content(path)])), before);
    const other = new SimFs();
    await other.makeDirectory(DIR);
    await (await other.open(`${DIR}/photos`, 'create')).close();
    await assert.rejects(importFrom(other, source()), {
      code: 'foreign',
      message: /not empty either \(photos\)/,
    });
    assert.deepEqual(other.paths(), [`${DIR}/photos`]);
  });
});
