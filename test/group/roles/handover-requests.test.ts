import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type HandoverAnswer, HandoverRequests } from '../../../src/group/roles/handover-requests.js';
import { groupSubjects } from '../../../src/group/talk/group-subjects.js';
import { GroupTalk } from '../../../src/group/talk/group-talk.js';
import { encodeHandoverRequest } from '../../../src/group/talk/handover-request.js';
import { ManualClock } from '../../clock/manual-clock.js';
import { LogLines } from '../../harness/in-process.js';

const SUBJECTS = groupSubjects('c', 'g');
const GROUP_KEY = Buffer.alloc(32, 1);
const HOLDER = 'a@h@1@x';
const HOUR_MS = 3_600_000;

/** An active member, and what it answers to a request of this number in its term. */
function active(): {
  asked: { epoch: number; times: number };
  ask: (number: number, epoch: number) => boolean;
} {
  const talk = new GroupTalk({
    ...{ subjects: SUBJECTS, holder: HOLDER, boot: 'a', clock: new ManualClock(), log: new LogLines() },
  });
  talk.sees({ storeId: 'AAAAAAAAAAAAAAAAAAAAAA', groupKey: GROUP_KEY });
  const asked = { role: 'active', epoch: 5, times: 0, handOver: () => void asked.times++ };
  const requests = new HandoverRequests(talk, SUBJECTS.handover, HOLDER, asked as never);
  const ask = (number: number, epoch: number): boolean => {
    const request = encodeHandoverRequest(GROUP_KEY, SUBJECTS.handover, { member: HOLDER, epoch, number });
    const answer = requests.answer(request) ?? assert.fail('it is the active that answers');
    return (JSON.parse(Buffer.from(answer).toString()) as HandoverAnswer).ok;
  };
  return { asked, ask };
}

describe('a request to hand over', () => {
  it('counts once, in the term that it is for', () => {
    const { asked, ask } = active();
    assert.equal(ask(1_000, 4), false, 'a former term');
    assert.equal(ask(1_000, 5), true);
    assert.equal(ask(1_000, 5), false, 'a recording');
    assert.equal(ask(999, 5), false, 'one from before');
    assert.equal(ask(1_001, 5), true);
    assert.equal(asked.times, 2);
  });

  it('counts in a later term also from a machine whose clock is behind that of the one before', () => {
    const { asked, ask } = active();
    assert.equal(ask(3 * HOUR_MS, 5), true);
    asked.epoch = 7;
    assert.equal(ask(HOUR_MS, 7), true);
    assert.equal(ask(3 * HOUR_MS, 5), false, 'the former one is of a term that is over');
    assert.equal(asked.times, 2);
  });
});
