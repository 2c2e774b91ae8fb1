import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { afterEach, describe, it } from 'node:test';
import { CommitGate } from '../../src/broker/delivery/commit-gate.js';
import { AckHandler } from '../../src/broker/handlers/on-ack.js';
import { NO_CONFIG_FILE, resolveServeConfig } from '../../src/config/resolve.js';
import { MemoryFs } from '../../src/files/memory-fs.js';
import { brokerOptions } from '../../src/run/assembly.js';
import type { MachineTimes } from '../../src/run/rehearsal/pace.js';
import { Rehearsal, type RehearsalOptions } from '../../src/run/rehearsal/rehearsal.js';
import { FileLog } from '../../src/store/log/file-log.js';
import { BREAKS, BrokenPart } from '../harness/broken-part.js';
import { waitFor } from '../harness/wait.js';

const config = resolveServeConfig(['--cluster-id', 'c'], {}, () => NO_CONFIG_FILE);

/** It is work for a second, which takes long on a machine that does much else. */
const WAIT_MS = 90_000;

/** A machine of two processors of which others take this share. */
function machine(busyShare: () => number): () => MachineTimes {
  let atMs = performance.now();
  let totalMs = 0;
  let idleMs = 0;
  return () => {
    const passedMs = performance.now() - atMs;
    atMs += passedMs;
    totalMs += 2 * passedMs;
    idleMs += 2 * passedMs * (1 - busyShare());
    return { atMs, totalMs, idleMs, ownMs: 0 };
  };
}

