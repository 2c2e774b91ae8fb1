import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { nodeFs } from '../../../src/files/fs.js';
import { readMsgProtoTimestampNs } from '../../../src/protocol/msgproto.js';
import { MemoryStore } from '../../../src/store/memory/memory-store.js';
import type { ChannelLog, MessageRef, Store } from '../../../src/store/types/store.js';
import { checkpointed, SMALL, Terms, until } from '../file-support.js';
import { NO_LIMITS, progressOf, pubMsg, random, TestClock, TestHost } from '../support.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const YEAR_MS = 365 * DAY_MS;
const ONE_HOUR = { ...NO_LIMITS, maxAgeMs: HOUR_MS };

interface Subject {
  store: Store;
  host: TestHost;
  clock: TestClock;
  warnings: string[];
  /** Moves what is in memory to where old messages are. */
  settle: () => Promise<void>;
}

const kinds: Record<string, (t: TestContext) => Promise<Subject>> = {
  'memory store': async () => {
    const clock = new TestClock();
    const warnings: string[] = [];
    const store = new MemoryStore({ clock, random, warn: (message) => warnings.push(message) });
    return { store, host: new TestHost(store), clock, warnings, settle: async () => {} };
  },
  'file store, recent messages': async (t) => {
    const terms = new Terms(t);
    return { ...(await terms.open()), clock: terms.clock, settle: async () => {} };
  },
  'file store, messages on disk': async (t) => {
    const terms = new Terms(t);
    const opened = await terms.open({ ...SMALL, blockBytes: 1024, cacheBytes: 0 });
    return { ...opened, clock: terms.clock, settle: () => checkpointed(opened) };
  },
};

/** Each batch has a time. */
async function publish({ host }: { host: TestHost }, log: ChannelLog): Promise<void> {
  log.append(pubMsg(log.name, 'x'), 1);
  await host.commit();
}

async function stampMs(log: ChannelLog, sequence: number): Promise<number> {
  const ref: MessageRef = { buffer: Buffer.alloc(0), start: 0, end: 0 };
  await log.load(sequence);
  assert.ok(log.find(sequence, ref), `message ${sequence} of ${log.name}`);
  return Number(readMsgProtoTimestampNs(ref.buffer, ref.start, ref.end) / 1_000_000n);
}

/** The first message that is no older. */
function since(store: Store, log: ChannelLog, ms: number): Promise<number> {
  return log.sequenceAtTime(store.nowNs() - BigInt(ms) * 1_000_000n);
}

