import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { nodeFs, type StoreFs } from '../../../src/files/fs.js';
import { Measures } from '../../../src/measures/measures.js';
import type { ChannelLog, ClientRecord, SubscriptionRecord } from '../../../src/store/types/store.js';
import { holdsFor } from '../../harness/wait.js';
import { checkpointed, SMALL, Terms, until } from '../file-support.js';
import { failure, SimFs } from '../sim-fs.js';
import { HastyClock, HeldClock, NO_LIMITS, progressOf, pubMsg, readAll, TestHost } from '../support.js';

const CLIENT: ClientRecord = {
  clientId: 'client',
  heartbeatInbox: 'hb',
  connId: Buffer.from('conn'),
  protocol: 1,
  pingIntervalSeconds: 5,
  pingMaxOut: 3,
  session: 17,
};

function subscription(id: number, channelId: number): SubscriptionRecord {
  return {
    id,
    channelId,
    clientId: 'client',
    inbox: '_INBOX.x',
    ackInbox: '_INBOX.ack',
    queueGroup: 'durable:group',
    durableName: '',
    isDurable: true,
    isOnline: false,
    maxInFlight: 1024,
    ackWaitSeconds: 30,
    lastSent: 2,
  };
}

describe('a file store that is opened again', () => {
  for (const way of ['from its journal', 'from a checkpoint']) {
    it(`has its clients, subscriptions and what they have acknowledged, ${way}`, async (t) => {
      const terms = new Terms(t);
      const opened = await terms.open();
      const { store, host } = opened;
      const log = store.createLog('foo', NO_LIMITS);
      for (let i = 1; i <= 10; i++) log.append(pubMsg('foo', `m${i}`), 17);
      store.putClient(CLIENT);
      store.putClient({ ...CLIENT, clientId: 'gone', session: 18 });
      store.putSubscription(subscription(4, log.id));
      store.putSubscription(subscription(5, log.id));
      store.recordProgress(progressOf(4, [3, 8], [3, 4, 6, 6]));
      store.removeClient('gone');
      store.removeSubscription(5);
      host.onSnapshot = (sink) => {
        sink.client(CLIENT);
        sink.subscription({ ...subscription(4, log.id), lastSent: 8 }, [5, 5, 7, 8]);
      };
      await host.commit();
      if (way === 'from a checkpoint') await checkpointed(opened);
      await store.close();
      const { recovered } = (await terms.open()).store;
      assert.deepEqual(recovered.clients, [CLIENT]);
      assert.deepEqual(recovered.subscriptions, [
        { record: { ...subscription(4, log.id), lastSent: 8 }, pending: [5, 7, 8] },
      ]);
      assert.equal(recovered.nextSession, 19);
      assert.equal(recovered.nextSubscriptionId, 6);
      assert.equal(recovered.logs[0]!.lastSequence, 10);
      assert.equal(recovered.logs[0]!.lastActivityMs, log.lastActivityMs);
    });
  }

  it('never gives an id of a deleted channel again, and timestamps of a channel do not go back', async (t) => {
    const terms = new Terms(t);
    const { store, host } = await terms.open();
    const kept = store.createLog('bar', NO_LIMITS);
    kept.append(pubMsg('bar', 'a'), 1);
    const { lastActivityMs } = kept;
    const log = store.createLog('foo', NO_LIMITS);
    log.append(pubMsg('foo', 'a'), 1);
    store.deleteLog(log);
    await host.commit();
    await store.close();
    terms.clock.wallMs -= 60_000;
    const again = await terms.open();
    const [same] = again.store.recovered.logs;
    assert.equal(same?.name, 'bar');
    same.append(pubMsg('bar', 'b'), 1);
    assert.equal(same.lastActivityMs, lastActivityMs);
    const next = again.store.createLog('foo', NO_LIMITS);
    assert.ok(next.id > log.id);
  });

  it('keeps a few files, however often it is opened', async (t) => {
    const terms = new Terms(t);
    const rounds = 20;
    for (let round = 1; round <= rounds; round++) {
      const opened = await terms.open();
      const { store, host } = opened;
      const log = store.recovered.logs[0] ?? store.createLog('foo', NO_LIMITS);
      log.append(pubMsg('foo', `m${round}`), 1);
      await host.commit();
      if (round % 5 === 0) await checkpointed(opened);
      await until(() => store.upkeep.isIdle, 'the merge');
      await store.close();
    }
    const journals = fs.readdirSync(`${terms.dir}/journal`);
    assert.ok(journals.length <= 6, journals.join());
    const last = await terms.open();
    const all = Array.from({ length: rounds }, (_, i) => `m${i + 1}`);
    assert.deepEqual(await readAll(last.store.recovered.logs[0]!), all);
  });

  it('does not need what its predecessor had only prepared, and removes when it finds that it is over', async (t) => {
    const terms = new Terms(t);
    const slept = await terms.open();
    slept.store.createLog('foo', NO_LIMITS).append(pubMsg('foo', 'm1'), 1);
    await slept.host.commit();
    const prepared = path.join(terms.dir, 'journal', '00000001.000002.log');
    await until(() => fs.existsSync(prepared), 'the next file is prepared');
    const next = await terms.open();
    await slept.store.close();
    assert.equal(fs.existsSync(prepared), false);
    next.store.recovered.logs[0]!.append(pubMsg('foo', 'm2'), 1);
    await next.host.commit();
    await next.store.close();
    const last = await terms.open();
    assert.deepEqual(await readAll(last.store.recovered.logs[0]!), ['m1', 'm2']);
  });

  it('looks again if its predecessor removes that in the middle of the recovery', async (t) => {
    const wakes: (() => Promise<void>)[] = [];
    const terms = new Terms(t, {
      ...nodeFs,
      list: async (directory) => {
        const names = await nodeFs.list(directory);
        if (names.includes('00000001.000002.log')) await wakes.pop()?.();
        return names;
      },
    });
    const slept = await terms.open();
    slept.store.createLog('foo', NO_LIMITS).append(pubMsg('foo', 'm1'), 1);
    await slept.host.commit();
    const prepared = path.join(terms.dir, 'journal', '00000001.000002.log');
    await until(() => fs.existsSync(prepared), 'the next file is prepared');
    wakes.push(() => slept.store.close());
    const next = await terms.open();
    assert.equal(wakes.length, 0);
    assert.deepEqual(await readAll(next.store.recovered.logs[0]!), ['m1']);
  });

  it('is refused under an epoch that is not above all before', async (t) => {
    const terms = new Terms(t);
    await terms.open();
    await assert.rejects(terms.open({ epoch: 1 }), { code: 'lost' });
  });
});

