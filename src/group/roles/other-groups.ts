import type { LeaseState } from '../../lease/lease-state.js';
import { must } from '../../util/assert.js';
import type { MemberParts, OtherActive } from './member-parts.js';
import type { Pause } from './pause.js';

/** Number of tries: a takeover between question and look gives a wrong answer, but not each time. */
const ROUNDS = 3;

/**
 * Checks whether a group of another name serves the same cluster id from another store: most often a copy of this one, started under
 * another name. Clients would be served by both, and each would assign sequences.
 *
 * Two groups on the same store take turns, as in a dispute; a group that is renamed in a rolling update does so for a while.
 *
 * @returns why this member must not start
 */
export async function otherGroup(parts: MemberParts, pause: Pause): Promise<Error | undefined> {
  const { options, dir, findActives } = parts;
  if (findActives === undefined) return undefined;
  let stranger: OtherActive | undefined;
  for (let round = 1; round <= ROUNDS; round++) {
    stranger = undefined;
    for (const active of await findActives()) {
      if (active.group !== options.name && !(await termsHere(active, parts, pause))) stranger = active;
    }
    if (stranger === undefined) return undefined;
  }
  const { group, node, host, store } = must(stranger, 'each round has found one');
  return new Error(
    `Group "${group}" (node ${node}, ${host}:${store.dir}) serves this cluster id already, and ${dir} is not its store: clients would hear two brokers. ` +
      `Stop it, or give this member the --ft-group and --dir of that group, or another --cluster-id and an empty --dir`,
  );
}

/** Whether the lease is renewed: in the store itself it is, in a copy it stays as it was. */
async function termsHere(
  { member, epoch, leaseMs }: OtherActive,
  { lease }: MemberParts,
  pause: Pause,
): Promise<boolean> {
  // There may be no store yet.
  const look = (): Promise<LeaseState | undefined> => lease.read().catch(() => undefined);
  const first = await look();
  if (first?.holder !== member || first.epoch !== epoch) return false;
  await pause.pass(leaseMs);
  const second = await look();
  return second !== undefined && (second.epoch > epoch || second.counter > first.counter);
}