for (const [kind, make] of Object.entries(kinds)) {
  describe(`a clock that jumps under a ${kind}`, () => {
    it('makes messages neither older nor younger when it is ahead for a moment', async (t) => {
      const subject = await make(t);
      const { store, clock, settle, warnings } = subject;
      const log = store.createLog('a', ONE_HOUR);
      await publish(subject, log);
      clock.wallMs += YEAR_MS;
      store.expire();
      assert.equal(log.messageCount, 1, 'it is not a year old');
      await publish(subject, log);
      clock.pass(MINUTE_MS);
      clock.wallMs -= YEAR_MS;
      await publish(subject, log);
      const other = store.createLog('b', ONE_HOUR);
      await publish(subject, other);
      await settle();
      clock.pass(58 * MINUTE_MS);
      store.expire();
      assert.deepEqual([log.firstSequence, other.firstSequence], [1, 1]);
      clock.pass(1.5 * MINUTE_MS);
      store.expire();
      assert.deepEqual([log.firstSequence, other.firstSequence], [3, 1], 'an hour old');
      clock.pass(MINUTE_MS);
      store.expire();
      assert.deepEqual([log.messageCount, other.messageCount], [0, 0]);
      assert.equal(warnings.length, 2);
    });

    it('bears no time that has not come, and does not change where a subscription by time begins', async (t) => {
      const subject = await make(t);
      const { store, clock, settle } = subject;
      const log = store.createLog('a', NO_LIMITS);
      const startMs = clock.wallMs;
      await publish(subject, log);
      clock.pass(10 * MINUTE_MS);
      clock.wallMs += 2 * HOUR_MS;
      await publish(subject, log);
      clock.pass(10 * MINUTE_MS);
      await publish(subject, log);
      clock.wallMs -= 2 * HOUR_MS;
      clock.pass(10 * MINUTE_MS);
      await publish(subject, log);
      await settle();
      // To the second: the monotonic clock of the test is a real one.
      for (const [i, minutes] of [0, 10, 20, 30].entries()) {
        const offMs = (await stampMs(log, i + 1)) - startMs - minutes * MINUTE_MS;
        assert.ok(Math.abs(offMs) < 5_000, `message ${i + 1} is off by ${offMs} ms`);
      }
      assert.equal(await since(store, log, 5 * MINUTE_MS), 4);
      assert.equal(await since(store, log, 15 * MINUTE_MS), 3);
      assert.equal(await since(store, log, 25 * MINUTE_MS), 2);
      assert.equal(await since(store, log, 35 * MINUTE_MS), 1);
    });

    it('repeats the last time of a channel when it is set back, and that of no other', async (t) => {
      const subject = await make(t);
      const { store, clock, settle } = subject;
      const log = store.createLog('a', ONE_HOUR);
      await publish(subject, log);
      clock.wallMs -= YEAR_MS;
      clock.pass(30 * MINUTE_MS);
      await publish(subject, log);
      const other = store.createLog('b', ONE_HOUR);
      await publish(subject, other);
      await settle();
      assert.equal(await stampMs(log, 2), await stampMs(log, 1));
      assert.equal(await stampMs(other, 1), clock.wallMs);
      assert.equal(await since(store, log, 10 * MINUTE_MS), 2);
      assert.equal(await since(store, other, 10 * MINUTE_MS), 1);
      clock.pass(31 * MINUTE_MS);
      store.expire();
      assert.deepEqual([log.firstSequence, other.firstSequence], [2, 1]);
      clock.pass(30 * MINUTE_MS);
      store.expire();
      assert.deepEqual([log.messageCount, other.messageCount], [0, 0]);
    });
  });
}