describe('a file store is refused, untouched,', () => {
  it('when it is of another cluster: the error names both', async (t) => {
    const terms = new Terms(t);
    await (await terms.open()).store.close();
    await assert.rejects(terms.open({ clusterId: 'other' }), /"test-cluster".*"other"/);
  });

  it('when its format is newer', async (t) => {
    const terms = new Terms(t);
    await (await terms.open()).store.close();
    const identity = `${terms.dir}/stanchion.json`;
    fs.writeFileSync(
      identity,
      fs.readFileSync(identity, 'utf8').replace('"formatVersion": 4', '"formatVersion": 5'),
    );
    const before = fs.readdirSync(terms.dir, { recursive: true });
    await assert.rejects(terms.open(), { code: 'newer-version' });
    assert.deepEqual(fs.readdirSync(terms.dir, { recursive: true }), before);
  });

  it('when the directory holds something else', async (t) => {
    const terms = new Terms(t);
    fs.writeFileSync(`${terms.dir}/thesis.txt`, 'do not touch');
    await assert.rejects(terms.open(), /thesis\.txt/);
    assert.deepEqual(fs.readdirSync(terms.dir), ['thesis.txt']);
  });

  it('when the file system renames what is not there', async (t) => {
    const lax = {
      ...nodeFs,
      rename: async (from: string, to: string) => nodeFs.rename(from, to).catch(() => {}),
    };
    await assert.rejects(new Terms(t, lax).open(), { code: 'unsupported' });
  });
});

