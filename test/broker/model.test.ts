import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runModel } from './model-run.js';

const RUNS = Number(process.env.MODEL_RUNS ?? 300);
const FIRST_SEED = Number(process.env.MODEL_SEED ?? 1);

describe('the broker, against a model of it', () => {
  it(`does what it should in ${RUNS} random lives, from seed ${FIRST_SEED}`, async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
      const failure = await runModel(seed);
      if (failure === undefined) continue;
      assert.fail(`seed ${seed}: ${failure}\nAgain: MODEL_SEED=${seed} MODEL_RUNS=1`);
    }
  });
});
