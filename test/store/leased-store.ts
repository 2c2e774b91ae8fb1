import assert from 'node:assert/strict';
import type { StoreFs } from '../../src/files/fs.js';
import { StoreError } from '../../src/files/store-error.js';
import { Lease } from '../../src/lease/lease.js';
import { type LeaseState, RELEASED, servedOf } from '../../src/lease/lease-state.js';
import type { FileStore } from '../../src/store/file/file-store.js';
import type { FileStoreOptions } from '../../src/store/file/file-store-options.js';
import { openFileStore } from '../../src/store/file/open-file-store.js';
import { type RepairOutcome, repairStore } from '../../src/store/tools/repair-store.js';
import { type StoreVerification, storeVerify } from '../../src/store/tools/verify.js';
import type { ChannelLog } from '../../src/store/types/store.js';
import { must } from '../../src/util/assert.js';
import { until } from './file-support.js';
import type { SimFs } from './sim-fs.js';
import { NO_LIMITS, pubMsg, random, readAll, TestClock, TestHost } from './support.js';

export const DIR = '/store';
const MEBIBYTE = 1024 * 1024;
const CLUSTER_ID = 'test-cluster';
const clock = new TestClock();
/** Small, so that each of many openings is fast. */
export const ROOM = { count: 1, leastCount: 1, bytes: 4096, leastBytes: 4096 };

/** A term of a broker that has the lease as a real one has: each fence renews it, and it knows what was durable before. */
export class LeasedTerm {
  readonly warnings: string[] = [];
  store!: FileStore;
  host!: TestHost;
  readonly #lease: Lease;
  #state: LeaseState;
  #renewing: Promise<void> = Promise.resolve();

  private constructor(lease: Lease, state: LeaseState) {
    this.#lease = lease;
    this.#state = state;
  }

  /** @throws StoreError, with the lease given back */
  static async begin(
    fs: StoreFs,
    options: Partial<FileStoreOptions> = {},
    holder = 'a',
  ): Promise<LeasedTerm> {
    const lease = new Lease(fs, DIR);
    await lease.create(holder);
    const known = await lease.readFresh(holder);
    const epoch = known.epoch + 1;
    const state = await lease.takeOver(known, { epoch, holder, kind: 'alone', leaseMs: 3000 });
    assert.ok(state !== 'lost');
    const term = new LeasedTerm(lease, state);
    try {
      term.store = await openFileStore({
        ...{ fs, clock, random, dir: DIR, clusterId: CLUSTER_ID, epoch, isTested: true },
        ...{ journalBytes: MEBIBYTE, sizes: { log: ROOM, ckpt: ROOM, seg: ROOM } },
        served: servedOf(state),
        fence: (batch) => term.renew(batch),
        warn: (message) => term.warnings.push(message),
        ...options,
      });
    } catch (error) {
      await lease.release(term.#state);
      throw error;
    }
    term.host = new TestHost(term.store);
    await term.renew(1);
    return term;
  }

  /** One renewal after the other, as a real one does it. */
  renew(batch?: number): Promise<void> {
    this.#renewing = this.#renewing.then(() => this.#renew(batch));
    return this.#renewing;
  }

  async #renew(batch: number | undefined): Promise<void> {
    const next = await this.#lease.renew(this.#state, batch);
    if (next === 'lost') throw new StoreError('lost', 'the lease was taken');
    this.#state = next;
  }

  log(channel: string): ChannelLog {
    return must(
      this.store.recovered.logs.find(({ name }) => name === channel),
      'the store has this channel',
    );
  }

  /** Publishes texts in one batch, and waits until they are acknowledged. */
  async publish(channel: string, texts: readonly string[]): Promise<void> {
    const known = this.store.recovered.logs.find(({ name }) => name === channel);
    const log = known ?? this.store.createLog(channel, NO_LIMITS);
    if (known === undefined) this.store.recovered.logs.push(log);
    for (const [i, text] of texts.entries()) log.append(pubMsg(channel, text, `${text} ${i}`), 1);
    await this.host.commit();
  }

  async checkpoint(): Promise<void> {
    await until(() => !this.store.upkeep.isCheckpointing, 'the checkpoint before');
    this.store.upkeep.checkpoint();
    await until(() => !this.store.upkeep.isCheckpointing, 'the checkpoint');
  }

  async end(): Promise<void> {
    await this.store.close();
    await this.#lease.release(this.#state);
  }
}

/** Opens the store once more, as a broker that is started. @returns all texts of a channel */
export async function readStore(fs: SimFs, channel: string): Promise<string[]> {
  const term = await LeasedTerm.begin(fs);
  const texts = await readAll(term.log(channel));
  await term.end();
  return texts;
}

export function verify(fs: SimFs): Promise<StoreVerification> {
  return storeVerify({ fs, clock, dir: DIR });
}

export function repair(fs: SimFs): Promise<RepairOutcome> {
  return repairStore({
    ...{ fs, clock, dir: DIR, random, clusterId: undefined, isDryRun: false },
    ask: async () => true,
    takeLease: async () => {
      const lease = new Lease(fs, DIR);
      const known = await lease.read();
      assert.equal(known.holder, RELEASED);
      const newTerm = { epoch: known.epoch + 1, holder: 'repair', kind: 'alone', leaseMs: 3000 } as const;
      let state = await lease.takeOver(known, newTerm);
      const renew = async (batch?: number): Promise<void> => {
        assert.ok(state !== 'lost');
        state = await lease.renew(state, batch);
      };
      return {
        epoch: newTerm.epoch,
        fence: () => renew(),
        markServed: () => renew(1),
        release: async () => void (state !== 'lost' && (await lease.release(state))),
      };
    },
  });
}
