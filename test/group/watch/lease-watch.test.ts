import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Heartbeat, MemberRole } from '../../../src/group/talk/group-messages.js';
import { LeaseWatch } from '../../../src/group/watch/lease-watch.js';
import { type LeaseState, RELEASED } from '../../../src/lease/lease-state.js';
import { leaseState } from '../../harness/lease-states.js';

const LEASE_MS = 600;
const SELF = 'me@host@1@x';
const OTHER = 'other@host@2@y';

function heartbeat(member: string, role: MemberRole, epoch: number, counter?: number): Heartbeat {
  const node = member.split('@')[0]!;
  const about = { forMs: 0, storeId: 's', storeDir: '/d', server: 'localhost:4222' };
  return { kind: 'heartbeat', member, node, role, epoch, counter, ...about };
}

describe('what a standby makes of what it sees', () => {
  const held = (counter: number): LeaseState => leaseState({ epoch: 3, counter, holder: OTHER });

  it('is a first term where the lease was never held', () => {
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    watch.saw(leaseState({ epoch: 0, counter: 0, holder: RELEASED }), false, 1, 2);
    assert.equal(watch.judge(3)?.kind, 'first');
    assert.equal(watch.signMs, undefined);
    assert.equal(watch.active, undefined);
  });

  it('is a handover where the lease was released, from the member that was last seen with it', () => {
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    watch.saw(held(1), false, 10, 11);
    // The first look may find what is years old.
    assert.equal(watch.signMs, undefined);
    watch.saw(held(2), false, 60, 61);
    assert.equal(watch.signMs, 60);
    watch.saw(leaseState({ epoch: 3, counter: 3, holder: RELEASED }), false, 110, 111);
    assert.deepEqual(watch.judge(112), { kind: 'handover', why: 'it was given back' });
    assert.deepEqual([watch.active, watch.signMs], [OTHER, 60]);
  });

  it('is a dead process where the holder is gone', () => {
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    watch.saw(held(1), true, 10, 11);
    assert.equal(watch.judge(12)?.kind, 'process_died');
    assert.equal(watch.active, OTHER);
  });

  it('is nothing where a look hung for a minute and found a new holder, which has had no chance to be heard as such', () => {
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    watch.saw(held(1), false, 10, 11);
    // While the file server restarted, all members were heard, and one of them took over.
    for (let at = 200; at < 39_900; at += 200) watch.heard(heartbeat('third@host@3@z', 'standby', 3), at);
    watch.heard(heartbeat('third@host@3@z', 'active', 4, 9), 39_900);
    watch.saw(leaseState({ epoch: 4, counter: 9, holder: 'third@host@3@z' }), false, 60, 40_000);
    assert.equal(watch.judge(40_001), undefined);
    watch.saw(leaseState({ epoch: 4, counter: 10, holder: 'third@host@3@z' }), false, 40_050, 40_051);
    assert.equal(watch.judge(40_052), undefined);
  });

  it('remembers a bounded number of processes, and the holder of the lease in any case', () => {
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    watch.saw(held(1), false, 0, 1);
    watch.heard(heartbeat(OTHER, 'active', 3, 1), 2);
    for (let i = 0; i < 1_000; i++) watch.heard(heartbeat(`n${i}@host@${i}@x`, 'standby', 3), 10 + i);
    assert.equal(watch.peers.size, 64);
    assert.ok(watch.peers.has(OTHER) && watch.peers.has('n999@host@999@x'));
  });

  it('is that it looks at a copy where the active has reported more, even if the lease of the copy was released', () => {
    for (const state of [
      held(5),
      { ...held(5), holder: RELEASED },
      leaseState({ epoch: 2, counter: 90, holder: 'dead' }),
    ]) {
      const watch = new LeaseWatch(SELF, LEASE_MS, 0);
      watch.heard(heartbeat(OTHER, 'active', 3, 6), 100);
      for (let at = 110; at < 110 + 5 * LEASE_MS; at += 50) {
        watch.looks();
        watch.saw(state, state.holder !== OTHER, at, at + 1);
        // It is told more and more meanwhile, until the active falls silent.
        if (at < 1_000) watch.heard(heartbeat(OTHER, 'active', 3, 6 + at), at + 2);
        assert.equal(watch.judge(at + 3), undefined, `${JSON.stringify(state)} at ${at}`);
        assert.equal(watch.aheadOfStore?.counter, 6);
        assert.equal(watch.isAstray(at + 3), false);
      }
      watch.looks();
      watch.saw(state, false, 3_200, 3_201);
      assert.equal(watch.isAstray(3_202), true);
    }
  });

  it('is that it looks at a copy where there was more before, as it has seen, or made itself', () => {
    const seen = new LeaseWatch(SELF, LEASE_MS, 0);
    seen.saw(held(6), false, 10, 11);
    const made = new LeaseWatch(SELF, LEASE_MS, 0);
    made.held({ epoch: 3, counter: 6 });
    for (const watch of [seen, made]) {
      for (const state of [
        held(5),
        { ...held(5), holder: SELF },
        leaseState({ epoch: 2, counter: 90, holder: RELEASED }),
      ]) {
        watch.looks();
        watch.saw(state, true, 60, 61);
        assert.equal(watch.judge(62), undefined, JSON.stringify(state));
        assert.equal(watch.aheadOfStore?.counter, 6);
        assert.equal(watch.isAstray(60 + 5 * LEASE_MS), true);
      }
      watch.looks();
      watch.saw({ ...held(6), holder: RELEASED }, false, 70, 71);
      assert.equal(watch.aheadOfStore, undefined);
      assert.equal(watch.judge(72)?.kind, 'handover');
    }
  });

  it('is not that of a copy where a mount remembered an older name for a while, or more was reported during a look', () => {
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    watch.heard(heartbeat(OTHER, 'active', 3, 6), 100);
    watch.looks();
    watch.saw(held(5), false, 110, 111);
    assert.equal(watch.isSuspicious(112), true, 'it looks past what the mount remembers');
    watch.looks();
    watch.saw(held(6), false, 150, 151);
    assert.equal(watch.aheadOfStore, undefined);
    watch.looks();
    watch.heard(heartbeat(OTHER, 'active', 3, 7), 161);
    watch.saw(held(6), false, 160, 162);
    assert.equal(watch.aheadOfStore, undefined);
  });

  it('is an expired lease where the holder neither renews nor is heard', () => {
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    watch.heard(heartbeat(OTHER, 'active', 3), 100);
    watch.saw(held(1), false, 110, 111);
    watch.saw(held(1), false, 700, 701);
    assert.equal(watch.judge(702), undefined, 'its time has not come');
    watch.saw(held(1), false, 712, 713);
    assert.equal(watch.judge(714)?.kind, 'lease_expired');
    assert.equal(watch.signMs, 100, 'the last sign was its heartbeat');
  });

  it('is an expired lease where the holder is heard, and has not renewed for long', () => {
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    watch.saw(held(1), false, 0, 1);
    watch.saw(held(1), false, 5 * LEASE_MS + 2, 5 * LEASE_MS + 3);
    watch.heard(heartbeat(OTHER, 'active', 3), 5 * LEASE_MS + 3);
    assert.equal(watch.judge(5 * LEASE_MS + 4)?.kind, 'lease_expired');
  });

  it('is an expired lease only after as long as the holder allows itself, where that is longer', () => {
    const alone = { kind: 'alone', leaseMs: 5 * LEASE_MS } as const;
    const watch = new LeaseWatch(SELF, LEASE_MS, 0, 'g');
    watch.saw({ ...held(1), ...alone }, false, 0, 1);
    for (const atMs of [2 * LEASE_MS, 5 * LEASE_MS - 1]) {
      watch.saw({ ...held(1), ...alone }, false, atMs, atMs);
      assert.equal(watch.judge(atMs), undefined, `at ${atMs}`);
    }
    watch.saw({ ...held(1), ...alone }, false, 5 * LEASE_MS + 1, 5 * LEASE_MS + 1);
    assert.equal(watch.judge(5 * LEASE_MS + 1)?.kind, 'lease_expired');
    const short = new LeaseWatch(SELF, LEASE_MS, 0, 'g');
    short.saw({ ...held(1), leaseMs: 1 }, false, 0, 1);
    short.saw({ ...held(1), leaseMs: 1 }, false, LEASE_MS - 1, LEASE_MS - 1);
    assert.equal(short.judge(LEASE_MS - 1), undefined, 'nor before its own');
  });

  it('is no cut-off holder where that is in no group or in another, and renews: it is not heard', () => {
    const endMs = 20 * LEASE_MS;
    const watching = (length: Partial<LeaseState>): LeaseWatch => {
      const watch = new LeaseWatch(SELF, LEASE_MS, 0, 'g');
      for (let atMs = 0; atMs <= endMs; atMs += 100)
        watch.saw({ ...held(atMs), ...length }, false, atMs, atMs + 1);
      hear(watch, 'third@host@3@z', endMs);
      return watch;
    };
    assert.equal(watching({ group: 'g' }).judge(endMs + 1)?.kind, 'cut_off');
    assert.equal(watching({ group: 'g' }).foreign, undefined);
    for (const length of [{ kind: 'alone' }, { group: 'h' }] as const) {
      const watch = watching(length);
      assert.equal(watch.judge(endMs + 1), undefined, JSON.stringify(length));
      assert.equal(watch.foreign?.holder, OTHER);
    }
  });

  /** From the beginning of the test on. */
  function hear(watch: LeaseWatch, member: string, untilMs: number): void {
    for (let atMs = 3; atMs < untilMs; atMs += LEASE_MS / 3)
      watch.heard(heartbeat(member, 'standby', 3), atMs);
    watch.heard(heartbeat(member, 'standby', 3), untilMs);
  }

  it('is a holder that is cut off where it renews, and most members do not hear it', () => {
    const endMs = 5 * LEASE_MS + 10;
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    for (let atMs = 0; atMs <= endMs; atMs += 100) watch.saw(held(atMs), false, atMs, atMs + 1);
    // One of two is no majority.
    assert.equal(watch.judge(endMs + 1), undefined);
    hear(watch, 'third@host@3@z', endMs);
    assert.equal(watch.judge(endMs + 1)?.kind, 'cut_off');
    // Nor are two of four.
    watch.heard(heartbeat('fourth@host@4@z', 'standby', 3), endMs - LEASE_MS);
    assert.equal(watch.judge(endMs + 1), undefined);
  });

  it('is nothing of the kind where the holder has just taken the lease again: it has its time as any other', () => {
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    watch.saw(held(0), false, 0, 1);
    const backMs = 20 * LEASE_MS;
    const endMs = backMs + 5 * LEASE_MS;
    hear(watch, 'third@host@3@z', endMs);
    for (let atMs = backMs; atMs <= endMs; atMs += 100) {
      watch.saw({ ...held(atMs), epoch: 5 }, false, atMs, atMs + 1);
      assert.equal(watch.judge(atMs + 2)?.kind, atMs < endMs ? undefined : 'cut_off', `at ${atMs}`);
    }
  });

  it('is nothing of the kind where it was cut off itself, and hears another member before the holder', () => {
    const backMs = 20 * LEASE_MS;
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    watch.heard(heartbeat(OTHER, 'active', 3), 1);
    hear(watch, 'third@host@3@z', 2 * LEASE_MS);
    const endMs = backMs + 5 * LEASE_MS;
    for (let atMs = 0; atMs <= endMs; atMs += 100) {
      watch.saw(held(atMs), false, atMs, atMs + 1);
      if (atMs >= backMs) watch.heard(heartbeat('third@host@3@z', 'standby', 3), atMs + 2);
      if (atMs < endMs) assert.equal(watch.judge(atMs + 3), undefined, `at ${atMs}`);
    }
    // Nor was it heard since.
    assert.equal(watch.judge(endMs + 3)?.kind, 'cut_off');
  });

  it('counts a node once among those that do not hear the holder, however often its process was killed', () => {
    const endMs = 5 * LEASE_MS + 10;
    const watching = (...gone: string[]): LeaseWatch => {
      const watch = new LeaseWatch(SELF, LEASE_MS, 0);
      watch.heard(heartbeat(OTHER, 'active', 3), 1);
      for (const member of gone) watch.heard(heartbeat(member, 'standby', 3), 2);
      for (let atMs = 0; atMs <= endMs; atMs += 100) watch.saw(held(atMs), false, atMs, atMs + 1);
      hear(watch, 'third@host@9@z', endMs);
      return watch;
    };
    assert.equal(watching('third@host@3@z', 'third@host@4@z').judge(endMs + 1)?.kind, 'cut_off');
    // Others that are silent may be with the holder, on the other side.
    assert.equal(watching('fourth@host@3@z').judge(endMs + 1), undefined);
  });

  it('is no sign of a serving member when the holder still recovers', () => {
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    watch.saw(held(1), false, 10, 11);
    watch.saw(held(2), false, 60, 61);
    const next = 'third@host@3@z';
    watch.heard(heartbeat(next, 'standby', 3), 70);
    watch.saw(leaseState({ epoch: 4, counter: 0, holder: next }), false, 80, 81);
    watch.heard(heartbeat(next, 'recovering', 4), 90);
    watch.saw(leaseState({ epoch: 4, counter: 1, holder: next }), false, 100, 101);
    assert.deepEqual([watch.active, watch.signMs], [OTHER, 60]);
    watch.heard(heartbeat(next, 'active', 4), 110);
    assert.deepEqual([watch.active, watch.signMs], [next, 110]);
  });

  it('is no sign of a term when a member of an older epoch still says that it is active', () => {
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    watch.saw(held(1), false, 10, 11);
    watch.saw(held(2), false, 60, 61);
    watch.heard(heartbeat('old@host@4@w', 'active', 2), 80);
    assert.deepEqual([watch.active, watch.signMs], [OTHER, 60]);
  });
});

