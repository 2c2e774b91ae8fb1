import assert from 'node:assert/strict';
import { readdirSync, renameSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { systemClock } from '../../src/clock/clock.js';
import { nodeFs, type StoreFs } from '../../src/files/fs.js';
import { Lease } from '../../src/lease/lease.js';
import { type LeaseRenewer, startRenewer } from '../../src/lease/lease-renewer.js';
import {
  type LeaseState,
  leaseFileName,
  parseLeaseFileName,
  RELEASED,
  sameLease,
} from '../../src/lease/lease-state.js';
import { RenewalThread } from '../../src/lease/renewal-thread.js';
import { SharedLease } from '../../src/lease/shared-lease.js';
import { ThreadedRenewer } from '../../src/lease/threaded-renewer.js';
import type { LogFields, Logger } from '../../src/log/logger.js';
import { leaseState, newTerm } from '../harness/lease-states.js';
import { holdsFor, waitFor } from '../harness/wait.js';

const LEASE_MS = 300;
/** So short that the worker renews as often as it can. */
const SHORTEST_MS = 3;
/** A fence is handed to the worker so often before this thread renews by itself. */
const HANDED = 10;

const silent: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: (_fields: LogFields, message: string) => assert.fail(message),
  child: () => silent,
};

/** Whether it is settled before the event loop turns, which an answer of another thread would need. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let isDone = false;
  const settle = () => {
    isDone = true;
  };
  promise.then(settle, settle);
  for (let i = 0; i < 10; i++) await Promise.resolve();
  return isDone;
}

describe('a term kept by two threads', () => {
  let dir: string;
  let lease: Lease;
  let thread: RenewalThread;
  let kept: LeaseRenewer | undefined;
  let lost: Error[] = [];

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'stanchion-renewal-'));
    lease = new Lease(nodeFs, dir);
    await lease.create('test');
    thread = await RenewalThread.start(dir, silent);
  });
  after(async () => {
    await thread.close();
    await rm(dir, { recursive: true });
  });
  beforeEach(() => {
    lost = [];
    kept = undefined;
  });
  afterEach(() => kept?.stop());

  /** Takes the lease, whoever has it. */
  async function keep(leaseMs: number): Promise<LeaseRenewer> {
    const known = await lease.read();
    const takenMs = systemClock.monotonicMs();
    const state = await lease.takeOver(known, newTerm(known.epoch + 1, 'me', leaseMs));
    assert.notEqual(state, 'lost');
    kept = thread.keep({
      clock: systemClock,
      lease,
      state: state as LeaseState,
      takenMs,
      leaseMs,
      onLost: (error) => lost.push(error),
    });
    return kept;
  }

  /** The same, renewed so often that fences renew in this thread. */
  async function keepQuickly(leaseMs: number): Promise<LeaseRenewer> {
    const renewer = await keep(leaseMs);
    let ownInRow = 0;
    await waitFor(async () => {
      const fenced = renewer.fence();
      ownInRow = (await isSettled(fenced)) ? ownInRow + 1 : 0;
      await fenced;
      return ownInRow === HANDED;
    }, 'fences renew in their own thread');
    return renewer;
  }

  function stateNow(): LeaseState {
    const names = readdirSync(join(dir, 'lease'));
    for (const name of names) {
      const state = parseLeaseFileName(name);
      if (state !== undefined) return state;
    }
    // A listing in the middle of a rename.
    return stateNow();
  }

  /** Keeps the event loop busy. @returns the changes of the lease that it saw meanwhile */
  function keepBusy(forMs: number): { state: LeaseState; atMs: number }[] {
    const begunMs = performance.now();
    const seen = [{ state: stateNow(), atMs: 0 }];
    for (let atMs = 0; atMs < forMs; atMs = performance.now() - begunMs) {
      const state = stateNow();
      if (!sameLease(state, seen.at(-1)!.state)) seen.push({ state, atMs });
    }
    return seen;
  }

  /** As another member would. */
  function takeNow(): LeaseState {
    for (;;) {
      const known = stateNow();
      const next = { ...known, epoch: known.epoch + 1, counter: 0, holder: 'other' };
      try {
        renameSync(join(dir, 'lease', leaseFileName(known)), join(dir, 'lease', leaseFileName(next)));
        return next;
      } catch {
        // Renewed in between.
      }
    }
  }

  it('is renewed without any fence', async () => {
    const renewer = await keep(LEASE_MS);
    const { counter } = stateNow();
    await waitFor(() => stateNow().counter >= counter + 5, 'five renewals');
    assert.ok(systemClock.monotonicMs() - renewer.renewedMs < LEASE_MS);
    assert.ok(renewer.renewalMs > 0 && renewer.renewalMs < LEASE_MS);
  });

  it('is renewed while the event loop is busy for three leases', async () => {
    const renewer = await keep(LEASE_MS);
    await renewer.fence();
    const changes = keepBusy(3 * LEASE_MS);
    assert.ok(changes.length >= 6, `${changes.length} changes`);
    const gaps = changes.slice(1).map(({ atMs }, i) => atMs - changes[i]!.atMs);
    assert.ok(Math.max(...gaps) < LEASE_MS, `not renewed for ${Math.max(...gaps)} ms`);
    await renewer.fence();
    assert.deepEqual(lost, []);
  });

  it('is marked as served with the next renewal, and stays so, whichever thread renews', async () => {
    const renewer = await keepQuickly(LEASE_MS);
    const { servedEpoch, epoch } = stateNow();
    assert.ok(servedEpoch < epoch);
    await renewer.markServed();
    const marked = stateNow();
    assert.equal(marked.servedEpoch, epoch);
    await waitFor(() => stateNow().counter >= marked.counter + 3, 'the other thread renews');
    await renewer.fence();
    assert.equal(stateNow().servedEpoch, epoch);
    assert.ok(await renewer.release());
    assert.deepEqual([stateNow().servedEpoch, stateNow().holder], [epoch, RELEASED]);
    await keep(LEASE_MS);
    assert.equal(stateNow().servedEpoch, epoch, 'the next term has not served yet');
    assert.deepEqual(lost, []);
  });

  it('is not renewed for a loop that has been busy for more than five leases, and is when it turns again', async () => {
    const renewer = await keep(LEASE_MS);
    await renewer.fence();
    const changes = keepBusy(7.5 * LEASE_MS);
    const last = changes.at(-1)!;
    assert.ok(last.atMs > 4 * LEASE_MS && last.atMs < 6 * LEASE_MS, `last renewed at ${last.atMs} ms`);
    await waitFor(() => stateNow().counter > last.state.counter, 'it is renewed again');
    await renewer.fence();
    assert.deepEqual(lost, []);
  });

  it('fences in the thread of the event loop where renaming is quick', async () => {
    const renewer = await keepQuickly(60_000);
    const { counter } = stateNow();
    const fenced = renewer.fence();
    assert.equal(stateNow().counter, counter + 1);
    assert.ok(await isSettled(fenced));
  });

  it('has one renewal for all who ask before it begins', async () => {
    const renewer = await keep(60_000);
    const { counter } = stateNow();
    await Promise.all(Array.from({ length: 100 }, () => renewer.fence()));
    assert.equal(stateNow().counter, counter + 2);
  });

  it('is not lost by two threads that race for it, and its counter only grows', async () => {
    const renewer = await keepQuickly(SHORTEST_MS);
    const first = stateNow().counter;
    let fences = 0;
    let last = first;
    for (const endMs = performance.now() + 3_000; performance.now() < endMs; ) {
      for (let i = 0; i < 50; i++) {
        fences++;
        await renewer.fence();
        const { counter, holder } = stateNow();
        assert.equal(holder, 'me');
        assert.ok(counter > last, `${counter} after ${last}`);
        last = counter;
      }
      // Nobody fences: the worker does, and goes on while the next fences come.
      keepBusy(Math.random() * 2 * SHORTEST_MS);
      await setImmediate();
    }
    assert.deepEqual(lost, []);
    const byWorker = last - first - fences;
    assert.ok(fences > 1_000 && byWorker > 100, `${fences} fences, ${byWorker} renewals by the worker`);
  });

  it('is given back while the worker renews, and not touched after that', async () => {
    for (let i = 0; i < 30; i++) {
      const renewer = await keep(SHORTEST_MS);
      await renewer.fence();
      keepBusy(Math.random() * 10);
      assert.equal(await renewer.release(), true);
      const released = stateNow();
      assert.equal(released.holder, RELEASED);
      await assert.rejects(renewer.fence(), /given up/);
      keepBusy(3 * SHORTEST_MS);
      assert.deepEqual(stateNow(), released);
    }
    assert.deepEqual(lost, []);
  });

  it('is left alone after a stop', async () => {
    for (let i = 0; i < 30; i++) {
      const renewer = await keep(SHORTEST_MS);
      await renewer.fence();
      keepBusy(Math.random() * 10);
      const asked = renewer.fence();
      renewer.stop();
      await asked.catch(() => {});
      const { epoch, counter } = stateNow();
      keepBusy(6 * SHORTEST_MS);
      const left = stateNow();
      // The renewal that had begun may end, whenever its thread gets to it.
      assert.ok(left.epoch === epoch && left.counter <= counter + 1, `${counter} to ${left.counter}`);
      await assert.rejects(renewer.fence(), /given up/);
    }
    assert.deepEqual(lost, []);
  });

  it('fails the next fence, before the loop turns, once the worker has found it taken', async () => {
    const renewer = await keep(LEASE_MS);
    await renewer.fence();
    const taken = takeNow();
    keepBusy(LEASE_MS);
    const fenced = renewer.fence();
    fenced.catch(() => {});
    assert.ok(await isSettled(fenced), 'it waits');
    await assert.rejects(fenced, { code: 'lost', message: new RegExp(`by other in epoch ${taken.epoch}$`) });
    assert.equal(lost.length, 1);
    assert.equal(await renewer.release(), false);
    assert.deepEqual(stateNow(), taken);
  });

  it('fails a fence that finds the store gone, and says so, whichever thread renews', async () => {
    for (const make of [keep, keepQuickly]) {
      const renewer = await make(60_000);
      renameSync(join(dir, 'lease'), join(dir, 'away'));
      await assert.rejects(renewer.fence(), {
        code: 'lost',
        message: /^The store is gone: \S+\/lease holds no store any more/,
      });
      renameSync(join(dir, 'away'), join(dir, 'lease'));
    }
  });

  it('fails a fence that finds it taken itself', async () => {
    const renewer = await keepQuickly(60_000);
    takeNow();
    await assert.rejects(renewer.fence(), { code: 'lost', message: /taken over by other/ });
    await assert.rejects(renewer.fence(), { code: 'lost', message: /taken over by other/ });
    assert.equal(lost.length, 1);
    assert.equal(await renewer.release(), false);
  });

  it('reports that it is lost without any fence', async () => {
    await keep(LEASE_MS);
    takeNow();
    await waitFor(() => lost.length > 0, 'it is told');
    assert.match(lost[0]!.message, /taken over by other/);
  });

  it('is lost with the thread that renews it, and the next one gets a new thread', async () => {
    const renewer = await keep(LEASE_MS);
    await thread.close();
    await waitFor(() => lost.length > 0, 'it is told');
    assert.match(lost[0]!.message, /thread that renews the term has ended/);
    await assert.rejects(renewer.fence(), /has ended/);
    renewer.stop();
    lost = [];
    await (await keep(LEASE_MS)).fence();
    keepBusy(2 * LEASE_MS);
    assert.deepEqual(lost, []);
  });
});

