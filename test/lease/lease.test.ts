import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { systemClock } from '../../src/clock/clock.js';
import { nodeFs, type StoreFs } from '../../src/files/fs.js';
import { candidateLock } from '../../src/lease/candidate-lock.js';
import { Lease } from '../../src/lease/lease.js';
import { startRenewer } from '../../src/lease/lease-renewer.js';
import {
  holderName,
  type LeaseState,
  leaseFileName,
  leaseGroup,
  NO_LENGTH,
  parseLeaseFileName,
  RELEASED,
} from '../../src/lease/lease-state.js';
import { type LoneLease, type LoneLeaseOptions, takeLoneLease } from '../../src/lease/lone-lease.js';
import { holderOf, machineProcesses, type Processes } from '../../src/lease/process-identity.js';
import { StoreAnchor } from '../../src/lease/store-anchor.js';
import { ManualClock } from '../clock/manual-clock.js';
import { leaseState, newTerm } from '../harness/lease-states.js';
import { waitFor } from '../harness/wait.js';

function directory(t: TestContext): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'stanchion-lease-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Keeps the process alive: the clock's timers do not. */
async function awake<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, 1000);
  return work.finally(() => clearInterval(timer));
}

describe('the lease', () => {
  it('is the name of one file, and is born released', async (t) => {
    const dir = directory(t);
    const lease = new Lease(nodeFs, dir);
    await lease.create('one');
    assert.deepEqual(fs.readdirSync(`${dir}/lease`), ['v1.00000000.000000.served-0-0.none-0.released']);
    assert.deepEqual(
      await lease.read(),
      leaseState({ epoch: 0, counter: 0, holder: RELEASED, ...NO_LENGTH }),
    );
    assert.deepEqual(fs.readdirSync(dir), ['lease'], 'nothing else is left');
  });

  it('is born behind the newest epoch that has left files, if it was removed', async (t) => {
    const dir = directory(t);
    for (const file of ['journal/00000007.000001.log', 'segments/00000009.000002.seg']) {
      fs.mkdirSync(path.dirname(`${dir}/${file}`));
      fs.writeFileSync(`${dir}/${file}`, '');
    }
    const lease = new Lease(nodeFs, dir);
    await lease.create('one');
    assert.deepEqual(
      await lease.read(),
      leaseState({ epoch: 9, counter: 0, holder: RELEASED, ...NO_LENGTH }),
    );
  });

  it('says of itself that it was lost, and that a term has served, where a store has an identity and no lease', async (t) => {
    const dir = directory(t);
    const lease = new Lease(nodeFs, dir);
    assert.match((await lease.create('one', true)) ?? '', /lease was missing, and has been made again/);
    assert.deepEqual(
      await lease.read(),
      leaseState({ epoch: 1, counter: 0, servedEpoch: 1, holder: RELEASED, ...NO_LENGTH }),
    );
    assert.equal(await lease.create('two', true), undefined);
  });

  it('is made apart from files made later, if it is to be renamed often, and nothing else is left', async (t) => {
    const dir = directory(t);
    let made = 0;
    const counting: StoreFs = {
      ...nodeFs,
      open: (path, mode) => {
        if (mode === 'create') made++;
        return nodeFs.open(path, mode);
      },
    };
    await new Lease(counting, dir, true).create('one');
    assert.ok(made > 32, `${made} files were made`);
    assert.deepEqual(fs.readdirSync(dir), ['lease']);
    assert.deepEqual(fs.readdirSync(`${dir}/lease`), ['v1.00000000.000000.served-0-0.none-0.released']);
  });

  it('is made once by many at the same time', async (t) => {
    const dir = directory(t);
    const terms = Array.from({ length: 10 }, (_, i) => new Lease(nodeFs, dir, i % 2 === 0));
    await Promise.all(terms.map((lease, i) => lease.create(`candidate-${i}`)));
    assert.deepEqual(fs.readdirSync(dir), ['lease']);
    assert.equal(fs.readdirSync(`${dir}/lease`).length, 1);
  });

  it('changes only for who knows its exact name', async (t) => {
    const dir = directory(t);
    const lease = new Lease(nodeFs, dir);
    await lease.create('one');
    const first = await lease.takeOver(await lease.read(), newTerm(1, 'one'));
    assert.ok(first !== 'lost');
    const second = await lease.renew(first);
    assert.ok(second !== 'lost');
    assert.deepEqual(fs.readdirSync(`${dir}/lease`), ['v1.00000001.000001.served-0-0.group-600.one']);
    assert.equal(await lease.renew(first), 'lost');
    assert.equal(await lease.takeOver(first, newTerm(2, 'two')), 'lost');
    assert.equal(await lease.release(first), 'lost');
    const third = await lease.takeOver(second, newTerm(2, 'two'));
    assert.ok(third !== 'lost');
    assert.equal(await lease.renew(second), 'lost');
    assert.ok((await lease.release(third)) !== 'lost');
    assert.deepEqual(fs.readdirSync(`${dir}/lease`), ['v1.00000002.000001.served-0-0.group-600.released']);
  });

  it('says which term has served last, and says so in the next terms until one of them serves', async (t) => {
    const dir = directory(t);
    const lease = new Lease(nodeFs, dir);
    await lease.create('one');
    let state = await lease.read();
    const step = async (next: Promise<LeaseState | 'lost'>): Promise<string[]> => {
      const changed = await next;
      assert.ok(changed !== 'lost');
      state = changed;
      assert.deepEqual(await lease.read(), state);
      return fs.readdirSync(`${dir}/lease`);
    };
    const alone = { epoch: 2, holder: 'two', kind: 'alone', leaseMs: 3000 } as const;
    assert.deepEqual(await step(lease.takeOver(state, newTerm(1, 'one'))), [
      'v1.00000001.000000.served-0-0.group-600.one',
    ]);
    assert.deepEqual(await step(lease.renew(state, 1)), ['v1.00000001.000001.served-1-1.group-600.one']);
    assert.deepEqual(await step(lease.renew(state, 12)), ['v1.00000001.000002.served-1-12.group-600.one']);
    assert.deepEqual(await step(lease.takeOver(state, alone)), [
      'v1.00000002.000000.served-1-12.alone-3000.two',
    ]);
    assert.deepEqual(await step(lease.renew(state)), ['v1.00000002.000001.served-1-12.alone-3000.two']);
    assert.deepEqual(await step(lease.release(state)), [
      'v1.00000002.000002.served-1-12.alone-3000.released',
    ]);
  });

  it('is no state where it says that a later term has served than the newest', () => {
    assert.equal(parseLeaseFileName('v1.00000002.000000.served-3-1.group-600.one'), undefined);
    assert.equal(parseLeaseFileName('v1.00000002.000000.served-2-5.group-600.one')?.servedEpoch, 2);
  });

  it('ends for its holder when it is taken over from a name that no member made', async (t) => {
    const dir = directory(t);
    const lease = new Lease(nodeFs, dir);
    await lease.create('one');
    const first = await lease.takeOver(await lease.read(), newTerm(1, 'one'));
    assert.ok(first !== 'lost');
    for (const name of [
      'v1.00000050.000000.served-0-0.group-600.foreign',
      'v1.00000000.000007.served-0-0.group-600.old',
      'README',
    ])
      fs.writeFileSync(`${dir}/lease/${name}`, '');
    const found = await lease.read();
    assert.equal(found.epoch, 50);
    assert.ok((await lease.takeOver(found, newTerm(51, 'two'))) !== 'lost');
    assert.equal(await lease.renew(first), 'lost');
    assert.deepEqual(fs.readdirSync(`${dir}/lease`).sort(), [
      'README',
      'v1.00000051.000000.served-0-0.group-600.two',
    ]);
  });

  it('is taken from a holder that goes on renewing another name meanwhile, and where a mount remembers an old one', async (t) => {
    const dir = directory(t);
    let lists = 0;
    let one = leaseState({ epoch: 1, counter: 0, holder: 'one' });
    const busy: StoreFs = {
      ...nodeFs,
      list: async (folder) => {
        const names = await nodeFs.list(folder);
        if (++lists > 3) return [...names, 'v1.00000001.000009.served-0-0.group-600.remembered'];
        // It renews between the listing and what follows.
        const next = await new Lease(nodeFs, dir).renew(one);
        if (next !== 'lost') one = next;
        return names;
      },
    };
    await new Lease(nodeFs, dir).create('one');
    assert.ok(
      (await new Lease(nodeFs, dir).takeOver(
        { ...one, epoch: 0, kind: 'none', leaseMs: 0, holder: RELEASED },
        newTerm(1, 'one'),
      )) !== 'lost',
    );
    fs.writeFileSync(`${dir}/lease/v1.00000050.000000.served-0-0.group-600.foreign`, '');
    const next = await new Lease(busy, dir).takeOver(
      { ...one, epoch: 50, counter: 0, holder: 'foreign' },
      newTerm(51, 'two'),
    );
    assert.ok(next !== 'lost');
    assert.equal(one.counter, 3);
    assert.equal(await new Lease(nodeFs, dir).renew(one), 'lost');
    assert.deepEqual(fs.readdirSync(`${dir}/lease`), ['v1.00000051.000000.served-0-0.group-600.two']);
  });

  it('takes any text as a holder and gives the name back', () => {
    const state = leaseState({ epoch: 12, counter: 3456789, servedEpoch: 12, holder: 'a.b@c-d@1@' });
    assert.deepEqual(parseLeaseFileName(leaseFileName(state)), state);
    assert.equal(parseLeaseFileName('lost+found'), undefined);
    assert.match(holderOf('a/b c', { host: 'h@1', pid: 5, start: 'x' }), /^a-b-c@h-1@5@x$/);
  });

  it('has room for any name of a group, and tells names that do not fit apart', () => {
    const names = ['g', 'orders_2-eu', 'a.b', 'a/b', 'x'.repeat(25), `${'x'.repeat(24)}y`, 'Gruppe Nord'];
    const written = names.map(leaseGroup);
    assert.deepEqual(written.slice(0, 2), ['g', 'orders_2-eu']);
    assert.equal(new Set(written).size, names.length);
    for (const group of written) {
      const state = leaseState({ epoch: 1, counter: 2, holder: 'a.b@h@1@', group });
      assert.deepEqual(parseLeaseFileName(leaseFileName(state)), state);
    }
    const longest = {
      ...{
        epoch: 9_999_999_999,
        counter: 1e15,
        servedEpoch: 9_999_999_999,
        servedBatch: 9_999_999_999_999,
        leaseMs: 9_999_999,
      },
      ...{ group: 'x'.repeat(24), holder: holderName('x'.repeat(300)), kind: 'group' as const },
    };
    assert.ok(leaseFileName(longest).length <= 255);
    assert.deepEqual(parseLeaseFileName(leaseFileName(longest)), longest);
    const identity = { host: 'h'.repeat(99), pid: 2 ** 31, start: 's'.repeat(99) };
    const holder = holderOf('n'.repeat(99), identity);
    assert.equal(holderName(holder), holder, 'no part of a process is cut off');
  });

  it('has one winner in each epoch, whatever the number of processes that race', async (t) => {
    const dir = directory(t);
    await new Lease(nodeFs, dir).create('start');
    const script = path.join(import.meta.dirname, 'lease-racer.ts');
    const wins = await Promise.all(
      [1, 2, 3].map(
        (racer) =>
          new Promise<number[]>((resolve, reject) => {
            const child = fork(script, [dir, `racer-${racer}`, '60'], { execArgv: ['--import', 'tsx'] });
            child.once('message', (message) => resolve(message as number[]));
            child.once('error', reject);
            child.once('exit', (code) => reject(new Error(`racer ${racer} ended with ${code}`)));
          }),
      ),
    );
    const epochs = wins.flat().sort((a, b) => a - b);
    assert.deepEqual(
      epochs,
      Array.from({ length: epochs.length }, (_, i) => i + 1),
    );
    assert.equal(fs.readdirSync(`${dir}/lease`).length, 1);
  });
});