describe('a file store under load', () => {
  it('makes checkpoints also while more comes all the time than has been written', async (t) => {
    const terms = new Terms(t);
    // One for each file.
    const { store, host } = await terms.open({ ...SMALL, checkpointBytes: 500_000 });
    const log = store.createLog('foo', NO_LIMITS);
    const checkpoint = (): string => fs.readdirSync(`${terms.dir}/checkpoints`).join();
    const text = 'x'.repeat(4_096);
    const seen = new Set<string>();
    const fill = (): void => {
      if (log.lastSequence >= 4_000) return;
      seen.add(checkpoint());
      while (store.pendingBytes < 300_000) log.append(pubMsg('foo', text), 1);
      store.commit();
    };
    const onCommitted = host.onCommitted.bind(host);
    host.onCommitted = (batch) => {
      onCommitted(batch);
      fill();
    };
    fill();
    await until(() => log.lastSequence >= 4_000 && store.pendingBytes === 0, 'all is written');
    assert.ok(seen.size >= 8, `16 files of the journal were written, and ${seen.size} checkpoints seen`);
    const { lastSequence } = log;
    await until(() => store.upkeep.isIdle, 'all files are as they are to stay');
    const again = await terms.open(SMALL);
    assert.equal(again.store.recovered.logs[0]!.lastSequence, lastSequence);
    assert.equal((await readAll(again.store.recovered.logs[0]!)).length, lastSequence);
  });

  it('makes checkpoints of many messages before there are many bytes: replaying each takes a recovery its time', async (t) => {
    const measures = new Measures();
    const { store, host } = await new Terms(t).open({ ...SMALL, checkpointBytes: 100_000_000, measures });
    const log = store.createLog('foo', NO_LIMITS);
    const fill = async (messages: number, bytes: number): Promise<void> => {
      for (let i = 1; i <= messages; i++) {
        log.append(pubMsg('foo', 'x'.repeat(bytes)), 1);
        if (i % 500 === 0) await host.commit();
      }
      await until(() => store.upkeep.isIdle, 'all is done');
    };
    await fill(1_000, 10_000);
    const { count } = measures.checkpoint;
    // One comes a second after the opening, where it has taken that long.
    assert.ok(count <= 1, `${count} checkpoints of ten files of large ones`);
    await fill(80_000, 50);
    assert.ok(
      measures.checkpoint.count >= count + 2,
      `${measures.checkpoint.count - count} checkpoints of 80,000 small ones`,
    );
  });

  it('says so when a checkpoint does not end, and goes on when it does', async (t) => {
    let goOn = (): void => {};
    const hanging = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const slow: StoreFs = {
      ...nodeFs,
      open: async (name, mode) => {
        const file = await nodeFs.open(name, mode);
        const sync = file.sync.bind(file);
        if (name.includes('/segments/')) file.sync = () => hanging.then(sync);
        return file;
      },
    };
    const clock = new HastyClock(30_000);
    const { store, host, warnings } = await new Terms(t, slow).open({ ...SMALL, clock });
    const log = store.createLog('foo', NO_LIMITS);
    log.append(pubMsg('foo', 'x'), 1);
    await host.commit();
    store.upkeep.checkpoint();
    await until(() => warnings.length > 0, 'the warning');
    assert.match(warnings[0]!, /A checkpoint has not ended for 30 s.*Look at the mount/);
    goOn();
    await until(() => !store.upkeep.isCheckpointing, 'the checkpoint');
    assert.equal(host.failed, undefined);
    assert.equal(warnings.length, 1);
  });

  it('gives back the blocks that it keeps for the next checkpoint when none comes for 5 s', async (t) => {
    const clock = new HeldClock(5_000);
    const opened = await new Terms(t).open({ ...SMALL, cacheBytes: 0, clock });
    const { store, host } = opened;
    const log = store.createLog('foo', NO_LIMITS);
    for (let i = 0; i < 200; i++) log.append(pubMsg('foo', 'x'.repeat(1_000)), 1);
    await host.commit();
    await checkpointed(opened);
    assert.ok(store.upkeep.spareBytes > 0, 'a checkpoint keeps blocks that it lets go');
    clock.end();
    assert.equal(store.upkeep.spareBytes, 0, 'they are given back');
  });

  it('goes through rolls, checkpoints and merges with many channels, and loses nothing', async (t) => {
    const terms = new Terms(t);
    const { store, host } = await terms.open(SMALL);
    const logs = Array.from({ length: 30 }, (_, i) =>
      store.createLog(`c${i}`, { ...NO_LIMITS, maxMessages: i % 3 === 0 ? 10 : 0 }),
    );
    const payload = 'p'.repeat(400);
    for (let round = 1; round <= 400; round++) {
      for (const log of logs) log.append(pubMsg(log.name, `${round} ${payload}`), 1);
      if (round % 10 === 0) await host.commit();
    }
    await host.commit();
    await until(() => store.upkeep.isIdle, 'checkpoints and merges');
    const check = async (all: readonly ChannelLog[]): Promise<void> => {
      for (const log of all) {
        assert.equal(log.lastSequence, 400);
        const messages = await readAll(log);
        for (const [i, message] of messages.entries())
          assert.equal(message.split(' ')[0], String(log.firstSequence + i));
      }
    };
    await check(logs);
    await store.close();
    const again = (await terms.open(SMALL)).store.recovered.logs;
    assert.equal(again.length, 30);
    for (const [i, log] of again.entries())
      log.setLimits({ ...NO_LIMITS, maxMessages: i % 3 === 0 ? 10 : 0 });
    assert.deepEqual(
      again.map(({ firstSequence, byteCount }) => ({ firstSequence, byteCount })),
      logs.map(({ firstSequence, byteCount }) => ({ firstSequence, byteCount })),
    );
    await check(again);
  });

  it('behaves as an array does, whatever is done to it', async (t) => {
    const terms = new Terms(t);
    type Step =
      | { do: 'append'; count: number; bytes: number }
      | { do: 'limit'; maxMessages: number }
      | { do: 'commit' | 'checkpoint' | 'reopen' };
    const step: fc.Arbitrary<Step> = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          do: fc.constant('append' as const),
          count: fc.integer({ min: 1, max: 30 }),
          bytes: fc.integer({ min: 0, max: 9000 }),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          do: fc.constant('limit' as const),
          maxMessages: fc.integer({ min: 1, max: 60 }),
        }),
      },
      {
        weight: 4,
        arbitrary: fc.record({
          do: fc.constantFrom('commit' as const, 'checkpoint' as const, 'reopen' as const),
        }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        const small = { ...SMALL, blockBytes: 8 * 1024, cacheBytes: 16 * 1024 };
        let opened = await terms.open(small);
        try {
          const name = `channel-${terms.epoch}`;
          let log = opened.store.createLog(name, NO_LIMITS);
          let model: string[] = [];
          let limit = Number.POSITIVE_INFINITY;
          for (const next of steps) {
            if (next.do === 'append') {
              for (let i = 0; i < next.count; i++) {
                const data = `${log.lastSequence + 1} ${'z'.repeat(next.bytes)}`;
                log.append(pubMsg(name, data), 1);
                model.push(data);
                if (model.length > limit) model.shift();
              }
            } else if (next.do === 'limit') {
              limit = next.maxMessages;
              log.setLimits({ ...NO_LIMITS, maxMessages: limit });
              model = model.slice(-limit);
            } else if (next.do === 'commit') await opened.host.commit();
            else if (next.do === 'checkpoint') await checkpointed(opened);
            else {
              await opened.host.commit().catch(() => {});
              await opened.store.close();
              opened = await terms.open(small);
              log = opened.store.recovered.logs.find((candidate) => candidate.name === name)!;
              log.setLimits({ ...NO_LIMITS, maxMessages: limit === Number.POSITIVE_INFINITY ? 0 : limit });
            }
            assert.equal(log.messageCount, model.length);
          }
          assert.deepEqual(await readAll(log), model);
        } finally {
          await opened.store.close();
        }
      }),
      { numRuns: 15 },
    );
  });
});

