import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Candidate, type CandidateOptions } from '../../../src/group/roles/candidate.js';
import type { Opportunity } from '../../../src/group/watch/lease-watch.js';
import { ManualClock } from '../../clock/manual-clock.js';
import { leaseState } from '../../harness/lease-states.js';

it('a candidate says that it contends before it does anything for that: what runs beside it stops', async () => {
  const steps: string[] = [];
  const candidate = new Candidate({
    parts: {
      clock: new ManualClock(),
      options: { name: 'g', nodeName: 'a', leaseMs: 600 },
      onContend: () => void steps.push('contends'),
      lock: async () => void steps.push('asks for the lock'),
    },
    watch: {},
    presence: { isStopping: true },
  } as unknown as CandidateOptions);
  await candidate.contend(leaseState({ epoch: 1, counter: 0, holder: 'b' }), {} as Opportunity);
  assert.deepEqual(steps, ['contends', 'asks for the lock']);
});
