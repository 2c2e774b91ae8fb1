import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Child } from '../harness/child.js';
import { within } from '../harness/wait.js';
import { FAULTS, planOf } from './plan.js';
import { whyNoSandbox } from './sandbox.js';

const RUN = join(dirname(fileURLToPath(import.meta.url)), 'run.ts');
const RUN_MS = 240_000;
/** Three steps of a few seconds: a takeover in which the taker is struck, several faults at once, a rest. How fast it serves again is not the question. */
const ARGS = ['--seed', '1', '--steps', '3', '--patience', '60'];

describe('chaos', () => {
  it('has one plan for each seed', () => {
    const options = { seed: 7, steps: 20, hosts: 3, faults: FAULTS };
    assert.deepEqual(planOf(options), planOf(options));
    assert.notDeepEqual(planOf(options), planOf({ ...options, seed: 8 }));
  });

  it('breaks no promise of a real group on machines of its own', {
    skip: whyNoSandbox([['iptables', ['--version']]]),
    timeout: RUN_MS,
  }, async () => {
    const child = new Child(process.execPath, [...process.execArgv, RUN, ...ARGS]);
    try {
      const { code } = await within(child.exit, 'the run ends', RUN_MS);
      assert.equal(code, 0, child.output);
    } finally {
      await child.destroy();
    }
  });
});
