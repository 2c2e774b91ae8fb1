import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { MemoryStore } from '../../../src/store/memory/memory-store.js';
import type { LogLimits, MessageRef, Store } from '../../../src/store/types/store.js';
import { waitFor } from '../../harness/wait.js';
import { checkpointed, SMALL, Terms } from '../file-support.js';
import { NO_LIMITS, progressOf, pubMsg, random, read, readAll, TestClock, TestHost } from '../support.js';

interface Subject {
  store: Store;
  host: TestHost;
  clock: TestClock;
  /** Moves what is in memory to where old messages are. */
  settle: () => Promise<void>;
}

const kinds: Record<string, (t: TestContext) => Promise<Subject>> = {
  'memory store': async () => {
    const clock = new TestClock();
    const store = new MemoryStore({ clock, random });
    return { store, host: new TestHost(store), clock, settle: async () => {} };
  },
  'file store, recent messages': async (t) => {
    const terms = new Terms(t);
    const { store, host } = await terms.open();
    return { store, host, clock: terms.clock, settle: async () => {} };
  },
  'file store, messages on disk': async (t) => {
    const terms = new Terms(t);
    const opened = await terms.open({ ...SMALL, blockBytes: 1024, cacheBytes: 0 });
    return { ...opened, clock: terms.clock, settle: () => checkpointed(opened) };
  },
};

