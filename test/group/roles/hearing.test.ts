import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Hearing, type HearingOptions } from '../../../src/group/roles/hearing.js';
import type { Heartbeat, MemberRole } from '../../../src/group/talk/group-messages.js';
import { ManualClock } from '../../clock/manual-clock.js';

const ABOUT = { forMs: 10, storeDir: '/store', server: 'localhost:4222' };
const CLAIM: Heartbeat = {
  kind: 'heartbeat',
  member: 'm2',
  node: 'm2',
  role: 'active',
  epoch: 1,
  storeId: 'abc',
  ...ABOUT,
};

describe('a member that sees no store, when another one says that there is one', () => {
  let looks = 0;
  function hearing(role: MemberRole, claim: Heartbeat): { clock: ManualClock; said: () => number } {
    const clock = new ManualClock();
    looks = 0;
    const options = {
      parts: { clock, talk: { decode: () => ({ by: 'claim', heartbeat: claim }) } },
      presence: { role },
      store: { claimed: () => {} },
      pause: { wake: () => looks++ },
    };
    const it = new Hearing(options as unknown as HearingOptions);
    const said = (): number => {
      it.said(Buffer.alloc(0));
      return looks;
    };
    return { clock, said };
  }

  it('looks for it at once, and not for each of a thousand that say so', async () => {
    const { clock, said } = hearing('standby', CLAIM);
    assert.equal(said(), 1);
    for (let i = 0; i < 1_000; i++) said();
    assert.equal(looks, 1);
    clock.advance(100);
    assert.equal(said(), 2);
  });

  it('does not where that one sees none either, nor before it has joined: it waits for other reasons then', () => {
    assert.equal(hearing('standby', { ...CLAIM, storeId: '' }).said(), 0);
    assert.equal(hearing('starting', CLAIM).said(), 0);
  });
});
