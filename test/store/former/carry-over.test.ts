import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { nodeFs } from '../../../src/files/fs.js';
import type { StoreError } from '../../../src/files/store-error.js';
import { MOVED, NOT_YET } from '../../../src/lease/carry-over.js';
import { Lease } from '../../../src/lease/lease.js';
import { RELEASED } from '../../../src/lease/lease-state.js';
import { StoreAnchor } from '../../../src/lease/store-anchor.js';
import { storeInfo } from '../../../src/store/tools/inspect.js';
import { type RepairOutcome, repairStore } from '../../../src/store/tools/repair-store.js';
import { storeVerify } from '../../../src/store/tools/verify.js';
import { newTerm } from '../../harness/lease-states.js';
import { temporaryDirectory } from '../file-support.js';
import { SimFs } from '../sim-fs.js';
import { NO_LIMITS, random, read, TestClock } from '../support.js';
import { FORMER_CLUSTER_ID, FORMER_MESSAGES, putFormerStore } from './former-store.js';
import { checkAsOld, OldTerm, oldLease } from './old-term.js';
import { OpenTerm } from './open-term.js';

const clock = new TestClock();

/** That all of the former store is there, under its sequences, and `more` behind it. */
async function has(term: OpenTerm, more: readonly string[] = []): Promise<void> {
  for (const [channel, count] of Object.entries(FORMER_MESSAGES)) {
    const log = term.log(channel);
    const behind = channel === 'orders' ? more : [];
    assert.equal(log.lastSequence, count + behind.length);
    const word = channel.slice(0, -1).replace('new', 'news');
    for (let sequence = 1; sequence <= count; sequence++)
      assert.equal(await read(log, sequence), `${word} ${sequence}`);
    for (const [index, text] of behind.entries()) assert.equal(await read(log, count + 1 + index), text);
  }
  const { subscriptions } = term.store.recovered;
  assert.deepEqual(
    subscriptions.map(({ record }) => record.durableName),
    ['billing'],
  );
}
/** All paths, and what shows that a file has changed. */
function picture(dir: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of fs.readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort()) {
    const status = fs.statSync(`${dir}/${name}`);
    found[name] = status.isDirectory() ? 'folder' : `${status.size} ${status.mtimeMs}`;
  }
  return found;
}

async function formerStore(t: TestContext): Promise<string> {
  const dir = `${temporaryDirectory(t)}/store`;
  await putFormerStore(nodeFs, dir);
  return dir;
}

const versionOf = (text: Buffer | string): string | undefined =>
  /"formatVersion": (\d)/.exec(text.toString())?.[1];