for (const [kind, make] of Object.entries(kinds)) {
  describe(`log of the ${kind}`, () => {
    async function filled(t: TestContext, count: number, limits: Partial<LogLimits> = {}) {
      const subject = await make(t);
      const log = subject.store.createLog('foo', { ...NO_LIMITS, ...limits });
      for (let i = 1; i <= count; i++) log.append(pubMsg('foo', `m${i}`), 7);
      await subject.host.commit();
      await subject.settle();
      return { ...subject, log };
    }

    it('is empty when it is new', async (t) => {
      const { log } = await filled(t, 0);
      assert.equal(log.firstSequence, 1);
      assert.equal(log.lastSequence, 0);
      assert.equal(log.messageCount, 0);
      assert.equal(log.byteCount, 0);
    });

    it('numbers messages from 1 without gaps and gives each back', async (t) => {
      const { log } = await filled(t, 300);
      assert.equal(log.firstSequence, 1);
      assert.equal(log.lastSequence, 300);
      assert.deepEqual(
        await readAll(log),
        Array.from({ length: 300 }, (_, i) => `m${i + 1}`),
      );
    });

    it('says what is in memory only for what is in the log', async (t) => {
      const { log } = await filled(t, 10, { maxMessages: 4 });
      const ref: MessageRef = { buffer: Buffer.alloc(0), start: 0, end: 0 };
      assert.equal(log.find(6, ref), false);
      assert.equal(log.find(11, ref), false);
      await log.load(6);
      assert.equal(log.find(6, ref), false);
      assert.equal(await read(log, 7), 'm7');
    });

    it('drops the oldest at the limit on messages, within the append', async (t) => {
      const { log, settle, host } = await filled(t, 100, { maxMessages: 50 });
      assert.equal(log.firstSequence, 51);
      for (let i = 101; i <= 130; i++) {
        log.append(pubMsg('foo', `m${i}`), 7);
        assert.equal(log.messageCount, 50);
        assert.equal(log.firstSequence, i - 49);
      }
      await host.commit();
      await settle();
      assert.equal((await readAll(log))[0], 'm81');
    });

    it('drops the oldest at the limit on bytes, by their exact sizes', async (t) => {
      const { log } = await filled(t, 0);
      const sizes: number[] = [];
      for (let i = 1; i <= 60; i++) {
        const before = log.byteCount;
        log.append(pubMsg('foo', 'x'.repeat(i * 3)), 7);
        sizes.push(log.byteCount - before);
      }
      const subject = await filled(t, 0);
      const maxBytes = 2000;
      subject.log.setLimits({ ...NO_LIMITS, maxBytes });
      const held: number[] = [];
      for (let i = 1; i <= 60; i++) {
        subject.log.append(pubMsg('foo', 'x'.repeat(i * 3)), 7);
        held.push(sizes[i - 1]!);
        while (held.reduce((sum, size) => sum + size, 0) > maxBytes) held.shift();
        assert.equal(subject.log.messageCount, held.length);
        assert.equal(
          subject.log.byteCount,
          held.reduce((sum, size) => sum + size, 0),
        );
        if (i % 20 === 0) {
          await subject.host.commit();
          await subject.settle();
        }
      }
    });

    it('keeps the newest message even if it alone is over the limit on bytes', async (t) => {
      const { log } = await filled(t, 3, { maxBytes: 10 });
      assert.equal(log.messageCount, 1);
      assert.equal(await read(log, 3), 'm3');
    });

    it('drops what is older than the limit on age', async (t) => {
      const { log, store, clock, host, settle } = await filled(t, 5, { maxAgeMs: 1000 });
      clock.wallMs += 600;
      for (let i = 6; i <= 8; i++) log.append(pubMsg('foo', `m${i}`), 7);
      await host.commit();
      await settle();
      assert.equal(store.expireInMs(), 400);
      clock.wallMs += 399;
      store.expire();
      assert.equal(log.firstSequence, 1);
      clock.wallMs += 1;
      store.expire();
      assert.equal(log.firstSequence, 6);
      assert.equal(store.expireInMs(), 600);
      clock.wallMs += 600;
      store.expire();
      assert.equal(log.messageCount, 0);
      assert.equal(log.byteCount, 0);
      assert.equal(log.firstSequence, 9);
      assert.equal(store.expireInMs(), Number.POSITIVE_INFINITY);
    });

    it('takes new limits at once', async (t) => {
      const { log, store, clock } = await filled(t, 100);
      log.setLimits({ ...NO_LIMITS, maxMessages: 10 });
      assert.equal(log.firstSequence, 91);
      log.setLimits({ ...NO_LIMITS, maxAgeMs: 500 });
      clock.wallMs += 501;
      store.expire();
      assert.equal(log.messageCount, 0);
    });

    it('finds the first message at or after a time', async (t) => {
      const { store, host, clock, settle } = await make(t);
      const log = store.createLog('foo', NO_LIMITS);
      const start = BigInt(clock.wallMs);
      for (let i = 1; i <= 20; i++) {
        log.append(pubMsg('foo', `a${i}`), 7);
        log.append(pubMsg('foo', `b${i}`), 7);
        await host.commit();
        clock.wallMs += 10;
      }
      await settle();
      assert.equal(await log.sequenceAtTime(0n), 1);
      assert.equal(await log.sequenceAtTime(start * 1_000_000n), 1);
      assert.equal(await log.sequenceAtTime(start * 1_000_000n + 1n), 3);
      assert.equal(await log.sequenceAtTime((start + 50n) * 1_000_000n), 11);
      assert.equal(await log.sequenceAtTime((start + 55n) * 1_000_000n), 13);
      assert.equal(await log.sequenceAtTime((start + 190n) * 1_000_000n), 39);
      assert.equal(await log.sequenceAtTime((start + 191n) * 1_000_000n), 41);
    });

    it('keeps messages larger than any buffer of its own', async (t) => {
      const { log, host, settle } = await filled(t, 2);
      const large = 'y'.repeat(3_000_000);
      log.append(pubMsg('foo', large), 7);
      log.append(pubMsg('foo', 'after'), 7);
      await host.commit();
      await settle();
      assert.equal(await read(log, 3), large);
      assert.equal(await read(log, 4), 'after');
    });

    it('keeps channels apart', async (t) => {
      const { store, host, settle } = await make(t);
      const logs = Array.from({ length: 20 }, (_, i) => store.createLog(`channel.${i}`, NO_LIMITS));
      for (let round = 1; round <= 15; round++) {
        for (const log of logs) log.append(pubMsg(log.name, `${log.name} ${round}`), 7);
      }
      await host.commit();
      await settle();
      for (const log of logs) {
        assert.deepEqual(
          await readAll(log),
          Array.from({ length: 15 }, (_, i) => `${log.name} ${i + 1}`),
        );
      }
    });

    it('reports its batches in order, and each has the progress that was noted before it closed', async (t) => {
      const { store, host } = await make(t);
      const log = store.createLog('foo', NO_LIMITS);
      const first = store.gathering;
      log.append(pubMsg('foo', 'a'), 7);
      const progress = progressOf(7, [1, 1], []);
      store.noteProgress(progress);
      progress.addAcked(1);
      await host.commit();
      assert.ok(progress.isEmpty && !progress.isNoted);
      assert.equal(host.committed, first);
      assert.equal(store.committed, first);
      assert.equal(store.gathering, first + 1);
    });

    it('commits by itself, before long, what no client waits for', async (t) => {
      const { store, host } = await make(t);
      const log = store.createLog('foo', NO_LIMITS);
      await host.commit();
      const batch = store.gathering;
      log.append(pubMsg('foo', 'a'), 7);
      store.commitLater();
      store.commitLater();
      await waitFor(() => host.committed >= batch, 'the batch is committed', 5_000);
    });
  });
}
