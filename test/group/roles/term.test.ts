import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { StoreError } from '../../../src/files/store-error.js';
import type { MemberParts } from '../../../src/group/roles/member-parts.js';
import type { OpenService, Service } from '../../../src/group/roles/service.js';
import { Term, type TermEnd } from '../../../src/group/roles/term.js';
import type { LeaseRenewer, RenewerOptions } from '../../../src/lease/lease-renewer.js';
import type { LogFields } from '../../../src/log/logger.js';
import { ManualClock } from '../../clock/manual-clock.js';
import { leaseState } from '../../harness/lease-states.js';

const LEASE_MS = 600;
const GONE = new Error('ENOENT');

/** A term that is renewed when the test says so. */
class Held implements LeaseRenewer {
  readonly clock = new ManualClock();
  renewedMs = 0;
  readonly renewalMs = 0;
  readonly counter = 1;
  hasStopped = false;
  hasServed = false;
  hasReleased = false;
  end: TermEnd | undefined;
  readonly term: Term;
  readonly service: {
    broker: Pick<Service['broker'], 'stop'>;
    drain: () => Promise<void>;
    isSynced: boolean;
    writingSinceMs: number | undefined;
  };
  readonly told: string[] = [];
  renewerOptions!: RenewerOptions;
  openService: OpenService | undefined;
  #asked: { resolve(): void; reject(error: Error): void }[] = [];

  constructor() {
    const parts = {
      clock: this.clock,
      options: { name: 'g', nodeName: 'a', leaseMs: LEASE_MS },
      dir: '/store',
      log: {
        error: ({ reason }: LogFields, message: string) => this.told.push(String(reason ?? message)),
      },
      openService: (...args: Parameters<OpenService>) => this.openService!(...args),
      startRenewer: (options: RenewerOptions) => {
        this.renewerOptions = options;
        return this;
      },
    };
    this.term = new Term(
      parts as unknown as MemberParts,
      leaseState({ epoch: 1, counter: 0, holder: 'a' }),
      0,
    );
    const stop = (): void => {
      this.hasStopped = true;
    };
    const broker = { stop };
    // Its store closes when the test ends, if what is written hangs.
    const drain = (): Promise<void> =>
      this.service.writingSinceMs === undefined ? settled() : new Promise(() => {});
    this.service = { broker, drain, isSynced: true, writingSinceMs: undefined };
    this.term.service = this.service as unknown as Service;
    void this.term.ended.then((end) => {
      this.end = end;
    });
  }

  markServed(): Promise<void> {
    this.hasServed = true;
    return this.fence();
  }

  fence(): Promise<void> {
    return new Promise((resolve, reject) => this.#asked.push({ resolve, reject }));
  }

  renewed(): void {
    this.renewedMs = this.clock.monotonicMs();
    for (const { resolve } of this.#asked.splice(0)) resolve();
  }

  /** As the renewers do: whoever waits for a fence is told, and the term. */
  taken(): void {
    const error = new StoreError('lost', 'The lease has been taken over by b in epoch 2');
    for (const { reject } of this.#asked.splice(0)) reject(error);
    this.renewerOptions.onLost(error);
  }

  async release(): Promise<boolean> {
    this.hasReleased = true;
    return true;
  }

  stop(): void {}
}

/** All promises that can be settled are. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('a term whose lock is no longer its own', () => {
  let held: Held;
  beforeEach(() => {
    held = new Held();
  });

  it('says nothing more from that moment, and ends when it has asked whose the lease is', async () => {
    held.term.lockLost(GONE);
    assert.deepEqual([held.hasStopped, held.term.isEnded], [true, true]);
    await settled();
    assert.equal(held.end, undefined);
    held.taken();
    await settled();
    assert.deepEqual(held.end, { kind: 'lost', why: 'The lease has been taken over by b in epoch 2' });
  });

  it('ends as failed by itself if the lease can still be renewed', async () => {
    held.term.lockLost(GONE);
    held.renewed();
    await settled();
    assert.equal(held.end?.kind, 'failed');
    assert.match(
      held.end.why,
      /lock of epoch 1 is no longer its own, though no member has taken the lease: ENOENT/,
    );
    assert.match(held.end.why, /\/store\/lease\.locks/);
  });

  it('has one end, whatever else happens meanwhile', async () => {
    held.term.lockLost(GONE);
    held.term.end({ kind: 'handover', why: 'it is being stopped' });
    held.term.linkDown('reset');
    held.clock.advance(2 * LEASE_MS);
    await settled();
    assert.equal(held.end, undefined);
    held.taken();
    await settled();
    assert.equal(held.end!.kind, 'lost');
  });

  it('does not wait for a store that hangs for longer than any term does', async () => {
    held.term.lockLost(GONE);
    for (let looks = 0; looks < 3; looks++) {
      assert.equal(held.end, undefined);
      held.clock.advance(5 * LEASE_MS);
      held.term.checkRenewals();
      await settled();
    }
    assert.deepEqual(held.end, { kind: 'failed', why: 'the store in /store has not answered for 9000 ms' });
  });

  it('hears of nothing once it has ended', async () => {
    held.taken();
    await settled();
    held.term.lockLost(GONE);
    held.renewed();
    await settled();
    assert.equal(held.end!.kind, 'lost');
  });
});

describe('a term whose data hang, while names do not', () => {
  let held: Held;
  beforeEach(() => {
    held = new Held();
  });

  /** As with each heartbeat, while renewals go on. */
  const pass = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += LEASE_MS / 3) {
      held.clock.advance(LEASE_MS / 3);
      held.renewed();
      held.term.checkRenewals();
      held.term.checkWrites();
      await settled();
    }
  };

