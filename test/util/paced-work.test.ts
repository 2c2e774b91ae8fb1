import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PacedWork } from '../../src/util/paced-work.js';
import { waitFor } from '../harness/wait.js';

describe('work that others ask for', () => {
  it('is done in its order, one after the other, and refused beyond a limit', async () => {
    const work = new PacedWork(10);
    const done: number[] = [];
    let atOnce = 0;
    const taken: boolean[] = [];
    for (let i = 0; i < 25; i++) {
      taken.push(
        work.add(async () => {
          assert.equal(++atOnce, 1);
          await Promise.resolve();
          atOnce--;
          done.push(i);
        }),
      );
    }
    assert.equal(taken.filter((each) => each).length, 10);
    await waitFor(() => done.length === 10, 'all that were taken in');
    assert.deepEqual(done, [...Array(10).keys()]);
    assert.equal(
      work.add(() => void done.push(10)),
      true,
    );
    await waitFor(() => done.length === 11, 'another one');
  });

  it('lets the event loop turn when it takes long', async () => {
    const work = new PacedWork(100);
    let done = 0;
    let rounds = 0;
    const count = (): void => {
      rounds++;
      if (done < 50) setImmediate(count);
    };
    setImmediate(count);
    for (let i = 0; i < 50; i++) {
      work.add(() => {
        const endMs = performance.now() + 2;
        while (performance.now() < endMs);
        done++;
      });
    }
    await waitFor(() => done === 50, 'all');
    assert.ok(rounds >= 10, `${rounds} rounds in 100 ms of work`);
  });
});