describe('a killed process', () => {
  it('leaves everything that was reported as durable', { timeout: 60_000 }, async (t) => {
    const terms = new Terms(t);
    const script = path.join(import.meta.dirname, 'appender.ts');
    let promised = 0;
    for (let round = 1; round <= 4; round++) {
      const child = fork(script, [terms.dir, String(++terms.epoch)], { execArgv: ['--import', 'tsx'] });
      const exited = new Promise((resolve) => child.once('exit', resolve));
      await new Promise<void>((resolve) => {
        let told = 0;
        child.on('message', (sequence) => {
          promised = sequence as number;
          if (++told === 30 * round) child.kill('SIGKILL');
        });
        child.once('exit', () => resolve());
      });
      await exited;
      const { store } = await terms.open();
      const [log] = store.recovered.logs;
      assert.ok(log!.lastSequence >= promised, `${log!.lastSequence} of ${promised}`);
      for (const [i, message] of (await readAll(log!)).entries()) assert.equal(message, `message ${i + 1}`);
      await store.close();
    }
  });
});

describe('a disk without room', () => {
  /** Refuses to make files or to write beyond what is preallocated, as long as `isFull`. */
  function smallDisk(): { disk: SimFs; full: { is: boolean } } {
    const disk = new SimFs();
    const full = { is: false };
    disk.onOperation = (operation, file) => {
      const takesRoom = operation === 'open' || (operation === 'write' && !file.includes('/journal/'));
      if (full.is && takesRoom) throw failure('ENOSPC', file);
    };
    return { disk, full };
  }

  it('has publishes refused with the reason, keeps what it has, and takes them again when there is room', async (t) => {
    const { disk, full } = smallDisk();
    const terms = new Terms(t, disk);
    const { store, host } = await terms.open(SMALL);
    const log = store.createLog('foo', NO_LIMITS);
    await host.commit();
    // The next file is there already: it may be used up.
    await until(
      () => disk.paths().filter((file) => file.includes('/journal/')).length === 2,
      'the next journal',
    );
    full.is = true;
    let sequence = 0;
    while (store.fullReason === undefined) {
      sequence = log.append(pubMsg('foo', `${log.lastSequence + 1} ${'x'.repeat(30_000)}`), 1);
      await host.commit();
      assert.ok(sequence < 200);
    }
    assert.match(store.fullReason, /no space left/);
    assert.deepEqual(host.fullReasons, [store.fullReason]);
    // What is no message still goes: there is a reserve for it.
    store.putClient(CLIENT);
    host.onSnapshot = (sink) => sink.client(CLIENT);
    store.recordProgress(progressOf(1, [1, 2], [1, 1]));
    await host.commit();
    full.is = false;
    await until(() => store.fullReason === undefined, 'room');
    log.append(pubMsg('foo', 'room again'), 1);
    await host.commit();
    assert.equal(host.failed, undefined);
    await store.close();
    const again = await terms.open(SMALL);
    assert.equal(again.store.recovered.logs[0]!.lastSequence, sequence + 1);
    assert.equal(again.store.recovered.clients.length, 1);
  });

  it('keeps a batch that could not be written, and writes it when there is room', async (t) => {
    const disk = new SimFs();
    const terms = new Terms(t, disk);
    const { store, host } = await terms.open(SMALL);
    const log = store.createLog('foo', NO_LIMITS);
    await host.commit();
    let isFull = true;
    disk.onOperation = (operation, file) => {
      if (isFull && operation === 'write') throw failure('ENOSPC', file);
    };
    log.append(pubMsg('foo', 'kept'), 1);
    const committing = host.commit();
    await until(() => store.fullReason !== undefined, 'the trouble');
    assert.ok(host.committed < store.gathering - 1, 'nothing is promised');
    isFull = false;
    await committing;
    await until(() => store.fullReason === undefined, 'room');
    await store.close();
    const again = await terms.open(SMALL);
    assert.deepEqual(await readAll(again.store.recovered.logs[0]!), ['kept']);
  });

  it('is no place for a new store', async (t) => {
    const { disk, full } = smallDisk();
    disk.onOperation = (operation, file) => {
      if (operation === 'open' && file.includes('/journal/')) throw failure('ENOSPC', file);
    };
    assert.equal(full.is, false);
    await assert.rejects(new Terms(t, disk).open(), { code: 'no-space' });
  });

  it('is not taken for a failed write, after which nothing is promised any more', async (t) => {
    const disk = new SimFs();
    const { store, host } = await new Terms(t, disk).open(SMALL);
    const log = store.createLog('foo', NO_LIMITS);
    await host.commit();
    disk.onOperation = (operation, file) => {
      if (operation === 'write' && file.includes('/journal/')) throw failure('EIO', file);
    };
    log.append(pubMsg('foo', 'lost'), 1);
    await assert.rejects(host.commit(), /EIO/);
    assert.match(host.failed!.message, /journal.*EIO/);
    const committed = host.committed;
    assert.equal(store.committed, committed);
    await store.close();
    assert.equal(host.committed, committed);
  });
});

