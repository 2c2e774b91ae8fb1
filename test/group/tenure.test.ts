import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { KeeperOptions, ReignKeeper } from '../../src/group/keeper.js';
import type { MemberParts } from '../../src/group/member-parts.js';
import type { Service } from '../../src/group/service.js';
import { Tenure, type TenureEnd } from '../../src/group/tenure.js';
import { StoreError } from '../../src/store/errors.js';
import { ManualClock } from '../clock/manual-clock.js';

const LEASE_MS = 600;
const GONE = new Error('ENOENT');

/** A reign that is renewed when the test says so. */
class Held implements ReignKeeper {
  readonly clock = new ManualClock();
  renewedMs = 0;
  readonly renewalMs = 0;
  readonly counter = 1;
  hasStopped = false;
  end: TenureEnd | undefined;
  readonly tenure: Tenure;
  keeperOptions!: KeeperOptions;
  #asked: { resolve(): void; reject(error: Error): void }[] = [];

  constructor() {
    const parts = {
      clock: this.clock,
      options: { name: 'g', nodeName: 'a', leaseMs: LEASE_MS },
      dir: '/store',
      keepReign: (options: KeeperOptions) => {
        this.keeperOptions = options;
        return this;
      },
    };
    this.tenure = new Tenure(parts as unknown as MemberParts, { epoch: 1, counter: 0, holder: 'a' }, 0);
    const stop = (): void => {
      this.hasStopped = true;
    };
    this.tenure.service = { broker: { stop } } as unknown as Service;
    void this.tenure.ended.then((end) => {
      this.end = end;
    });
  }

  fence(): Promise<void> {
    return new Promise((resolve, reject) => this.#asked.push({ resolve, reject }));
  }

  renewed(): void {
    this.renewedMs = this.clock.monotonicMs();
    for (const { resolve } of this.#asked.splice(0)) resolve();
  }

  /** As the keepers do: whoever waits for a fence is told, and the tenure. */
  taken(): void {
    const error = new StoreError('lost', 'The reign has been taken over by b in epoch 2');
    for (const { reject } of this.#asked.splice(0)) reject(error);
    this.keeperOptions.onLost(error);
  }

  async release(): Promise<boolean> {
    return true;
  }

  stop(): void {}
}

/** All promises that can be settled are. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('a reign whose lock is no longer its own', () => {
  let held: Held;
  beforeEach(() => {
    held = new Held();
  });

  it('says nothing more from that moment, and ends when it has asked whose the reign is', async () => {
    held.tenure.lockLost(GONE);
    assert.deepEqual([held.hasStopped, held.tenure.isEnded], [true, true]);
    await settled();
    assert.equal(held.end, undefined);
    held.taken();
    await settled();
    assert.deepEqual(held.end, { kind: 'lost', why: 'The reign has been taken over by b in epoch 2' });
  });

  it('ends as failed by itself if the reign can still be renewed', async () => {
    held.tenure.lockLost(GONE);
    held.renewed();
    await settled();
    assert.equal(held.end?.kind, 'failed');
    assert.match(
      held.end.why,
      /lock of epoch 1 is no longer its own, though nobody has taken the reign: ENOENT/,
    );
    assert.match(held.end.why, /\/store\/reign\.locks/);
  });

  it('has one story, whatever else happens meanwhile', async () => {
    held.tenure.lockLost(GONE);
    held.tenure.end({ kind: 'handover', why: 'it is being stopped' });
    held.tenure.linkDown('reset');
    held.clock.advance(2 * LEASE_MS);
    await settled();
    assert.equal(held.end, undefined);
    held.taken();
    await settled();
    assert.equal(held.end!.kind, 'lost');
  });

  it('does not wait for a store that hangs for longer than any reign does', async () => {
    held.tenure.lockLost(GONE);
    for (let looks = 0; looks < 3; looks++) {
      assert.equal(held.end, undefined);
      held.clock.advance(5 * LEASE_MS);
      held.tenure.checkRenewals();
      await settled();
    }
    assert.deepEqual(held.end, { kind: 'failed', why: 'the store in /store has not answered for 9000 ms' });
  });

  it('is told nothing once it has ended', async () => {
    held.taken();
    await settled();
    held.tenure.lockLost(GONE);
    held.renewed();
    await settled();
    assert.equal(held.end!.kind, 'lost');
  });
});