describe('a fence while the other thread is renewing', () => {
  let dir: string;
  let lease: Lease;
  let state: LeaseState;
  let shared: SharedLease;
  let renewer: ThreadedRenewer;
  let worker: MessagePort;
  let asked = 0;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'stanchion-renewal-'));
    lease = new Lease(nodeFs, dir);
    await lease.create('test');
    state = (await lease.takeOver(await lease.read(), newTerm(1, 'me'))) as LeaseState;
    shared = SharedLease.begin(lease, state, process.hrtime.bigint());
    const { port1, port2 } = new MessageChannel();
    worker = port2;
    asked = 0;
    worker.on('message', () => asked++);
    const options = { clock: systemClock, lease, state, takenMs: 0, leaseMs: 60_000 };
    renewer = new ThreadedRenewer({ ...options, onLost: (error) => assert.fail(error) }, shared, port1);
    for (let i = 0; i < HANDED; i++) {
      const fenced = renewer.fence();
      await answer(i + 1);
      await fenced;
    }
  });
  afterEach(async () => {
    renewer.stop();
    await rm(dir, { recursive: true });
  });

  async function answer(after: number): Promise<void> {
    await waitFor(() => asked === after, `the worker is asked ${after} times`);
    assert.ok(shared.renew('worker', (error) => assert.fail(error)));
    worker.postMessage({ kind: 'renewed' });
  }

  /** The same term, with something done in the middle of the other thread's rename. */
  function inTheMiddle(happens: () => void): SharedLease {
    const fs: StoreFs = {
      ...nodeFs,
      renameSync: (from, to) => {
        happens();
        renameSync(from, to);
      },
    };
    return new SharedLease(new Lease(fs, dir), shared.memory, shared.term);
  }

  it('does not wait in this thread, and ends with a renewal that begins after it', async () => {
    let isDone = false;
    const slow = inTheMiddle(() => {
      void renewer.fence().then(() => {
        isDone = true;
      });
    });
    assert.ok(slow.renew('worker', (error) => assert.fail(error)));
    await waitFor(() => asked === HANDED + 1, 'the worker is asked for another one');
    await holdsFor(20, () => !isDone, 'the fence waits for the worker');
    await answer(HANDED + 1);
    await waitFor(() => isDone, 'it ends');
    assert.equal((await lease.read()).counter, HANDED + 2);
  });

  it('lets a release wait for what has begun', async () => {
    let released: Promise<boolean> | undefined;
    const slow = inTheMiddle(() => {
      released = renewer.release();
    });
    assert.ok(slow.renew('worker', (error) => assert.fail(error)));
    assert.equal(slow.isOver, true);
    await holdsFor(20, async () => (await lease.read()).holder === 'me', 'nothing is released before');
    worker.postMessage({ kind: 'closed' });
    assert.equal(await released, true);
    assert.deepEqual(await lease.read(), leaseState({ epoch: 1, counter: HANDED + 2, holder: RELEASED }));
  });
});