describe('a rehearsal', () => {
  let rehearsal: Rehearsal | undefined;
  let failure: Error | undefined;

  function make(changes: Partial<RehearsalOptions> = {}): Rehearsal {
    failure = undefined;
    rehearsal = new Rehearsal({
      kind: 'file',
      broker: brokerOptions(config),
      pauseMs: 0,
      isIdle: () => true,
      onFailed: (error) => {
        failure = error;
      },
      machine: machine(() => 0),
      ...changes,
    });
    return rehearsal;
  }

  /** Begins one, and waits until its brokers answer. */
  async function begun(changes: Partial<RehearsalOptions> = {}): Promise<Rehearsal> {
    const made = make(changes);
    made.start();
    await waitFor(() => (made.performance?.received ?? 0) > 1_000, 'messages are delivered');
    return made;
  }

  afterEach(() => {
    rehearsal?.release();
    assert.equal(failure, undefined);
  });

  for (const kind of ['file', 'memory'] as const) {
    it(`takes, delivers and acknowledges over a ${kind} store, and leaves no timer, file or broker at work`, async () => {
      const before = process.getActiveResourcesInfo().sort().join();
      const made = make({ kind, terms: 2 });
      made.start();
      let rounds = 0;
      const count = (): void => {
        rounds++;
        if (made.isRunning) setImmediate(count);
      };
      count();
      await waitFor(() => made.hasEnded, 'it is through', WAIT_MS);
      assert.ok(rounds > 500, `the event loop turned only ${rounds} times meanwhile`);
      const { performance } = made;
      assert.ok(performance !== undefined);
      const { messagesIn, messagesOut, acks, redeliveries, duplicatePublishes } = performance.counters;
      assert.ok(messagesIn > 20_000, `${messagesIn} messages in`);
      assert.ok(messagesOut > 15_000, `${messagesOut} messages out`);
      assert.ok(acks > messagesOut * 0.8, `${acks} acks`);
      assert.ok(redeliveries > 0, 'messages came again after their ack wait');
      // After a takeover, what was sent again was stored already.
      assert.equal(duplicatePublishes > 0, kind === 'file');
      assert.equal(performance.timers, 0);
      assert.equal(performance.bytes, 0);
      assert.equal(existsSync('/rehearsal'), false);
      const resources = (): string => process.getActiveResourcesInfo().sort().join();
      await waitFor(
        () => resources() === before,
        () => `${resources()} instead of ${before}`,
      );
    });
  }

  it("goes through with other subjects and narrow limits: it serves with its broker's own configuration", async () => {
    const flags = [
      '--discover-prefix',
      'of.another',
      '--max-channels',
      '1',
      '--max-subs',
      '1',
      '--max-msgs',
      '1',
    ];
    const narrow = resolveServeConfig(['--cluster-id', 'c', ...flags], {}, () => NO_CONFIG_FILE);
    const made = make({ broker: brokerOptions(narrow), terms: 1 });
    made.start();
    await waitFor(() => made.hasEnded || failure !== undefined, 'it is through', WAIT_MS);
    assert.equal(failure, undefined);
  });

  for (const [where, prototype, method, at] of [
    ['in its broker', FileLog.prototype, 'append', 1_000],
    ['in its link, as acks come in', AckHandler.prototype, 'handle', 1_000],
    ['when its batch is durable', CommitGate.prototype, 'release', 100],
    ['in a callback of its files', MemoryFs.prototype, 'listSync', 1],
  ] as const) {
    it(`reports what breaks ${where}, and is not tried again`, async () => {
      const part = new BrokenPart(prototype, method, at, BREAKS.exception);
      const made = make({ retryMs: 1 });
      try {
        made.start();
        await waitFor(() => failure !== undefined, 'it fails', WAIT_MS);
      } finally {
        part.restore();
      }
      assert.match(String(failure), /TypeError: Cannot read properties of undefined/);
      failure = undefined;
      made.start();
      assert.equal(made.isRunning, false);
      assert.equal(made.performance, undefined);
    });
  }

  it('collects its garbage at its end where it is asked to', async () => {
    let forced = 0;
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { kind, flags } = (entry as unknown as { detail: { kind: number; flags: number } }).detail;
        const isForced = (flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0;
        if (kind === constants.NODE_PERFORMANCE_GC_MAJOR && isForced) forced++;
      }
    });
    observer.observe({ entryTypes: ['gc'] });
    const made = make({ terms: 1, collectsGarbage: true });
    made.start();
    await waitFor(() => made.hasEnded && forced > 0, 'a full garbage collection', WAIT_MS);
    observer.disconnect();
    assert.equal(forced, 1);
  });

  it('stops at once: no message, no timer and no file of it is left, and nothing comes any more', async () => {
    const made = await begun();
    const { performance } = made;
    assert.ok(performance !== undefined);
    assert.ok(performance.bytes > 0);
    made.stop();
    const { received } = performance;
    assert.equal(made.isRunning, false);
    assert.equal(performance.timers, 0);
    assert.equal(performance.bytes, 0);
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(performance.received, received);
    assert.equal(performance.timers, 0);
  });

  it('begins again after it was stopped, and not after it was released', async () => {
    const made = await begun({ retryMs: 20 });
    const first = made.performance;
    made.stop();
    await waitFor(() => made.isRunning, 'it begins again');
    assert.notEqual(made.performance, first);
    made.release();
    made.start();
    assert.equal(made.isRunning, false);
    assert.equal(made.performance, undefined);
  });

  it('waits while others need the machine, and goes on when it is calm', async () => {
    let share = 0.9;
    let looks = 0;
    const times = machine(() => share);
    const made = make({
      machine: () => {
        looks++;
        return times();
      },
    });
    made.start();
    await waitFor(() => looks > 3, 'it looks at the machine');
    assert.equal(made.performance?.received, 0);
    share = 0.1;
    await waitFor(() => (made.performance?.received ?? 0) > 0, 'it goes on');
  });

  it('waits while the process has something better to do', async () => {
    let isIdle = false;
    let asked = 0;
    const made = make({
      isIdle: () => {
        asked++;
        return isIdle;
      },
    });
    made.start();
    await waitFor(() => asked > 2, 'it asks');
    assert.equal(made.performance?.received, 0);
    isIdle = true;
    await waitFor(() => (made.performance?.received ?? 0) > 0, 'it goes on');
  });
});
