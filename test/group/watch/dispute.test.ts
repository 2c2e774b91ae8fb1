import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Dispute } from '../../../src/group/watch/dispute.js';

const LEASE_MS = 600;
const MINUTE_MS = 60_000;
const THEIRS = 'other@host@2@y';
const OURS = 'me@host@1@x';

/** Two sides, by turns: one that is not heard begins. */
class Turns {
  readonly dispute = new Dispute(LEASE_MS);
  nowMs = 0;
  epoch = 0;

  /** The next term of each side. @returns what it makes of it when the other one has had it for a lease */
  round(betweenMs = 3_000): number | undefined {
    this.theirs();
    this.nowMs += betweenMs;
    this.dispute.passed(++this.epoch, OURS, true, this.nowMs);
    this.nowMs += betweenMs;
    this.theirs();
    this.nowMs += LEASE_MS;
    return this.dispute.news(this.nowMs)?.rounds;
  }

  theirs(): void {
    this.dispute.passed(++this.epoch, THEIRS, false, this.nowMs);
  }

  /** Some time later this one has the lease. */
  taken(holder: string): void {
    this.nowMs += 3_000;
    this.dispute.passed(++this.epoch, holder, holder === OURS, this.nowMs);
  }

  get patienceMs(): number {
    return this.dispute.patienceMs(THEIRS, this.nowMs);
  }
}

describe('a term that goes back and forth between members that do not hear each other', () => {
  it('is news from the second time on, and each time the other side is left in peace for longer, up to five minutes', () => {
    const turns = new Turns();
    assert.equal(turns.patienceMs, 5 * LEASE_MS);
    assert.equal(turns.round(), undefined);
    assert.equal(turns.patienceMs, 5 * LEASE_MS);
    for (let count = 2; count < 30; count++) {
      assert.equal(turns.round(), count);
      assert.equal(turns.dispute.news(turns.nowMs), undefined, 'it is told once');
      assert.equal(turns.patienceMs, Math.min(5 * MINUTE_MS, 5 * LEASE_MS * 2 ** (count - 1)));
    }
    assert.equal(turns.dispute.patienceMs(OURS, turns.nowMs), 5 * LEASE_MS, 'of others nothing changes');
  });

  it('goes on while both wait as long as they may, and is forgotten if it has stopped', () => {
    const turns = new Turns();
    for (let count = 1; count < 5; count++) turns.round();
    assert.equal(turns.round(5 * MINUTE_MS), 5);
    turns.nowMs += 21 * MINUTE_MS;
    assert.equal(turns.patienceMs, 5 * LEASE_MS);
    assert.equal(turns.round(), undefined);
  });

  it('has ended when the other one is heard', () => {
    const turns = new Turns();
    for (let count = 1; count < 5; count++) turns.round();
    turns.dispute.heard(THEIRS, false);
    assert.equal(turns.patienceMs, 5 * LEASE_MS);
    assert.equal(turns.round(), undefined);
  });

  it('stands from the second time on, under either side, until the other side is heard or it is forgotten', () => {
    const turns = new Turns();
    const { dispute } = turns;
    turns.round();
    assert.equal(dispute.standing(turns.nowMs), undefined);
    const sinceMs = turns.nowMs - LEASE_MS;
    turns.round();
    const { epoch } = turns;
    const stands = { rounds: 2, rivals: [THEIRS], epoch, sinceMs, waitMs: 10 * LEASE_MS };
    assert.deepEqual(dispute.standing(turns.nowMs), stands);
    turns.taken(OURS);
    assert.deepEqual(dispute.standing(turns.nowMs), stands, 'it goes on in the turn of this side');
    turns.taken('third@host@3@z');
    turns.nowMs += LEASE_MS;
    dispute.news(turns.nowMs);
    assert.deepEqual(dispute.standing(turns.nowMs)?.rivals, [THEIRS, 'third@host@3@z']);
    assert.equal(dispute.standing(turns.nowMs + 21 * MINUTE_MS), undefined);
    turns.taken(OURS);
    dispute.heard('somebody@host@4@w', false);
    assert.notEqual(dispute.standing(turns.nowMs), undefined);
    dispute.heard(THEIRS, false);
    assert.equal(dispute.standing(turns.nowMs), undefined);
    assert.equal(turns.round(), undefined, 'the next one is another');
    assert.equal(turns.round(), 2);
    assert.deepEqual(dispute.standing(turns.nowMs)?.rivals, [THEIRS]);
  });

  it('ends when a node of the other side is started again on this one, and not by a namesake on this side', () => {
    const turns = new Turns();
    for (let count = 1; count <= 2; count++) turns.round();
    turns.dispute.heard('other@elsewhere@7@z', false);
    assert.notEqual(turns.dispute.standing(turns.nowMs), undefined);
    turns.dispute.heard('new@host@8@z', true);
    assert.notEqual(turns.dispute.standing(turns.nowMs), undefined);
    turns.dispute.heard('other@host@9@z', true);
    assert.equal(turns.dispute.standing(turns.nowMs), undefined);
  });

  it('names the last ones of a side that always comes with others', () => {
    const turns = new Turns();
    for (let count = 1; count <= 20; count++) {
      turns.taken(`${count}@host@${count}@y`);
      turns.nowMs += LEASE_MS;
      turns.dispute.news(turns.nowMs);
      turns.taken(OURS);
    }
    const rivals = turns.dispute.standing(turns.nowMs)!.rivals;
    assert.deepEqual([rivals.length, rivals.at(-1)], [8, '20@host@20@y']);
  });

  it('is none where another member is heard soon after it took the lease', () => {
    const { dispute } = new Turns();
    for (let epoch = 1; epoch < 20; epoch += 2) {
      dispute.passed(epoch, `${epoch}@host@2@y`, false, epoch * 1_000);
      assert.equal(dispute.news(epoch * 1_000 + 100), undefined);
      dispute.heard(`${epoch}@host@2@y`, false);
      assert.equal(dispute.news(epoch * 1_000 + LEASE_MS), undefined);
      dispute.passed(epoch + 1, OURS, true, epoch * 1_000 + 900);
    }
  });

  it('is none where members that are heard keep the lease, nor in what a mount remembers', () => {
    const turns = new Turns();
    turns.round();
    for (let look = 0; look < 5; look++) {
      turns.dispute.passed(turns.epoch - 1, OURS, true, turns.nowMs);
      turns.dispute.passed(turns.epoch, THEIRS, false, turns.nowMs);
      turns.nowMs += LEASE_MS;
      assert.equal(turns.dispute.news(turns.nowMs), undefined);
    }
    for (let lease = 0; lease < 5; lease++) turns.dispute.passed(++turns.epoch, OURS, true, turns.nowMs);
    turns.nowMs += LEASE_MS;
    assert.equal(turns.dispute.news(turns.nowMs), undefined);
  });
});
