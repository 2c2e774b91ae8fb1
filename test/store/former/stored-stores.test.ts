import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { StoreFs } from '../../../src/files/fs.js';
import { StoreError } from '../../../src/files/store-error.js';
import { STORE_VERSION } from '../../../src/store/file/identity.js';
import { storeVerify } from '../../../src/store/tools/verify.js';
import type { MessageRef } from '../../../src/store/types/store.js';
import { knowledgeOf, putStoredStore, STORED_STORES, type StoredStore } from '../../data/stored-stores.js';
import { until } from '../file-support.js';
import { SimFs } from '../sim-fs.js';
import { pubMsg, TestClock } from '../support.js';
import { OpenTerm } from './open-term.js';

const DIR = '/store';
const clock = new TestClock();

/** One term of the program of today. Its broker knows what it has found, and says so in each checkpoint. */
async function begin(storeFs: StoreFs, name: StoredStore, holder: string): Promise<OpenTerm> {
  const term = await OpenTerm.begin(storeFs, DIR, holder, { clusterId: knowledgeOf(name).clusterId });
  const { clients, subscriptions } = term.store.recovered;
  term.host.onSnapshot = (sink) => {
    for (const client of clients) sink.client(client);
    for (const { record, pending } of subscriptions)
      sink.subscription(
        record,
        [...pending].flatMap((sequence) => [sequence, sequence]),
      );
  };
  return term;
}

/** The same, at the second start if the first one finds that it has to end. */
async function beginAgain(storeFs: StoreFs, name: StoredStore): Promise<OpenTerm> {
  try {
    return await begin(storeFs, name, 'again');
  } catch (error) {
    assert.ok(error instanceof StoreError && error.code === 'lost', (error as Error).message);
    return begin(storeFs, name, 'once-more');
  }
}

/** Everything is as the clients of the store know it, and `more` behind it. */
async function has(
  term: OpenTerm,
  name: StoredStore,
  more: Readonly<Record<string, number>> = {},
): Promise<void> {
  const { channels, clients, pending } = knowledgeOf(name);
  assert.deepEqual(term.store.recovered.clients.map(({ clientId }) => clientId).sort(), clients);
  for (const [channel, { first, last, sha256 }] of Object.entries(channels)) {
    const log = term.log(channel);
    assert.equal(log.lastSequence, last + (more[channel] ?? 0), channel);
    assert.ok(log.firstSequence <= first, `${channel} begins with ${log.firstSequence}`);
    const hash = createHash('sha256');
    const ref: MessageRef = { buffer: Buffer.alloc(0), start: 0, end: 0 };
    for (let sequence = first; sequence <= last; sequence++) {
      if (!log.find(sequence, ref)) {
        await log.load(sequence);
        assert.ok(log.find(sequence, ref), `message ${sequence} of ${channel}`);
      }
      hash.update(ref.buffer.subarray(ref.start, ref.end));
    }
    assert.equal(hash.digest('hex'), sha256, `the messages of ${channel}`);
  }
  const found = new Map<string, number[]>();
  for (const { record, pending: sequences } of term.store.recovered.subscriptions) {
    const channel = term.store.recovered.logs.find(({ id }) => id === record.channelId)?.name;
    const key = `${channel} ${record.queueGroup !== '' ? record.queueGroup.replace(/^.*:/, '') : record.durableName || record.inbox}`;
    found.set(
      key,
      [...(found.get(key) ?? []), ...sequences].sort((a, b) => a - b),
    );
  }
  assert.deepEqual(Object.fromEntries([...found].sort()), Object.fromEntries(Object.entries(pending).sort()));
}

async function checkpoint({ store }: OpenTerm): Promise<void> {
  await until(() => store.upkeep.isIdle, 'what is being made');
  store.upkeep.checkpoint();
  await until(() => store.upkeep.isIdle, 'the checkpoint, and a merge');
}

/** All that is written while this runs. */
async function writtenBytes(storeFs: SimFs, work: () => Promise<void>): Promise<number> {
  const before = storeFs.writtenBytes;
  await work();
  return storeFs.writtenBytes - before;
}

