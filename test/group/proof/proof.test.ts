import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isSealed, SEAL_BYTES, seal } from '../../../src/group/proof/seal.js';
import { MAX_SENDERS, Senders } from '../../../src/group/proof/senders.js';

const KEY = Buffer.alloc(32, 7);
const ABOUT = ['_STANCHION.group.c.g.talk'];

describe('the seal of a message', () => {
  const sealed = seal(KEY, ABOUT, '{"kind":"leaving","member":"ä"}');

  it('is one more field of the same object, for who knows no seals', () => {
    const { mac, ...rest } = JSON.parse(sealed.toString());
    assert.deepEqual(rest, { kind: 'leaving', member: 'ä' });
    assert.match(mac, /^[\w-]{22}$/);
    assert.equal(sealed.length, Buffer.byteLength('{"kind":"leaving","member":"ä"}') + SEAL_BYTES);
  });

  it('holds for these bytes, this key and this subject alone', () => {
    assert.ok(isSealed(KEY, ABOUT, sealed));
    assert.ok(!isSealed(Buffer.alloc(32, 8), ABOUT, sealed));
    assert.ok(!isSealed(KEY, ['_STANCHION.group.c.h.talk'], sealed));
    // The same letters, divided otherwise.
    assert.ok(!isSealed(KEY, ['_STANCHION.group.c.g', '.talk'], sealed));
    for (let i = 0; i < sealed.length; i++) {
      const changed = Buffer.from(sealed);
      changed[i]! ^= 1;
      assert.ok(!isSealed(KEY, ABOUT, changed), `byte ${i}`);
    }
    for (let length = 0; length < sealed.length; length++)
      assert.ok(!isSealed(KEY, ABOUT, sealed.subarray(0, length)), `${length} bytes`);
    assert.ok(!isSealed(KEY, ABOUT, Buffer.concat([sealed, Buffer.from(' ')])));
  });
});

describe('what tells a message from a recording of it', () => {
  /** Two processes that have heard each other, but for what the second said last. */
  function acquainted(): { one: Senders; other: Senders } {
    const [one, other] = [new Senders('one'), new Senders('other')];
    assert.equal(other.note(one.next(), 0), 'early');
    assert.equal(one.note(other.next(), 0), 'fresh');
    return { one, other };
  }

  it('lets a process believe another as soon as that one has heard it', () => {
    const { one, other } = acquainted();
    assert.equal(other.note(one.next(), 0), 'fresh');
  });

  it('counts each message once, and none that is older than one that was heard', () => {
    const { one, other } = acquainted();
    const [first, second] = [other.next(), other.next()];
    assert.equal(one.note(second, 0), 'fresh');
    assert.equal(one.note(second, 0), 'repeated');
    assert.equal(one.note(first, 0), 'repeated');
  });

  it('never lets a process believe what was said before it was there', () => {
    const { other } = acquainted();
    const recorded = Array.from({ length: 100 }, () => other.next());
    const restarted = new Senders('one again');
    for (const message of recorded) assert.equal(restarted.note(message, 0), 'early');
  });

  it('remembers a bounded number of processes, and believes no recording of one that it has forgotten', () => {
    const { one, other } = acquainted();
    const recorded = [other.next(), other.next()];
    for (let i = 0; i <= MAX_SENDERS; i++) {
      const next = new Senders(`p${i}`);
      next.note(one.next(), i);
      one.note(next.next(), 1 + i);
      // Since another one was forgotten for it, it has to have heard of that.
      next.note(one.next(), i);
      assert.equal(one.note(next.next(), 1 + i), 'fresh', `process ${i}`);
    }
    assert.equal(one.next().heard.length, MAX_SENDERS);
    for (const message of recorded) assert.equal(one.note(message, 1_000), 'early');
  });

  it('forgets recordings of former processes before those that live', () => {
    const { one, other } = acquainted();
    for (let i = 0; i < 10 * MAX_SENDERS; i++) one.note(new Senders(`old${i}`).next(), 1 + i);
    assert.equal(one.note(other.next(), 1_000), 'fresh');
  });

  it('takes an own message that comes back for one once', () => {
    const one = new Senders('one');
    const [first, second] = [one.next(), one.next()];
    assert.ok(one.own(first));
    assert.ok(!one.own(first));
    assert.ok(one.own(second));
    assert.ok(!one.own({ boot: 'one', count: 3 }), 'it was not sent yet');
    assert.ok(!one.own({ boot: 'other', count: 2 }));
  });
});