describe('a renewal whose answer was lost on the way', () => {
  let dir: string;
  let state: LeaseState;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'stanchion-renewal-'));
    const lease = new Lease(nodeFs, dir);
    await lease.create('test');
    state = (await lease.takeOver(await lease.read(), newTerm(1, 'me'))) as LeaseState;
  });
  afterEach(() => rm(dir, { recursive: true }));

  const missing = () => Object.assign(new Error('ENOENT: asked again'), { code: 'ENOENT' });
  /** Renames, and says that there was nothing to rename. */
  const forgetful: StoreFs = {
    ...nodeFs,
    rename: async (from, to) => {
      renameSync(from, to);
      throw missing();
    },
    renameSync: (from, to) => {
      renameSync(from, to);
      throw missing();
    },
  };

  it('is recognised by the thread that may wait', () => {
    const shared = SharedLease.begin(new Lease(forgetful, dir), state, 0n);
    assert.ok(shared.renew('worker', (error) => assert.fail(error)));
    assert.ok(shared.renew('main', (error) => assert.fail(error)));
    assert.equal(shared.state.counter, 2);
  });

  it('is recognised where it was the one that says that the term has served', async () => {
    const shared = SharedLease.begin(new Lease(forgetful, dir), state, 0n);
    shared.hasBatch(1);
    assert.ok(shared.renew('worker', (error) => assert.fail(error)));
    assert.equal(shared.state.servedEpoch, 1);
    assert.deepEqual(await new Lease(nodeFs, dir).read(), shared.state);
  });

  it('is recognised by the one that may not', async () => {
    const lease = new Lease(forgetful, dir);
    const onLost = (error: Error) => assert.fail(error);
    const renewer = startRenewer({ clock: systemClock, lease, state, takenMs: 0, leaseMs: 60_000, onLost });
    await renewer.fence();
    await renewer.fence();
    renewer.stop();
    assert.deepEqual(await lease.read(), leaseState({ epoch: 1, counter: 2, holder: 'me' }));
  });
});
