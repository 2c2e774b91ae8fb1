import assert from 'node:assert/strict';
import type { StoreFs } from '../../../src/files/fs.js';
import type { Store } from '../../../src/store/types/store.js';
import { must } from '../../../src/util/assert.js';
import { loadOldStore, type OldLease, type OldState } from '../../data/old-program.js';
import { pubMsg, random, TestClock, TestHost } from '../support.js';
import { FORMER_CLUSTER_ID } from './former-store.js';

const old = await loadOldStore();
const clock = new TestClock();
/** Small, so that each of many openings is fast. */
const ROOM = { count: 1, leastCount: 1, bytes: 4096, leastBytes: 4096 };

/** The lease as release 0.1.0 sees it. */
export function oldLease(storeFs: StoreFs, dir: string): OldLease {
  return new old.Reign(storeFs, dir);
}

/** Whether that release takes the store for one that it may open. */
export function checkAsOld(storeFs: StoreFs, dir: string): Promise<unknown> {
  return old.checkIdentity(storeFs, dir, FORMER_CLUSTER_ID);
}

/** That release asks its broker for more than today's does. */
class OldHost extends TestHost {
  collectProgress(): void {}
}

/** A term of a broker of release 0.1.0: its own code, with its store open. */
export class OldTerm {
  readonly lease: OldLease;
  host!: TestHost;
  store!: Store & { close(): Promise<void> };
  state: OldState;

  private constructor(lease: OldLease, state: OldState) {
    this.lease = lease;
    this.state = state;
  }

  /** As its broker does: takes the lease from what it finds, and opens the store. */
  static async begin(storeFs: StoreFs, dir: string, holder: string): Promise<OldTerm> {
    const lease = oldLease(storeFs, dir);
    await lease.create(holder);
    const known = await lease.readFresh(holder);
    const state = await lease.takeOver(known, known.epoch + 1, holder);
    assert.ok(state !== 'lost', 'nobody else is at it');
    const term = new OldTerm(lease, state);
    term.store = await old.openFileStore({
      ...{ fs: storeFs, clock, random, dir, clusterId: FORMER_CLUSTER_ID, epoch: state.epoch },
      ...{ isTested: true, fence: () => term.renew(), warn: () => {}, journalBytes: 1024 * 1024 },
      ...{ blockBytes: 64 * 1024, sizes: { log: ROOM, ckpt: ROOM, seg: ROOM } },
    });
    term.host = new OldHost(term.store);
    await term.renew();
    return term;
  }

  async renew(): Promise<void> {
    const next = await this.lease.renew(this.state);
    if (next === 'lost') throw Object.assign(new Error('the lease was taken'), { code: 'lost' });
    this.state = next;
  }

  /** @returns its sequence, once it is acknowledged */
  async publish(channel: string, text: string): Promise<number> {
    const log = must(
      this.store.recovered.logs.find(({ name }) => name === channel),
      'the store has this channel',
    );
    const sequence = log.append(pubMsg(channel, text), 0);
    await this.host.commit();
    return sequence;
  }

  async end(): Promise<void> {
    await this.store.close();
    await this.lease.release(this.state);
  }
}