describe('a file store that is touched, since nothing happens on it', () => {
  it('finds out that its disk takes nothing any more, and can be touched again after that', async (t) => {
    const disk = new SimFs();
    const { store, host } = await new Terms(t, disk).open(SMALL);
    disk.onOperation = (operation, file) => {
      if (operation === 'write' && file.includes('/journal/')) throw failure('EIO', file);
    };
    store.touch();
    await until(() => host.failed !== undefined, 'it fails');
    assert.match(host.failed!.message, /journal.*EIO/);
    store.touch();
  });

  it('takes it in silence when its lease is lost, or it is closed', async (t) => {
    const { store, host } = await new Terms(t).open({ fence: () => Promise.reject(new Error('lost')) });
    store.touch();
    await until(() => host.failed !== undefined, 'it fails');
    store.touch();
    await store.close();
    store.touch();
  });

  it('has what it had, after hundreds of times', async (t) => {
    const terms = new Terms(t, new SimFs());
    const { store, host } = await terms.open(SMALL);
    const log = store.createLog('foo', NO_LIMITS);
    log.append(pubMsg('foo', 'kept'), 1);
    await host.commit();
    for (let time = 1; time <= 200; time++) {
      const { committed } = store;
      store.touch();
      await until(() => store.committed > committed, 'it is written');
    }
    await store.close();
    const again = await terms.open(SMALL);
    assert.deepEqual(await readAll(again.store.recovered.logs[0]!), ['kept']);
  });
});

