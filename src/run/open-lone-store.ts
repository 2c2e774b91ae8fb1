import type { Clock } from '../clock/clock.js';
import { type LoneLease, type LoneLeaseOptions, takeLoneLease } from '../lease/lone-lease.js';
import type { FileStore } from '../store/file/file-store.js';
import type { FileStoreOptions } from '../store/file/file-store-options.js';
import { checkIdentity } from '../store/file/identity.js';
import { openFileStore } from '../store/file/open-file-store.js';

export interface LoneStoreOptions {
  clock: Clock;
  /** Options for opening the store, except those that the lease decides. */
  store: Omit<FileStoreOptions, 'epoch' | 'served' | 'fence' | 'clock'>;
  lease: Omit<LoneLeaseOptions, 'clock' | 'dir' | 'isStoreThere' | 'warn'>;
}

/**
 * Opens a file store for a broker that has no standbys: takes the lease, recovers the store in its epoch, and confirms that the lease
 * is still held. Each batch is fenced, as in a group: its answers leave after a renewal that began when it was durable.
 *
 * @throws StoreError saying what is in the way and what to do; the signal's reason
 */
export async function openLoneStore({ clock, store, lease }: LoneStoreOptions): Promise<FileStore> {
  const { fs, dir, clusterId } = store;
  // Another cluster's store is not touched, not even to take its lease.
  const isStoreThere = (await checkIdentity(fs, dir, clusterId)) !== undefined;
  const held = await takeLoneLease({ ...lease, clock, dir, isStoreThere, warn: store.warn });
  try {
    lease.signal?.throwIfAborted();
    return await open(held, { ...store, clock });
  } catch (error) {
    await held.release();
    throw error;
  }
}

async function open(
  held: LoneLease,
  options: Omit<FileStoreOptions, 'epoch' | 'served' | 'fence'>,
): Promise<FileStore> {
  const store = await openFileStore({
    ...options,
    epoch: held.epoch,
    served: held.served,
    fence: (batch) => held.fence(batch),
    onClosed: async () => {
      await options.onClosed?.();
      await held.release();
    },
  });
  try {
    // The fence makes sure that a successor accepts the same journals, before anything is said of them.
    await (store.isSynced ? held.markServed() : held.fence());
  } catch (error) {
    await store.close().catch(() => {});
    throw error;
  }
  return store;
}
