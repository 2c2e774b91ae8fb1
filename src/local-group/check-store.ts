import { access, constants } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { nodeFs } from '../files/fs.js';
import { StoreError } from '../files/store-error.js';
import { Lease } from '../lease/lease.js';
import { type LeaseState, RELEASED, sameLease, watchedMs } from '../lease/lease-state.js';
import { isFree } from '../lease/lone-lease.js';
import { machineProcesses, parseHolder } from '../lease/process-identity.js';
import { checkIdentity } from '../store/file/identity.js';

/** A holder renews several times within this time, unless its lease is longer: then that is waited for. */
const WATCH_MS = 1_000;
const LOOK_MS = 50;

/**
 * Checks that a new group can have this folder for its store, so that an error is reported once and not by each broker again and
 * again. If another group runs on the folder, the two would share the store but not the NATS servers, and take the lease from each
 * other in turns.
 *
 * @throws StoreError saying what is in the way; Error if the folder cannot be read or written
 */
export async function checkStore(dir: string, clusterId: string): Promise<void> {
  await nodeFs.makeDirectory(dir);
  await access(dir, constants.R_OK | constants.W_OK | constants.X_OK);
  if ((await checkIdentity(nodeFs, dir, clusterId)) === undefined) return;
  const lease = new Lease(nodeFs, dir);
  // The brokers report what is wrong with the lease itself.
  const state = await lease.read().catch(() => undefined);
  if (state === undefined || !(await isRenewed(lease, state))) return;
  const holder = parseHolder(state.holder);
  const who =
    holder === undefined
      ? state.holder
      : `broker "${holder.nodeName}" (host ${holder.identity.host}, pid ${holder.identity.pid})`;
  throw new StoreError(
    'held',
    `the store in ${dir} is in use, by ${who}: stop that group or broker first, or give another --dir`,
  );
}

async function isRenewed(lease: Lease, state: LeaseState): Promise<boolean> {
  if (await isFree(state, machineProcesses(nodeFs, hostname(), process.pid))) return false;
  // Unlike a broker that takes the lease, this ignores a failed read, and its timers keep the command alive.
  const watchMs = watchedMs(state, WATCH_MS);
  for (let waitedMs = 0; waitedMs < watchMs; waitedMs += LOOK_MS) {
    await sleep(LOOK_MS);
    const now = await lease.read().catch(() => state);
    if (!sameLease(now, state)) return now.holder !== RELEASED;
  }
  return false;
}