describe('the fence', () => {
  it('comes after the write and before anything is said; one covers all batches written before it', async (t) => {
    const open: (() => void)[] = [];
    let isOver = false;
    const terms = new Terms(t);
    const { store } = await terms.open({
      fence: () => (isOver ? Promise.resolve() : new Promise((resolve) => open.push(resolve))),
    });
    const host = new TestHost(store);
    const log = store.createLog('foo', NO_LIMITS);
    const firstBatch = store.gathering;
    const first = host.commit();
    await until(() => open.length === 1, 'the fence of the first batch');
    assert.equal(host.committed, 0);
    // Two more are written while the fence is under way.
    log.append(pubMsg('foo', 'a'), 1);
    const second = host.commit();
    await until(() => store.pendingBytes === 0, 'the second is written');
    log.append(pubMsg('foo', 'b'), 1);
    const third = host.commit();
    await until(() => store.pendingBytes === 0, 'the third is written');
    await holdsFor(20, () => open.length === 1, 'one at a time');
    open[0]!();
    await first;
    await until(() => open.length === 2, 'the next fence');
    assert.equal(host.committed, firstBatch, 'what was written behind the fence waits for the next one');
    open[1]!();
    await Promise.all([second, third]);
    assert.equal(open.length, 2);
    // A checkpoint may be at one too.
    isOver = true;
    for (const pass of open) pass();
    await store.close();
    assert.equal(store.committed, store.gathering - 1);
  });

  it('comes before a checkpoint removes what it replaces: a broker without the lease removes nothing', async (t) => {
    const held: (() => void)[] = [];
    const terms = new Terms(t);
    const files = (folder: string): string[] => fs.readdirSync(`${terms.dir}/${folder}`).sort();
    let checkpoints = Number.POSITIVE_INFINITY;
    const opened = await terms.open({
      ...SMALL,
      fence: () =>
        files('checkpoints').length > checkpoints
          ? new Promise((resolve) => held.push(resolve))
          : Promise.resolve(),
    });
    const { store, host } = opened;
    const log = store.createLog('foo', NO_LIMITS);
    log.append(pubMsg('foo', 'a'), 1);
    await host.commit();
    await checkpointed(opened);
    const [former] = files('checkpoints');
    checkpoints = 1;
    log.append(pubMsg('foo', 'b'), 1);
    await host.commit();
    store.upkeep.checkpoint();
    await until(() => held.length > 0, 'the checkpoint is there, and waits for the fence');
    assert.equal(files('checkpoints').length, 2);
    assert.equal(files('checkpoints')[0], former);
    checkpoints = Number.POSITIVE_INFINITY;
    for (const pass of held) pass();
    await until(() => !store.upkeep.isCheckpointing, 'it is done');
    assert.equal(files('checkpoints').length, 1);
    assert.notEqual(files('checkpoints')[0], former);
    await store.close();
  });

  it('that fails is the end: nothing of the batch was ever said', async (t) => {
    const { store } = await new Terms(t).open({ fence: () => Promise.reject(new Error('taken over')) });
    const host = new TestHost(store);
    store.createLog('foo', NO_LIMITS);
    await assert.rejects(host.commit(), /taken over/);
    assert.equal(host.committed, 0);
  });
});