describe('the clocks of those who open a store one after the other', () => {
  for (const way of ['the journal', 'a checkpoint']) {
    it(`may have been ahead: ages and start times are right from then on, from ${way}`, async (t) => {
      const terms = new Terms(t);
      const { clock } = terms;
      const first = await terms.open();
      for (const name of ['a', 'old']) await publish(first, first.store.createLog(name, ONE_HOUR));
      await first.store.close();
      // Nobody can tell such a clock from one that is right after a year in which no broker ran. Nothing has a limit meanwhile.
      clock.wallMs += YEAR_MS;
      const ahead = await terms.open();
      const [a] = ahead.store.recovered.logs;
      assert.ok(a !== undefined);
      await publish(ahead, a);
      if (way === 'a checkpoint') await checkpointed(ahead);
      await ahead.store.close();
      clock.wallMs -= YEAR_MS;
      const opened = await terms.open();
      assert.match(opened.warnings.join(), /bear a time that is 31536000 s ahead of the clock/);
      const { store } = opened;
      const log = store.recovered.logs.find(({ name }) => name === 'a');
      const old = store.recovered.logs.find(({ name }) => name === 'old');
      assert.ok(log !== undefined && old !== undefined);
      for (const each of [log, old]) each.setLimits(ONE_HOUR);
      clock.pass(30 * MINUTE_MS);
      await publish(opened, log);
      const fresh = store.createLog('fresh', ONE_HOUR);
      await publish(opened, fresh);
      assert.equal(await stampMs(log, 3), await stampMs(log, 2), 'it never goes back');
      assert.equal(await stampMs(fresh, 1), clock.wallMs);
      assert.equal(await since(store, log, 10 * MINUTE_MS), 3);
      assert.equal(await since(store, fresh, 10 * MINUTE_MS), 1);
      assert.equal(await since(store, old, 10 * MINUTE_MS), 2);
      store.expire();
      assert.deepEqual([log.firstSequence, old.firstSequence], [1, 1]);
      clock.pass(29 * MINUTE_MS);
      store.expire();
      clock.pass(2 * MINUTE_MS);
      store.expire();
      assert.deepEqual([log.firstSequence, old.messageCount, fresh.firstSequence], [3, 0, 1]);
      clock.pass(HOUR_MS);
      store.expire();
      assert.deepEqual([log.messageCount, fresh.messageCount], [0, 0]);
    });
  }

  it('counts the time in which no broker ran, however often one starts', async (t) => {
    const terms = new Terms(t);
    const { clock } = terms;
    const first = await terms.open();
    await publish(first, first.store.createLog('a', { ...NO_LIMITS, maxAgeMs: DAY_MS }));
    await first.store.close();
    for (let i = 1; i <= 3; i++) {
      clock.pass(9 * HOUR_MS);
      const { store } = await terms.open();
      const [log] = store.recovered.logs;
      assert.ok(log !== undefined);
      log.setLimits({ ...NO_LIMITS, maxAgeMs: DAY_MS });
      store.expire();
      assert.equal(log.messageCount, i < 3 ? 1 : 0, `after ${9 * i} hours`);
      await store.close();
    }
  });

  for (const when of ['at rest', 'while a checkpoint is made']) {
    it(`are not believed after a restart when they were not before it: found ${when}`, async (t) => {
      const terms = new Terms(t);
      const { clock } = terms;
      const setTimer = clock.setTimer.bind(clock);
      // The first checkpoint of a term would come a second later, whatever has been found.
      clock.setTimer = (ms, callback) => (ms === 1_000 ? { cancel: () => {} } : setTimer(ms, callback));
      const first = await terms.open();
      await publish(first, first.store.createLog('a', ONE_HOUR));
      const made = when === 'at rest' ? 1 : 2;
      if (made === 2) {
        first.store.upkeep.checkpoint();
        assert.ok(first.store.upkeep.isCheckpointing);
      }
      clock.wallMs += 2 * HOUR_MS;
      first.store.expire();
      // A checkpoint keeps it: nobody has to wait for one.
      const name = `00000001.00000${made}.ckpt`;
      await until(() => fs.existsSync(`${terms.dir}/checkpoints/${name}`), name);
      await until(() => !first.store.upkeep.isCheckpointing, 'it is done');
      await first.store.close();
      for (const minutes of [0, 30, 31]) {
        clock.pass(minutes * MINUTE_MS);
        const { store } = await terms.open();
        const [log] = store.recovered.logs;
        assert.ok(log !== undefined);
        log.setLimits(ONE_HOUR);
        store.expire();
        assert.equal(log.messageCount, minutes < 31 ? 1 : 0);
        await store.close();
      }
    });
  }

  it('do not matter where the time of the one before is known: a successor that is ahead deletes nothing too early', async (t) => {
    const terms = new Terms(t);
    const { clock } = terms;
    const first = await terms.open();
    const ns = first.store.nowNs();
    await publish(first, first.store.createLog('a', ONE_HOUR));
    await first.store.close();
    clock.wallMs += 2 * HOUR_MS;
    const opened = await terms.open({ continued: () => ({ ns, leadMs: 0 }) });
    const { store } = opened;
    const [log] = store.recovered.logs;
    assert.ok(log !== undefined);
    log.setLimits(ONE_HOUR);
    clock.pass(30 * MINUTE_MS);
    store.expire();
    assert.equal(log.messageCount, 1);
    await publish(opened, log);
    assert.equal(await since(store, log, 10 * MINUTE_MS), 2);
    clock.pass(31 * MINUTE_MS);
    store.expire();
    assert.equal(log.firstSequence, 2);
    // It is on record that its clock is ahead: the next start of the same broker knows.
    await checkpointed(opened);
    await store.close();
    const again = await terms.open();
    const [same] = again.store.recovered.logs;
    assert.ok(same !== undefined);
    same.setLimits(ONE_HOUR);
    again.store.expire();
    assert.equal(same.messageCount, 1);
    clock.pass(30 * MINUTE_MS);
    again.store.expire();
    assert.equal(same.messageCount, 0);
  });

  it('make messages no older by what is said of them', async (t) => {
    const terms = new Terms(t);
    const first = await terms.open();
    await publish(first, first.store.createLog('a', ONE_HOUR));
    await first.store.close();
    const ns = BigInt(terms.clock.wallMs + YEAR_MS) * 1_000_000n;
    const { store } = await terms.open({ continued: () => ({ ns, leadMs: 0 }) });
    const [log] = store.recovered.logs;
    assert.ok(log !== undefined);
    log.setLimits(ONE_HOUR);
    store.expire();
    assert.equal(log.messageCount, 1);
  });

  it("may have been ahead also where a successor hears the store's time before a checkpoint has it", async (t) => {
    const terms = new Terms(t);
    const { clock } = terms;
    const first = await terms.open();
    await publish(first, first.store.createLog('old', ONE_HOUR));
    await first.store.close();
    clock.wallMs += YEAR_MS;
    const ahead = await terms.open();
    await publish(ahead, ahead.store.createLog('new', ONE_HOUR));
    const ns = ahead.store.nowNs();
    await ahead.store.close();
    clock.wallMs -= YEAR_MS;
    const { store } = await terms.open({ continued: () => ({ ns, leadMs: YEAR_MS }) });
    assert.match(store.timeProblem ?? '', /a time 31536000 s ahead of the clock of this machine/);
    for (const log of store.recovered.logs) log.setLimits(ONE_HOUR);
    clock.pass(50 * MINUTE_MS);
    store.expire();
    assert.deepEqual(
      store.recovered.logs.map(({ messageCount }) => messageCount),
      [1, 1],
    );
    clock.pass(11 * MINUTE_MS);
    store.expire();
    assert.deepEqual(
      store.recovered.logs.map(({ messageCount }) => messageCount),
      [0, 0],
    );
    assert.equal(store.timeProblem, undefined, 'it is told for an hour');
  });

  it('go by the clock of the file server where that is behind', async (t) => {
    let serverMs = 0;
    const terms = new Terms(t, {
      ...nodeFs,
      open: async (path, mode) => {
        const file = await nodeFs.open(path, mode);
        return Object.assign(file, { writtenNs: async () => BigInt(serverMs) * 1_000_000n });
      },
    });
    const { clock } = terms;
    serverMs = clock.wallMs;
    const first = await terms.open();
    await publish(first, first.store.createLog('a', ONE_HOUR));
    await first.store.close();
    clock.wallMs += 2 * HOUR_MS;
    const { store, warnings } = await terms.open();
    assert.match(warnings.join(), /7200 s ahead of that of the file system/);
    const [log] = store.recovered.logs;
    assert.ok(log !== undefined);
    log.setLimits(ONE_HOUR);
    store.expire();
    assert.equal(log.messageCount, 1);
    await store.close();
    // It was not wrong by two hours when that was stored.
    serverMs = 0;
    const again = await terms.open();
    assert.deepEqual(again.warnings, []);
    again.store.recovered.logs[0]?.setLimits(ONE_HOUR);
    again.store.expire();
    assert.equal(again.store.recovered.logs[0]?.messageCount, 0);
  });
});

describe('a file store whose clock is set back', () => {
  it('makes its checkpoint beside the batch that finds it, which is written once', async (t) => {
    const terms = new Terms(t);
    const { store, host } = await terms.open();
    const log = store.createLog('foo', NO_LIMITS);
    await publish({ host }, log);
    terms.clock.wallMs -= HOUR_MS;
    const { appended } = store;
    store.noteProgress(progressOf(7, [1, 1], []));
    await until(
      () => host.committed > appended && !store.upkeep.isCheckpointing,
      'the batch and the checkpoint',
    );
    await publish({ host }, log);
    await store.close();
    assert.equal(host.failed, undefined);
    const again = await terms.open();
    assert.equal(again.store.recovered.logs[0]?.lastSequence, 2);
  });
});
