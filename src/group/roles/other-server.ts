import { type LeaseState, RELEASED } from '../../lease/lease.js';
import type { MemberParts } from './member-parts.js';
import type { Pause } from './pause.js';

/** A takeover between the two questions gives a wrong answer, and not again and again. */
const ROUNDS = 3;

/**
 * Whether a streaming server that is no member of a group answers for the cluster id: a broker without a group, or the Go server that this
 * group is to replace. Clients would hear both, and both would store what is published.
 *
 * A broker without a group that has this very store is waited for, as any member is.
 *
 * @returns why this member cannot be
 */
export async function otherServer(parts: MemberParts, pause: Pause): Promise<Error | undefined> {
  const { options, findServer, findActives } = parts;
  if (findServer === undefined) return undefined;
  for (let round = 1; round <= ROUNDS; round++) {
    if (!(await findServer())) return undefined;
    // Actives of groups answer too: those have been looked at.
    if (((await findActives?.()) ?? []).length > 0) return undefined;
    if (await isHeldHere(parts, pause)) return undefined;
  }
  return new Error(
    'Another streaming server, which is in no group and does not have this store, answers for this cluster id: clients would hear both, and both ' +
      `would store what is published. Stop it before group "${options.name}" (node ${options.nodeName}) is started, or choose another --cluster-id`,
  );
}

/** Somebody renews the lease of this store. */
async function isHeldHere({ lease, options }: MemberParts, pause: Pause): Promise<boolean> {
  // There may be nothing there yet.
  const look = (): Promise<LeaseState | undefined> => lease.read().catch(() => undefined);
  const first = await look();
  if (first === undefined || first.holder === RELEASED) return false;
  await pause.pass(options.leaseMs);
  const second = await look();
  return second !== undefined && (second.epoch > first.epoch || second.counter > first.counter);
}