describe('a store that another version has made', () => {
  let keepAlive: NodeJS.Timeout | undefined;

  before(() => {
    // The clock's timers do not keep a process alive.
    keepAlive = setInterval(() => {}, 1000);
  });

  after(() => clearInterval(keepAlive));

  for (const name of STORED_STORES) {
    it(`${name} is opened with all that is in it, and keeps it over checkpoints, merges and restarts`, async () => {
      const storeFs = new SimFs();
      await putStoredStore(storeFs, DIR, name);
      const more: Record<string, number> = {};
      for (let start = 1; start <= 3; start++) {
        const term = await begin(storeFs, name, `start-${start}`);
        await has(term, name, more);
        assert.equal(term.carriedOver, start === 1 ? 1 : 0, 'it is said once');
        for (let round = 0; round < 9; round++) {
          for (const channel of ['orders', 'audit.log']) {
            const { clusterId: _, channels } = knowledgeOf(name);
            const sequence = await term.publish(channel, `more ${round}`);
            more[channel] = sequence - (channels[channel]?.last ?? 0);
          }
          await checkpoint(term);
        }
        await has(term, name, more);
        await term.end();
        assert.deepEqual((await storeVerify({ fs: storeFs, clock, dir: DIR })).damages, []);
      }
      const identity = storeFs.content(`${DIR}/stanchion.json`).toString();
      assert.match(identity, new RegExp(`"formatVersion": ${STORE_VERSION}\\b`));
    });

    it(`${name} remembers the guids of its checkpoint and of its journal`, async () => {
      const storeFs = new SimFs();
      await putStoredStore(storeFs, DIR, name);
      const term = await begin(storeFs, name, 'first');
      const { clients } = term.store.recovered;
      const session = clients.find(({ clientId }) => clientId === 'writer')?.session ?? 0;
      for (const [channel, { last }] of Object.entries(knowledgeOf(name).channels))
        for (const sequence of [1, last]) {
          const { buffer, guidEnd } = pubMsg(channel, '', `${channel}-${sequence}`);
          const { id } = term.log(channel);
          assert.ok(
            term.store.recovered.recentGuids.has(session, id, buffer, 0, guidEnd),
            `${channel}-${sequence}`,
          );
        }
      const { buffer, guidEnd } = pubMsg('orders', '', 'orders-51');
      assert.ok(!term.store.recovered.recentGuids.has(session, term.log('orders').id, buffer, 0, guidEnd));
      await term.end();
    });

    it(`${name} takes no more writing to open than a restart does`, async () => {
      const storeFs = new SimFs();
      await putStoredStore(storeFs, DIR, name);
      let term: OpenTerm | undefined;
      const open = async (): Promise<void> => {
        term = await begin(storeFs, name, 'first');
      };
      const carried = await writtenBytes(storeFs, open);
      await term?.end();
      const restarted = await writtenBytes(storeFs, open);
      await term?.end();
      // The key file, and the byte of the version.
      assert.ok(carried <= restarted + 1024, `${carried} bytes, ${restarted} at a restart`);
    });

    it(`${name} may lose its machine's power at any step of its first opening and first checkpoint`, async () => {
      const whole = new SimFs();
      await putStoredStore(whole, DIR, name);
      let stopped = 0;
      for (let at = 1, isOver = false; !isOver; at++) {
        const crashed = whole.restarted('synced');
        crashed.stopAt = at;
        const running = (async () => {
          const term = await begin(crashed, name, 'first');
          await checkpoint(term);
          isOver = true;
        })();
        await Promise.race([running, until(() => crashed.isStopped || isOver, 'the power cut')]);
        if (isOver) break;
        stopped++;
        for (const keep of ['synced', 'written'] as const) {
          const left = crashed.restarted(keep);
          const term = await beginAgain(left, name);
          await has(term, name);
          await term.end();
        }
      }
      assert.ok(stopped > 30, `it was stopped ${stopped} times`);
    });
  }
});