describe('a store of release 0.1.0', () => {
  it('is carried over at its first opening, with all that is in it', async (t) => {
    const dir = await formerStore(t);
    const anchor = new StoreAnchor(nodeFs, dir);
    t.after(() => anchor.close());
    assert.equal(await anchor.look(), 'same');
    const term = await OpenTerm.begin(nodeFs, dir, 'new');
    assert.equal(term.epoch, 3);
    await has(term);
    assert.equal(term.carriedOver, 1);
    assert.equal(await term.publish('orders', 'order 31'), 31);
    await term.end();
    assert.deepEqual(fs.readdirSync(`${dir}/lease`), [
      `v1.00000003.${counterOf(term)}.served-0-0.group-600.${RELEASED}`,
    ]);
    assert.deepEqual(fs.readdirSync(`${dir}/reign`), [MOVED]);
    assert.equal(fs.existsSync(`${dir}/reign.locks`), false);
    assert.equal(versionOf(fs.readFileSync(`${dir}/stanchion.json`)), '4');
    // Members that run go by the file that they have open.
    assert.equal(await anchor.look(), 'same');
    const next = await OpenTerm.begin(nodeFs, dir, 'new');
    await has(next, ['order 31']);
    assert.equal(next.carriedOver, 0, 'it is said once');
    await next.end();
  });

  it('is opened though that release ended before it had a journal, as on a full disk: its term has not served', async (t) => {
    const dir = await formerStore(t);
    for (const folder of ['journal', 'segments', 'checkpoints'])
      fs.rmSync(`${dir}/${folder}`, { recursive: true });
    const term = await OpenTerm.begin(nodeFs, dir, 'new', { isStoreThere: true });
    assert.equal(term.epoch, 3);
    assert.equal(term.carriedOver, 1);
    assert.equal(term.store.recovered.logs.length, 0);
    await term.end();
  });

  it('is refused by that release afterwards, untouched', async (t) => {
    const dir = await formerStore(t);
    await (await OpenTerm.begin(nodeFs, dir, 'new')).end();
    const before = picture(dir);
    await assert.rejects(checkAsOld(nodeFs, dir), { code: 'newer-version' });
    // One that has looked at the version a moment before.
    const lease = oldLease(nodeFs, dir);
    await lease.create('old');
    await assert.rejects(lease.read(), (error: Error) => error.message.includes(MOVED));
    assert.deepEqual(picture(dir), before);
  });

  it('is looked at, and shared, by both while that release has the lease', async (t) => {
    const dir = await formerStore(t);
    const old = await OldTerm.begin(nodeFs, dir, 'old');
    const watching = new Lease(nodeFs, dir);
    await watching.create('new');
    const seen = await watching.read();
    assert.deepEqual([seen.epoch, seen.holder], [3, 'old']);
    assert.equal(await old.publish('orders', 'order 31'), 31);
    assert.ok((await watching.readFresh('new')).counter > seen.counter, 'its renewals are seen');
    assert.equal(
      await watching.takeOver(seen, newTerm(4, 'new')),
      'lost',
      'what it has changed since is not taken',
    );
    assert.deepEqual(fs.readdirSync(`${dir}/lease`), [NOT_YET]);
    const other = oldLease(nodeFs, dir);
    assert.equal((await other.read()).holder, 'old');
    await old.end();
  });

  it('is lost to that release when a newer program takes it, and nothing acknowledged is', async (t) => {
    const dir = await formerStore(t);
    const old = await OldTerm.begin(nodeFs, dir, 'old');
    await old.publish('orders', 'order 31');
    const term = await OpenTerm.begin(nodeFs, dir, 'new');
    await assert.rejects(old.publish('orders', 'not acknowledged'), { code: 'lost' });
    assert.equal(await old.lease.release(old.state), 'lost');
    await assert.rejects(oldLease(nodeFs, dir).readFresh('old-too'), (error: Error) =>
      error.message.includes(MOVED),
    );
    await has(term, ['order 31']);
    assert.equal(await term.publish('orders', 'order 32'), 32);
    await term.end();
  });

  it('goes to one of two newer programs that take it at the same time', async (t) => {
    const dir = await formerStore(t);
    const leases = [new Lease(nodeFs, dir), new Lease(nodeFs, dir, true)];
    await Promise.all(leases.map((lease, index) => lease.create(`n${index}`)));
    const known = await Promise.all(leases.map((lease) => lease.read()));
    const taken = await Promise.all(
      leases.map((lease, index) => lease.takeOver(known[index]!, newTerm(3, `n${index}`))),
    );
    const won = taken.filter((state) => state !== 'lost');
    assert.equal(won.length, 1);
    assert.deepEqual(await leases[0]!.read(), won[0]);
  });

  it('can be looked at, verified and repaired as it is', async (t) => {
    const dir = await formerStore(t);
    const before = picture(dir);
    const options = { fs: nodeFs, clock, dir };
    const { lease, identity, channels } = await storeInfo(options);
    assert.deepEqual([lease?.epoch, lease?.holder, identity.formatVersion], [2, RELEASED, 1]);
    assert.deepEqual(
      Object.fromEntries(channels.map(({ name, messages }) => [name, messages])),
      FORMER_MESSAGES,
    );
    assert.deepEqual((await storeVerify(options)).damages, []);
    assert.equal((await repair(dir)).result, 'well');
    assert.deepEqual(picture(dir), before);
    const [segment] = fs.readdirSync(`${dir}/segments`);
    const bytes = fs.readFileSync(`${dir}/segments/${segment}`);
    const at = bytes.indexOf('order 7');
    bytes[at] = bytes[at]! ^ 1;
    fs.writeFileSync(`${dir}/segments/${segment}`, bytes);
    assert.equal((await repair(dir)).result, 'repaired');
    assert.equal(versionOf(fs.readFileSync(`${dir}/stanchion.json`)), '4');
    assert.deepEqual((await storeVerify(options)).damages, []);
    const { channels: after } = await storeInfo(options);
    assert.deepEqual(after.find(({ name }) => name === 'orders')?.lost, [{ first: 7, last: 7 }]);
  });

  it('is repaired where its lease or its identity says nothing any more', async (t) => {
    for (const damage of [
      (dir: string) => fs.rmSync(`${dir}/reign/00000002.000022.released`),
      (dir: string) => fs.writeFileSync(`${dir}/stanchion.json`, 'zeros'),
    ]) {
      const dir = await formerStore(t);
      damage(dir);
      await assert.rejects(OpenTerm.begin(nodeFs, dir, 'new'));
      assert.equal((await repair(dir)).result, 'repaired');
      assert.deepEqual((await storeVerify({ fs: nodeFs, clock, dir })).damages, []);
      const term = await OpenTerm.begin(nodeFs, dir, 'new');
      await has(term);
      await term.end();
    }
  });

  it('that both releases make at the same time ends up with one lease, and with what either acknowledged', async (t) => {
    const dir = `${temporaryDirectory(t)}/store`;
    const old = await OldTerm.begin(nodeFs, dir, 'old');
    old.store.createLog('orders', NO_LIMITS);
    await old.host.commit();
    // The newer one had found nothing, and makes the lease of a new store.
    fs.mkdirSync(`${dir}/lease`);
    fs.writeFileSync(`${dir}/lease/v1.00000000.000000.served-0-0.none-0.${RELEASED}`, '');
    await assert.rejects(OpenTerm.begin(nodeFs, dir, 'new'), { code: 'lost' });
    await assert.rejects(old.renew(), { code: 'lost' });
    const term = await OpenTerm.begin(nodeFs, dir, 'new');
    assert.equal(term.log('orders').lastSequence, 0);
    await term.end();
    assert.deepEqual(fs.readdirSync(`${dir}/reign`), [MOVED]);
  });
});