describe('the lock of an epoch', () => {
  const lockedIn = (dir: string): string[] => fs.readdirSync(`${dir}/lease.locks`);

  it('is had by one, and free again when it is given back', async (t) => {
    const dir = directory(t);
    const [lock, other] = [candidateLock(nodeFs, dir, assert.fail), candidateLock(nodeFs, dir, assert.fail)];
    const held = await lock(1);
    assert.deepEqual(lockedIn(dir), ['00000001.lock']);
    assert.equal(await other(1), undefined);
    await held!.release();
    assert.deepEqual(lockedIn(dir), []);
  });

  it('leaves that of the lease alone until a later one is won', async (t) => {
    const dir = directory(t);
    const active = await candidateLock(nodeFs, dir, assert.fail)(1);
    assert.ok(active !== undefined);
    // It finds then that there is nothing to take over.
    const wrong = await candidateLock(nodeFs, dir, assert.fail)(2);
    await wrong!.release();
    assert.deepEqual(lockedIn(dir), ['00000001.lock']);
    const won = await candidateLock(nodeFs, dir, assert.fail)(3);
    await won!.removeOlder();
    assert.deepEqual(lockedIn(dir), ['00000003.lock']);
    await won!.release();
    await active.release();
  });
});

describe('the lease of a broker alone', () => {
  const here = machineProcesses(nodeFs, 'this-host', process.pid);

  function take(
    t: TestContext,
    dir: string,
    { fs = nodeFs, ...options }: Partial<LoneLeaseOptions> & { fs?: StoreFs } = {},
  ): Promise<LoneLease> {
    const taking = takeLoneLease({
      clock: systemClock,
      lease: new Lease(fs, dir),
      lock: candidateLock(fs, dir, assert.fail),
      startRenewer,
      processes: here,
      dir,
      nodeName: 'node-1',
      leaseMs: 200,
      isStoreThere: false,
      warn: assert.fail,
      onLost: () => {},
      ...options,
    });
    taking.then((taken) => t.after(() => taken.release())).catch(() => {});
    return awake(taking);
  }

  /** Another process, as the lease has it. */
  function processes(host: string, pid: number): Processes {
    return {
      self: async () => ({ host, pid, start: 'boot-1' }),
      isDead: (identity) => here.isDead(identity),
    };
  }

  /** As a network file system may be: it renames, loses the answer, asks again, and says that the name is not there. */
  class ForgetfulFs {
    isForgetful = false;
    forgotten = 0;
    readonly fs: StoreFs = new Proxy(nodeFs, {
      get: (target, name) => {
        if (name === 'rename') return this.#rename;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });

    readonly #rename = async (from: string, to: string): Promise<void> => {
      await nodeFs.rename(from, to);
      if (!this.isForgetful || !from.includes('/lease/')) return;
      this.forgotten++;
      await nodeFs.rename(from, to);
    };
  }

  it('is kept when a renewal was done and its answer lost, again and again', async (t) => {
    const dir = directory(t);
    const forgetful = new ForgetfulFs();
    const lost: Error[] = [];
    const first = await take(t, dir, { fs: forgetful.fs, onLost: (error) => lost.push(error) });
    forgetful.isForgetful = true;
    await awake(waitFor(() => forgetful.forgotten >= 3 || lost.length > 0, 'three renewals'));
    assert.deepEqual(lost, []);
    await first.fence();
    forgetful.isForgetful = false;
    await first.release();
    assert.equal((await new Lease(nodeFs, dir).read()).holder, RELEASED);
  });

  it('is taken at once when the taking was done and its answer lost', async (t) => {
    const dir = directory(t);
    await (await take(t, dir)).release();
    const forgetful = new ForgetfulFs();
    forgetful.isForgetful = true;
    const clock = new ManualClock();
    // Time does not pass: whoever waits for a lease waits for ever.
    const held = await take(t, dir, { fs: forgetful.fs, clock });
    assert.equal(forgetful.forgotten, 1);
    forgetful.isForgetful = false;
    await held.fence();
    assert.equal(held.epoch, 2);
  });

  it('is taken at once when it is new, and when it was released', async (t) => {
    const dir = directory(t);
    const first = await take(t, dir);
    assert.equal(first.epoch, 1);
    await first.release();
    const second = await take(t, dir, { leaseMs: 60_000 });
    assert.equal(second.epoch, 2);
  });

  it('is left to a group that hands over, and taken when no member of it has taken it for the length of its lease', async (t) => {
    const dir = directory(t);
    const lease = new Lease(nodeFs, dir);
    await lease.create('x');
    const leaving = await lease.takeOver(await lease.read(), newTerm(1, 'a', 300));
    assert.ok(leaving !== 'lost');
    await lease.release(leaving);
    const waits: string[] = [];
    const clock = new ManualClock();
    const refused = assert.rejects(take(t, dir, { clock, onWait: (text) => waits.push(text) }), {
      code: 'held',
      message: /is held by b, epoch 2\. Stop that group first/,
    });
    await awake(waitFor(() => waits.length > 0, 'it waits'));
    let successor = await lease.takeOver(await lease.read(), newTerm(2, 'b', 300));
    const renewing = (async () => {
      // Each look takes a moment, and no time passes by itself.
      while (waits.length < 99) {
        clock.advance(20);
        await new Promise((resolve) => setImmediate(resolve));
        if (successor !== 'lost') successor = await lease.renew(successor);
      }
    })();
    await awake(refused);
    waits.length = 99;
    await renewing;
    assert.match(
      waits[0] ?? '',
      /was given back by a member of a group\. Watching for up to 300 ms whether another one takes it/,
    );
    assert.ok(successor !== 'lost', 'it has not been disturbed');
    await lease.release(successor);
    const begunMs = performance.now();
    assert.equal((await take(t, dir)).epoch, 3);
    assert.ok(performance.now() - begunMs >= 300);
  });

  it('is refused while its holder renews, and the error says who that is', async (t) => {
    const dir = directory(t);
    await take(t, dir, { nodeName: 'stan-1' });
    await assert.rejects(take(t, dir), (error: Error) => {
      for (const part of [dir, 'stan-1', 'this-host', String(process.pid)])
        assert.ok(error.message.includes(part), part);
      return true;
    });
  });

  it('is taken at once from a dead process of this host', async (t) => {
    const dir = directory(t);
    const lease = new Lease(nodeFs, dir);
    await lease.create('x');
    // It had the number of this one, in this boot and container, and began at another time.
    const identity = await here.self();
    const dead = holderOf('stan-1', { ...identity, start: `${identity.start}0` });
    await lease.takeOver(await lease.read(), newTerm(7, dead));
    const silenceMs = 60_000;
    const begunMs = performance.now();
    const taken = await take(t, dir, { leaseMs: silenceMs });
    assert.equal(taken.epoch, 8);
    assert.ok(performance.now() - begunMs < silenceMs, 'nothing was waited for');
  });

  it('is taken from a silent holder of another host after the lease', async (t) => {
    const dir = directory(t);
    const lease = new Lease(nodeFs, dir);
    await lease.create('x');
    await lease.takeOver(
      await lease.read(),
      newTerm(3, holderOf('stan-1', { host: 'elsewhere', pid: 1, start: 'boot' })),
    );
    const started = performance.now();
    const taken = await take(t, dir);
    assert.ok(performance.now() - started >= 200);
    assert.equal(taken.epoch, 4);
  });

  it('is not taken from the member of a group whose lease is longer than its own, however rarely that renews', async (t) => {
    const dir = directory(t);
    const lease = new Lease(nodeFs, dir);
    await lease.create('x');
    const member = holderOf('stan-1', { host: 'elsewhere', pid: 1, start: 'boot' });
    const term = { ...newTerm(3, member, 900), group: leaseGroup('orders') };
    let state = await lease.takeOver(await lease.read(), term);
    // An idle active renews three times in its lease, and may be late.
    const renewing = setInterval(async () => {
      if (state !== 'lost') state = await lease.renew(state);
    }, 500);
    t.after(() => clearInterval(renewing));
    const waits: number[] = [];
    await assert.rejects(take(t, dir, { leaseMs: 200, onWait: (_, waitMs) => waits.push(waitMs) }), {
      code: 'held',
      message:
        /is held by node "stan-1" \(host elsewhere, pid 1\), a member of group "orders", epoch 3\. Stop that group first/,
    });
    assert.deepEqual(waits, [900], 'it says for how long it watches');
    assert.equal((await lease.read()).epoch, 3);
  });

  it('informs its holder when it was taken, and no fence succeeds any more', async (t) => {
    const dir = directory(t);
    let lost: Error | undefined;
    const held = await take(t, dir, {
      onLost: (error) => {
        lost = error;
      },
    });
    await held.fence();
    const lease = new Lease(nodeFs, dir);
    while ((await lease.takeOver(await lease.read(), newTerm(9, 'usurper'))) === 'lost');
    await waitFor(() => lost !== undefined, 'its holder hears of it');
    assert.match(lost!.message, /usurper/);
    await assert.rejects(held.fence(), { code: 'lost' });
    await held.release();
    assert.equal((await lease.read()).holder, 'usurper');
  });

  it('says that the store is gone, and not that another has it, when its folder was removed', async (t) => {
    const dir = `${directory(t)}/store`;
    let lost: Error | undefined;
    const held = await take(t, dir, {
      onLost: (error) => {
        lost = error;
      },
    });
    fs.rmSync(dir, { recursive: true });
    await waitFor(() => lost !== undefined, 'its holder finds that out');
    assert.match(
      lost!.message,
      /^The store is gone: \S+\/store\/lease holds no store any more, and no other broker has taken it over\. .* Put it back before/,
    );
    await assert.rejects(held.fence(), { code: 'lost', message: lost!.message });
    await held.release();
    assert.equal(fs.existsSync(dir), false, 'nothing is made there again');
  });

  it('asks at once whose it is when its lock is gone, and not its clock', async (t) => {
    const dir = directory(t);
    const clock = new ManualClock();
    const lost: Error[] = [];
    let loseLock = (): void => {};
    const held = await take(t, dir, {
      clock,
      lock: async (_epoch, onLost) => {
        loseLock = () => onLost!(new Error('ENOENT'));
        return { removeOlder: async () => {}, release: async () => {} };
      },
      onLost: (error) => lost.push(error),
    });
    // As long as the lease is its own, nothing rests on the lock.
    loseLock();
    await held.fence();
    assert.deepEqual(lost, []);
    const lease = new Lease(nodeFs, dir);
    assert.notEqual(await lease.takeOver(await lease.read(), newTerm(9, 'usurper')), 'lost');
    loseLock();
    await assert.rejects(held.fence(), { code: 'lost' });
    clock.advance(1_000);
    await assert.rejects(held.fence(), { code: 'lost' });
    assert.deepEqual(
      lost.map(({ message }) => message),
      [
        `The lease has been taken over by usurper in epoch 9. This broker no longer has the store in ${dir}, and must stop`,
      ],
    );
  });

  it('is lost when a copy that is as new replaces the store, and is not released there', async (t) => {
    const dir = directory(t);
    const store = `${dir}/store`;
    fs.mkdirSync(store);
    fs.writeFileSync(`${store}/stanchion.json`, '{}');
    const anchor = new StoreAnchor(nodeFs, store);
    t.after(() => anchor.close());
    await anchor.look();
    const clock = new ManualClock();
    const lost: Error[] = [];
    const held = await take(t, store, {
      clock,
      lookAtPlace: () => anchor.look(),
      onLost: (error) => lost.push(error),
    });
    fs.cpSync(store, `${dir}/copy`, { recursive: true });
    fs.renameSync(store, `${dir}/real`);
    fs.renameSync(`${dir}/copy`, store);
    await waitFor(() => {
      clock.advance(200);
      return lost.length > 0;
    }, 'its holder hears of it');
    assert.match(lost[0]!.message, /store has been replaced by a copy .* This broker must stop/);
    await assert.rejects(held.fence(), { code: 'lost' });
    await held.release();
    assert.match(
      fs.readdirSync(`${store}/lease`).join(),
      /^v1\.00000001\.\d+\.served-0-0\.alone-200\.node-1@/,
    );
    assert.equal(lost.length, 1);
  });

  it('is taken without a lock where there can be none, and one log line says so and what to do', async (t) => {
    const dir = directory(t);
    fs.writeFileSync(`${dir}/lease.locks`, 'something');
    const told: string[] = [];
    const lock = candidateLock(nodeFs, dir, (message) => told.push(message));
    for (let epoch = 1; epoch <= 3; epoch++) {
      const held = await take(t, dir, { lock });
      assert.equal(held.epoch, epoch);
      await held.release();
    }
    const [first, ...others] = told;
    assert.match(
      first ?? 'nothing',
      new RegExp(`^${dir}/lease.locks cannot be used, .*: EEXIST: .* or remove it`),
    );
    assert.deepEqual(others, []);
    assert.equal(fs.readFileSync(`${dir}/lease.locks`, 'utf8'), 'something');
    // Mended, and broken again.
    fs.rmSync(`${dir}/lease.locks`);
    await (await take(t, dir, { lock })).release();
    assert.equal(told.length, 1);
    fs.rmSync(`${dir}/lease.locks`, { recursive: true });
    fs.symlinkSync(`${dir}/nowhere`, `${dir}/lease.locks`);
    await (await take(t, dir, { lock })).release();
    assert.match(told[1] ?? 'nothing', /lease.locks cannot be used, .*: ENOENT: /);
  });

  it('goes one epoch on when a candidate died with the lock of the next one', async (t) => {
    const dir = directory(t);
    await new Lease(nodeFs, dir).create('x');
    const left = await candidateLock(nodeFs, dir, assert.fail)(1);
    assert.ok(left !== undefined);
    t.after(() => left.release());
    const held = await take(t, dir);
    assert.equal(held.epoch, 2);
  });

  it('is taken by one of many at the same time', async (t) => {
    const dir = directory(t);
    const results = await Promise.allSettled(
      Array.from({ length: 6 }, (_, i) =>
        take(t, dir, { nodeName: `node-${i}`, processes: processes(`host-${i}`, i + 1) }),
      ),
    );
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  });
});
