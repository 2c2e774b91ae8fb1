import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sorted } from '../../src/util/sorted.js';
import { Turns } from '../../src/util/turns.js';

/** Counts the rounds of the event loop while some work is done. */
async function roundsDuring(work: Promise<unknown>): Promise<number> {
  let rounds = 0;
  let isOver = false;
  const count = (): void => {
    rounds++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  await work;
  isOver = true;
  return rounds;
}

describe('turns', () => {
  it('of all long work in the process come one after the other, with a round of the event loop between two', async () => {
    const works = 20;
    const slices = 5;
    const order: number[] = [];
    const one = async (name: number): Promise<void> => {
      const turns = await Turns.begin();
      for (let i = 0; i < slices; i++) {
        order.push(name);
        await turns.giveWay();
      }
    };
    const all = Promise.all(Array.from({ length: works }, (_, i) => one(i)));
    const rounds = await roundsDuring(all);
    assert.ok(rounds >= works * slices, `${rounds} rounds for ${works * slices} slices`);
    // Nobody has a second slice before all have had their first.
    for (let i = 0; i < slices; i++) {
      assert.equal(new Set(order.slice(i * works, (i + 1) * works)).size, works);
    }
  });

  it('begin with a wait: work that many ask for at once has not begun when the last one has asked', () => {
    let begun = 0;
    for (let i = 0; i < 100; i++) void Turns.begin().then(() => begun++);
    assert.equal(begun, 0);
  });
});

describe('a sort in slices', () => {
  it('is the sort of the whole list, equals in their order', async () => {
    const turns = await Turns.begin();
    for (const length of [0, 1, 1_023, 1_024, 1_025, 10_000]) {
      const list = Array.from({ length }, (_, i) => ({ key: (i * 7_919) % 101, i }));
      const compare = (a: { key: number }, b: { key: number }): number => a.key - b.key;
      assert.deepEqual(await sorted(list, compare, turns), [...list].sort(compare));
    }
  });
});