describe('carrying over a store of release 0.1.0', () => {
  const DIR = '/store';

  /** A new program that takes the store, until the machine stops before the change of this number. @returns whether it came so far */
  async function stopped(storeFs: SimFs, at: number): Promise<boolean> {
    storeFs.stopAt = at;
    let isOpen = false;
    const opening = OpenTerm.begin(storeFs, DIR, 'new').then(() => {
      isOpen = true;
    });
    while (!isOpen && !storeFs.isStopped) await Promise.race([opening, new Promise(setImmediate)]);
    return !isOpen;
  }

  /** A new program takes it, at most at its second start. */
  async function retaken(storeFs: SimFs): Promise<OpenTerm> {
    try {
      return await OpenTerm.begin(storeFs, DIR, 'again');
    } catch (error) {
      assert.equal((error as StoreError).code, 'lost');
      return OpenTerm.begin(storeFs, DIR, 'again');
    }
  }

  it('may stop at any step, and either release goes on with all that was acknowledged', async () => {
    const whole = new SimFs();
    await putFormerStore(whole, DIR);
    let taken = 0;
    let refused = 0;
    let isCarried = false;
    for (let at = 1; !isCarried; at++) {
      const crashed = whole.restarted('synced');
      assert.ok(await stopped(crashed, at));
      for (const keep of ['synced', 'written'] as const) {
        const left = crashed.restarted(keep);
        if (keep === 'synced') isCarried = versionOf(left.content(`${DIR}/stanchion.json`)) === '4';
        const term = await retaken(left.restarted('written'));
        await has(term);
        // The old one is there first.
        const old = await OldTerm.begin(left, DIR, 'old').catch((error: unknown) => error as Error);
        if (old instanceof Error) {
          refused++;
          assert.match(old.message, /should hold one file whose name|format version/);
          await has(await retaken(left));
          continue;
        }
        taken++;
        await old.publish('orders', 'of the old one');
        const next = await retaken(left);
        await has(next, ['of the old one']);
        await assert.rejects(old.renew(), { code: 'lost' });
      }
    }
    assert.ok(taken > 5 && refused > 5, `taken ${taken} times, refused ${refused} times`);
  });
});

describe('a store of a newer program', () => {
  it('is not repaired: its version is no damage', async (t) => {
    const dir = await formerStore(t);
    await (await OpenTerm.begin(nodeFs, dir, 'new')).end();
    const path = `${dir}/stanchion.json`;
    fs.writeFileSync(path, fs.readFileSync(path, 'utf8').replace('"formatVersion": 4', '"formatVersion": 5'));
    const before = picture(dir);
    await assert.rejects(repair(dir), { code: 'newer-version' });
    assert.deepEqual(picture(dir), before);
  });
});

describe('a lease of a newer format', () => {
  it('is refused, and nothing is changed', async (t) => {
    const dir = await formerStore(t);
    await (await OpenTerm.begin(nodeFs, dir, 'new')).end();
    const [name] = fs.readdirSync(`${dir}/lease`);
    fs.renameSync(`${dir}/lease/${name}`, `${dir}/lease/v2.whatever`);
    const before = picture(dir);
    const refusal = {
      code: 'newer-version',
      message: /lease\/v2\.whatever is a lease of format version 2; .* Use a newer stanchion/,
    };
    await assert.rejects(OpenTerm.begin(nodeFs, dir, 'newest'), refusal);
    await assert.rejects(storeVerify({ fs: nodeFs, clock, dir }), refusal);
    await assert.rejects(repair(dir), refusal);
    assert.deepEqual(picture(dir), before);
  });
});

function counterOf({ state }: OpenTerm): string {
  return String(state.counter + 1).padStart(6, '0');
}

async function repair(dir: string): Promise<RepairOutcome> {
  return repairStore({
    ...{ fs: nodeFs, clock, dir, random, clusterId: FORMER_CLUSTER_ID, isDryRun: false },
    ask: async () => true,
    takeLease: async () => {
      const lease = new Lease(nodeFs, dir);
      await lease.create('repair');
      const known = await lease.read();
      const state = await lease.takeOver(known, newTerm(known.epoch + 1, 'repair'));
      assert.ok(state !== 'lost');
      const release = async (): Promise<void> => void (await lease.release(state));
      return { epoch: state.epoch, fence: async () => {}, markServed: async () => {}, release };
    },
  });
}