  it('ends when one write has not ended for longer than any disk is slow', async () => {
    held.service.writingSinceMs = held.clock.monotonicMs();
    await pass(9_800);
    assert.equal(held.end, undefined);
    await pass(800);
    const end = held.end as TermEnd | undefined;
    assert.equal(end?.kind, 'failed');
    assert.match(end.why, /a write to the store in \/store has not ended for 10\d{3} ms/);
    assert.equal(held.hasStopped, true);
  });

  it('goes on while writes end, however long they take, and where its process stood still in one', async () => {
    for (let writes = 0; writes < 5; writes++) {
      held.service.writingSinceMs = held.clock.monotonicMs();
      await pass(8_000);
    }
    held.clock.advance(60_000);
    held.term.checkWrites();
    held.service.writingSinceMs = held.clock.monotonicMs();
    await pass(1_000);
    assert.equal(held.end, undefined);
  });

  it('is given back when it is to be, though the store cannot be closed', async () => {
    held.service.writingSinceMs = held.clock.monotonicMs();
    const given = held.term.handOver(undefined);
    held.clock.advance(9_999);
    await settled();
    assert.equal(held.hasReleased, false);
    held.clock.advance(1);
    assert.equal(await given, true);
    assert.deepEqual(held.told, ['the store in /store has not ended its writes for 10000 ms']);
    assert.deepEqual([held.hasStopped, held.hasReleased], [true, true]);
  });

  it('is given back at once where nothing hangs', async () => {
    assert.equal(await held.term.handOver(undefined), true);
    assert.deepEqual(held.told, []);
  });
});

describe('a term whose recovery hangs', () => {
  const PATH = '/store/journal/00000001.000001.log';
  let held: Held;
  /** Calls to the file system that have not ended. */
  let underWay: (() => void)[];
  let hasBeenAbandoned: boolean;
  const abandon = async (): Promise<void> => {
    hasBeenAbandoned = true;
  };

  beforeEach(() => {
    held = new Held();
    held.term.service = undefined;
    underWay = [];
    hasBeenAbandoned = false;
    held.openService = async ({ calls }) => {
      const call = (): Promise<void> => new Promise((resolve) => underWay.push(resolve));
      for (let reads = 0; reads < 3; reads++) await calls.run('read', PATH, call);
      return { ...held.service, abandon } as unknown as Service;
    };
  });

  /** As with each heartbeat, while renewals go on. */
  const pass = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += LEASE_MS / 3) {
      held.clock.advance(LEASE_MS / 3);
      held.renewedMs = held.clock.monotonicMs();
      held.term.checkRenewals();
      held.term.checkWrites();
      held.term.checkRecovery();
      await settled();
    }
  };
  const callEnds = async (): Promise<void> => {
    underWay.shift()!();
    await settled();
  };

  it('ends when no call to the file system has ended for longer than any disk is slow, and says which', async () => {
    const opening = held.term.open();
    await pass(9_800);
    assert.equal(held.end, undefined);
    await pass(800);
    const end = held.end as TermEnd | undefined;
    assert.equal(end?.kind, 'failed');
    assert.match(
      end.why,
      /recovering the store hangs: read of \/store\/journal\/\S+\.log has not ended for 10\d{3} ms/,
    );
    assert.equal(await opening, undefined);
    await pass(1_000);
    assert.equal(held.told.length, 1);
    assert.match(
      held.told[0]!,
      /the store in \/store hangs: read of \S+ .* The lease is given back, .* \(node a\) takes none .* Look at the mount/,
    );
  });

  it('goes on as long as calls end, however long that takes', async () => {
    const opening = held.term.open();
    for (let reads = 0; reads < 3; reads++) {
      await pass(9_000);
      await callEnds();
    }
    assert.equal(
      held.hasServed,
      true,
      'its first record is durable, and the lease says so before anyone is served',
    );
    held.renewed();
    assert.deepEqual(await opening, { recoveryMs: held.clock.monotonicMs(), fenceMs: 0 });
    await pass(60_000);
    assert.deepEqual([held.end, held.told], [undefined, []]);
  });

  it('goes on while nothing is asked of the file system, and where its process stood still in a call', async () => {
    let compute!: () => void;
    const computed = new Promise<void>((resolve) => {
      compute = resolve;
    });
    const { openService } = held;
    held.openService = async (options) => {
      await computed;
      return openService!(options);
    };
    const opening = held.term.open();
    await pass(60_000);
    compute();
    await settled();
    held.clock.advance(60_000);
    held.term.checkRecovery();
    for (let reads = 0; reads < 3; reads++) await callEnds();
    held.renewed();
    await opening;
    assert.equal(held.end, undefined);
  });

  it('asks nothing more of the file system once it has ended, whatever ends late', async () => {
    void held.term.open();
    await pass(11_000);
    assert.equal(held.end?.kind, 'failed');
    assert.equal(held.term.calls.oldest?.path, PATH);
    await callEnds();
    assert.deepEqual([underWay.length, held.term.calls.oldest], [0, undefined]);
    assert.equal(held.term.service, undefined);
  });

  it('is given back at once when it is to be', async () => {
    const opening = held.term.open();
    await settled();
    held.term.end({ kind: 'handover', why: 'it is being stopped' });
    assert.equal(await opening, undefined);
    assert.equal(await held.term.handOver(undefined), true);
    await callEnds();
    assert.equal(underWay.length, 0);
  });

  it('closes its store if that is opened in the moment in which it ends', async () => {
    held.openService = async () => {
      await settled();
      return { ...held.service, abandon } as unknown as Service;
    };
    const opening = held.term.open();
    held.term.end({ kind: 'lost', why: 'The lease has been taken over by b in epoch 2' });
    assert.equal(await opening, undefined);
    await settled();
    assert.deepEqual([held.term.service, hasBeenAbandoned], [undefined, true]);
  });
});
