import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { SeededRandom } from '../broker/model-random.js';
import { caseName, cutsOf, judgePast } from './cases.js';
import { makePast, PASTS } from './pasts.js';
import type { Omissions } from './recording.js';

/** How many cuts are tried of each past. `npm run fuzz:power-cut` tries all of them. */
const CUTS = 50;
const SEED = 1;

/** Seeds for so many of a past's moments: nothing that was not synced is left, all of it, or what chance leaves. */
function sample(cuts: readonly number[], count: number): (at: number) => readonly number[] {
  const random = new SeededRandom(SEED);
  const chosen = new Map<number, number>();
  while (chosen.size < Math.min(count, cuts.length))
    chosen.set(random.pick(cuts) ?? 0, Math.max(0, random.below(8) - 2));
  return (at) => {
    const seed = chosen.get(at);
    return seed === undefined ? [] : [seed];
  };
}

/** @returns what is found when these syncs are left out */
async function foundWithout(past: string, omissions: Omissions): Promise<string[]> {
  const made = await makePast(past, omissions);
  const found: string[] = [];
  // Without what was not synced: so it shows at once what was only claimed to be.
  await judgePast(
    made,
    (at) => (at % 4 === 0 ? [0] : []),
    (_, problem) => problem !== undefined && found.push(problem),
    () => found.length > 0,
  );
  return found;
}

describe('a store whose machine loses its power', () => {
  let keepAlive: NodeJS.Timeout | undefined;

  before(() => {
    // The clock's timers do not keep a process alive.
    keepAlive = setInterval(() => {}, 1000);
  });

  after(() => clearInterval(keepAlive));

  for (const name of PASTS) {
    it(`has all that it acknowledged, and nothing that it was not given, at ${CUTS} moments of: ${name}`, async () => {
      const past = await makePast(name);
      const found: string[] = [];
      await judgePast(past, sample(cutsOf(past), CUTS), (one, problem) => {
        if (problem !== undefined) found.push(`${caseName(one)}: ${problem}`);
      });
      assert.deepEqual(found, []);
    });
  }

  it('is tried with journal files that are used again, messages that stay in them, and merges', async () => {
    const rolled = await makePast('journals that are used again');
    const namesOf = new Map<number, Set<string>>();
    for (const event of rolled.events) {
      if (event.kind !== 'rename' || !/\/journal\/[^/]*\.log$/.test(event.to)) continue;
      namesOf.set(event.file, (namesOf.get(event.file) ?? new Set()).add(event.to));
    }
    assert.ok(
      [...namesOf.values()].some(({ size }) => size > 1),
      'a journal file becomes another one',
    );
    const terms = await makePast('many terms');
    const journals = new Set<string>();
    let mostJournals = 0;
    for (const event of terms.events) {
      if (event.kind === 'rename') {
        journals.delete(event.from);
        if (/\/journal\/[^/]*\.log$/.test(event.to)) journals.add(event.to);
      } else if (event.kind === 'unlink') journals.delete(event.path);
      mostJournals = Math.max(mostJournals, journals.size);
    }
    assert.ok(mostJournals > 5, `there are ${mostJournals} journals at most`);
    const removed = terms.events.filter(({ kind }) => kind === 'unlink').length;
    assert.ok(removed > 10, `${removed} files are removed`);
  });

  for (const [what, omissions] of Object.entries({
    'the writes of the journal': {
      isLeftOut: (call, path) => call === 'durable write' && path.includes('/journal/'),
    },
    'the sync of a segment': { isLeftOut: (call, path) => call === 'sync' && path.includes('/segments/') },
    'the sync of the folder of checkpoints': {
      isLeftOut: (call, path) => call === 'folder sync' && path.endsWith('/checkpoints'),
    },
  } satisfies Record<string, Omissions>)) {
    it(`is a finding here if ${what} would not make anything durable`, async () => {
      assert.equal((await foundWithout('all that a store has', omissions)).length, 1);
    });
  }
});
