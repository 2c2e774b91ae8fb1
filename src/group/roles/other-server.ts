import { type LeaseState, RELEASED, watchedMs } from '../../lease/lease-state.js';
import type { MemberParts } from './member-parts.js';
import type { Pause } from './pause.js';

/** Number of tries: a takeover between the two questions gives a wrong answer, but not each time. */
const ROUNDS = 3;

/**
 * Checks whether a streaming server that is no member of a group answers for the cluster id: a lone broker, or the Go server that this
 * group shall replace. Clients would be served by both, and both would store what is published.
 *
 * A member of a group that has this very store answers too, and this one waits for it as for any active. (A lone broker that has it was found
 * before, see lone-broker.ts.)
 *
 * @returns why this member must not start
 */
export async function otherServer(parts: MemberParts, pause: Pause): Promise<Error | undefined> {
  const { options, dir, findServer, findActives } = parts;
  if (findServer === undefined) return undefined;
  for (let round = 1; round <= ROUNDS; round++) {
    if (!(await findServer())) return undefined;
    // Actives of groups answer too; they were checked before.
    if (((await findActives?.()) ?? []).length > 0) return undefined;
    if (await isHeldHere(parts, pause)) return undefined;
  }
  return new Error(
    'Another streaming server, which does not have this store, answers for this cluster id: a broker or a Go server without a group, a group on another store ' +
      `(is ${dir} the store of this group?), or a program that pretends to be one. Clients would hear both, and both would store what is published. Stop it before group "${options.name}" (node ${options.nodeName}) is started, or choose another --cluster-id`,
  );
}

/** Whether the lease of this store is renewed. */
async function isHeldHere({ lease, options }: MemberParts, pause: Pause): Promise<boolean> {
  // There may be no store yet.
  const look = (): Promise<LeaseState | undefined> => lease.read().catch(() => undefined);
  const first = await look();
  if (first === undefined || first.holder === RELEASED) return false;
  await pause.pass(watchedMs(first, options.leaseMs));
  const second = await look();
  return second !== undefined && (second.epoch > first.epoch || second.counter > first.counter);
}
