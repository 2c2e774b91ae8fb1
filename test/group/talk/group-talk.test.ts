import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { Clock } from '../../../src/clock/clock.js';
import { encodeGroupMessage, type Heartbeat } from '../../../src/group/talk/group-messages.js';
import { groupSubjects } from '../../../src/group/talk/group-subjects.js';
import { GroupTalk } from '../../../src/group/talk/group-talk.js';
import { LogLines } from '../../harness/in-process.js';

const SUBJECTS = groupSubjects('c', 'g');
const STORE = { storeId: 'AAAAAAAAAAAAAAAAAAAAAA', groupKey: Buffer.alloc(32, 1) };
const FOREIGN = { storeId: 'BBBBBBBBBBBBBBBBBBBBBB', groupKey: Buffer.alloc(32, 2) };
const MINUTE_MS = 60_000;

describe('whom the members of a group believe', () => {
  let nowMs = 0;
  let log = new LogLines();
  const clock: Clock = {
    monotonicMs: () => nowMs,
    wallNs: () => 0n,
    setTimer: () => ({ cancel: () => {} }),
  };

  beforeEach(() => {
    nowMs = 0;
    log = new LogLines();
  });

  function member(name: string, store?: { storeId: string; groupKey?: Buffer }): GroupTalk {
    const talk = new GroupTalk({ subjects: SUBJECTS, holder: `${name}@h@1@x`, boot: name, clock, log });
    if (store !== undefined) talk.sees(store);
    return talk;
  }

  function heartbeat(name: string, change: Partial<Heartbeat> = {}): Heartbeat {
    const who = { member: `${name}@h@1@x`, node: name, role: 'active', epoch: 1 } as const;
    return {
      kind: 'heartbeat',
      ...who,
      forMs: 1e9,
      storeId: FOREIGN.storeId,
      storeDir: '/d',
      server: 's',
      ...change,
    };
  }

  /** Both have heard each other, and stores were found long ago. */
  function acquainted(): { a: GroupTalk; b: GroupTalk } {
    const [a, b] = [member('a', STORE), member('b', STORE)];
    a.decode(b.encode(heartbeat('b')));
    b.decode(a.encode(heartbeat('a')));
    a.decode(b.encode(heartbeat('b')));
    nowMs += MINUTE_MS;
    return { a, b };
  }

  it('is who sees the same store, and has heard them', () => {
    const { a, b } = acquainted();
    assert.deepEqual(b.decode(a.encode(heartbeat('a'))), { by: 'group', message: heartbeat('a') });
    assert.deepEqual(a.decode(b.encode({ kind: 'leaving', member: 'b@h@1@x' })), {
      by: 'group',
      message: { kind: 'leaving', member: 'b@h@1@x' },
    });
  });

  it('is not who has no key, or another one, whatever he says', () => {
    const { a } = acquainted();
    const stranger = member('s', FOREIGN);
    stranger.decode(a.encode(heartbeat('a')));
    for (const name of ['s', 'b', 'a']) {
      assert.equal(a.decode(encodeGroupMessage(heartbeat(name))), undefined);
      assert.equal(a.decode(stranger.encode(heartbeat(name))), undefined);
      assert.equal(
        a.decode(stranger.encode({ kind: 'offer', member: `${name}@h@1@x`, epoch: 1 })),
        undefined,
      );
    }
    assert.equal(a.ignored.counts.unproved, 9);
  });

  it('is not who plays a recording, to whom it was said, or to a process that comes later', () => {
    const { a, b } = acquainted();
    const recorded = Array.from({ length: 10 }, () => a.encode(heartbeat('a')));
    for (const message of recorded) assert.equal(b.decode(message)?.by, 'group');
    const restarted = member('b2', STORE);
    for (const message of recorded) {
      assert.equal(b.decode(message), undefined);
      assert.equal(restarted.decode(message), undefined);
    }
    assert.deepEqual([b.ignored.counts.repeated, restarted.ignored.counts.early], [10, 10]);
    assert.deepEqual(log.all, [], 'members that start are no attack');
  });

  it('takes its own message for its own once', () => {
    const { a } = acquainted();
    const own = a.encode(heartbeat('a'));
    assert.equal(a.decode(own)?.by, 'own');
    assert.equal(a.decode(own), undefined);
    assert.equal(a.decode(encodeGroupMessage(heartbeat('a'), { boot: 'a', count: 99 })), undefined);
  });

  it('is nobody before there is a store: what is said is a claim', () => {
    const alone = member('n');
    const said = heartbeat('a');
    assert.deepEqual(alone.decode(encodeGroupMessage(said)), { by: 'claim', heartbeat: said });
    assert.deepEqual(alone.decode(member('a', STORE).encode(said)), { by: 'claim', heartbeat: said });
    assert.equal(alone.decode(encodeGroupMessage({ kind: 'released', member: 'a', epoch: 1 })), undefined);
  });

  it('is everyone on a store of release 0.1.0, which has no key, until it is carried over', () => {
    const former = member('n', { storeId: STORE.storeId });
    const said = heartbeat('a', { storeId: STORE.storeId });
    assert.deepEqual(former.decode(encodeGroupMessage(said)), { by: 'group', message: said });
    former.sees(STORE);
    assert.equal(former.decode(encodeGroupMessage(said)), undefined);
  });

  it('is told once a minute, with what to do, and what was claimed', () => {
    const { a } = acquainted();
    for (let i = 0; i < 1_000; i++) {
      a.decode(encodeGroupMessage(heartbeat('evil')));
      nowMs += 100;
    }
    assert.equal(log.all.length, 2);
    assert.match(
      log.all[0]!,
      /^a message on _STANCHION\.group\.c\.g\.talk had no valid proof of this store, and changed nothing \(one claimed to be of node evil, active, with store BBBB.* in \/d, at NATS server s\)\. Either another group of the same names.*Or the messages are forged: permit "_STANCHION\.group\.>" to brokers only$/,
    );
    assert.match(log.all[1]!, /^600 messages /);
    assert.match(a.ignored.problem ?? '', /^1000 messages on .* since the start, and changed nothing/);
    nowMs += 2 * MINUTE_MS;
    assert.equal(a.ignored.problem, undefined);
  });

  it('is not told while members of the group find the key of a new store, one after the other', () => {
    const a = member('a', STORE);
    a.decode(encodeGroupMessage(heartbeat('b', { storeId: '' })));
    a.decode(encodeGroupMessage(heartbeat('b', { storeId: STORE.storeId })));
    assert.deepEqual([log.all, a.ignored.counts.early], [[], 2]);
    a.decode(encodeGroupMessage(heartbeat('b')));
    assert.equal(log.all.length, 1, 'one with another store is told');
  });

  it('answers what it is asked, provably to this very request', () => {
    const { a, b } = acquainted();
    const asked = b.ask(SUBJECTS.view, { kind: 'summary' });
    assert.deepEqual(a.asked(SUBJECTS.view, asked), { kind: 'summary' });
    assert.equal(a.asked(SUBJECTS.view, asked), undefined, 'once');
    assert.equal(a.asked(SUBJECTS.view, Buffer.from('{"kind":"summary"}')), undefined);
    assert.equal(
      a.asked(SUBJECTS.view, member('s', FOREIGN).ask(SUBJECTS.view, { kind: 'summary' })),
      undefined,
    );
  });
});