describe('the standbys that the lease may be handed to', () => {
  it('are those that were heard within a lease, and can serve', () => {
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    watch.heard(heartbeat('silent@host@2@y', 'standby', 3), 100);
    watch.heard(heartbeat('good@host@3@y', 'standby', 3), 500);
    watch.heard({ ...heartbeat('bad@host@4@y', 'standby', 3), cannotServe: 'it may not subscribe' }, 500);
    watch.heard(heartbeat('busy@host@5@y', 'recovering', 3), 500);
    watch.heard(heartbeat(SELF, 'standby', 3), 500);
    assert.deepEqual(watch.standbys(100 + LEASE_MS), ['good@host@3@y']);
  });
});

describe('the other members that a status shows', () => {
  const later = 'other@host@3@z';
  const named = (watch: LeaseWatch, nowMs: number): [member: string, silentMs: number][] =>
    watch.lately(nowMs).map(({ heartbeat, silentMs }) => [heartbeat.member, silentMs]);

  it('are those that fell silent too, for ten minutes, the last one heard first', () => {
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    watch.heard(heartbeat(OTHER, 'active', 3), 100);
    watch.heard(heartbeat('third@host@4@v', 'standby', 3), 400);
    assert.deepEqual(named(watch, 1_000), [
      ['third@host@4@v', 600],
      [OTHER, 900],
    ]);
    assert.deepEqual(named(watch, 600_100 + 1), [['third@host@4@v', 599_701]]);
  });

  it('are no former processes of a node: neither while it runs another one, nor when that has said goodbye', () => {
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    watch.heard(heartbeat(OTHER, 'standby', 3), 100);
    watch.heard(heartbeat(later, 'standby', 3), 5_000);
    assert.deepEqual(named(watch, 5_100), [[later, 100]]);
    watch.left(later);
    assert.deepEqual(named(watch, 5_200), []);
  });

  it('do not pile up with every process that died and was started again', () => {
    const watch = new LeaseWatch(SELF, LEASE_MS, 0);
    for (let i = 0; i < 1_000; i++) watch.heard(heartbeat(`n@host@${i}@x`, 'standby', 3), i * 60_000);
    assert.ok(watch.peers.size <= 12, `${watch.peers.size} are kept`);
    for (let i = 0; i < 100; i++) watch.heard(heartbeat(`n${i}@host@7@x`, 'standby', 3), 60_000_000);
    assert.equal(watch.lately(60_000_000).length, 32);
  });
});
