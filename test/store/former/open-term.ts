import assert from 'node:assert/strict';
import type { StoreFs } from '../../../src/files/fs.js';
import { StoreError } from '../../../src/files/store-error.js';
import { Lease } from '../../../src/lease/lease.js';
import { type LeaseState, servedOf } from '../../../src/lease/lease-state.js';
import type { FileStore } from '../../../src/store/file/file-store.js';
import type { FileStoreOptions } from '../../../src/store/file/file-store-options.js';
import { openFileStore } from '../../../src/store/file/open-file-store.js';
import type { ChannelLog } from '../../../src/store/types/store.js';
import { must } from '../../../src/util/assert.js';
import { newTerm } from '../../harness/lease-states.js';
import { pubMsg, random, TestClock, TestHost } from '../support.js';
import { FORMER_CLUSTER_ID } from './former-store.js';

const clock = new TestClock();
/** Small, so that each of many openings is fast. */
const ROOM = { count: 1, leastCount: 1, bytes: 4096, leastBytes: 4096 };

/** A term of a program, with its store open. */
export class OpenTerm {
  readonly lease: Lease;
  readonly epoch: number;
  host!: TestHost;
  store!: FileStore;
  state: LeaseState;
  readonly warnings: string[] = [];

  private constructor(lease: Lease, state: LeaseState) {
    this.lease = lease;
    this.state = state;
    this.epoch = state.epoch;
  }

  /** As a broker does: takes the lease from what it finds, and opens the store. @throws StoreError */
  static async begin(
    storeFs: StoreFs,
    dir: string,
    holder: string,
    { isStoreThere = false, ...options }: Partial<FileStoreOptions> & { isStoreThere?: boolean } = {},
  ): Promise<OpenTerm> {
    const lease = new Lease(storeFs, dir);
    await lease.create(holder, isStoreThere);
    const known = await lease.readFresh(holder);
    const state = await lease.takeOver(known, newTerm(known.epoch + 1, holder));
    assert.ok(state !== 'lost', 'nobody else is at it');
    const term = new OpenTerm(lease, state);
    const store = await openFileStore({
      fs: storeFs,
      clock,
      random,
      dir,
      clusterId: FORMER_CLUSTER_ID,
      epoch: state.epoch,
      isTested: true,
      served: servedOf(state),
      fence: () => term.renew(),
      warn: (message) => term.warnings.push(message),
      journalBytes: 1024 * 1024,
      blockBytes: 64 * 1024,
      sizes: { log: ROOM, ckpt: ROOM, seg: ROOM },
      ...options,
    });
    term.store = store;
    term.host = new TestHost(store);
    await term.renew();
    return term;
  }

  async renew(): Promise<void> {
    const next = await this.lease.renew(this.state);
    if (next === 'lost') throw new StoreError('lost', 'the lease was taken');
    this.state = next;
  }

  /** @returns its sequence, once it is acknowledged */
  async publish(channel: string, text: string): Promise<number> {
    const sequence = this.log(channel).append(pubMsg(channel, text), 0);
    await this.host.commit();
    return sequence;
  }

  log(channel: string): ChannelLog {
    return must(
      this.store.recovered.logs.find(({ name }) => name === channel),
      'the store has this channel',
    );
  }

  /** How often it has said so. */
  get carriedOver(): number {
    return this.warnings.filter((warning) => warning.includes('has been carried over')).length;
  }

  async end(): Promise<void> {
    await this.store.close();
    await this.lease.release(this.state);
  }
}
