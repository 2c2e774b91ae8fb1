import type { LeaseState } from '../../lease/lease-state.js';
import { must } from '../../util/assert.js';
import type { MemberParts, OtherActive } from './member-parts.js';
import type { Pause } from './pause.js';

/** Number of tries: a takeover between question and look gives a wrong answer, but not each time. */
const ROUNDS = 3;
/** Limit of the wait for a renewal, whatever length of the lease the other side states. */
const MAX_LEASE_MS = 30_000;

/**
 * Checks whether a group of another name serves the same cluster id from another store: most often a copy of this one, started under
 * another name. Clients would be served by both, and each would assign sequences.
 *
 * Two groups on the same store take turns, as in a dispute; a group that is renamed in a rolling update does so for a while.
 *
 * Only what an active proves counts: a copy has the key of its store too. A member that sees no store can prove nothing, and believes
 * what it hears: no harm is done if it makes none.
 *
 * @returns why this member must not start
 */
export async function otherGroup(parts: MemberParts, pause: Pause): Promise<Error | undefined> {
  const { options, dir, findActives, talk } = parts;
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
  const isProved = talk.key !== undefined;
  return new Error(
    `Group "${group}" (node ${node}, ${host}:${store.dir}) serves this cluster id already, and ${dir} is not its store: clients would hear two brokers. ` +
      `Stop it, or give this member the --ft-group and --dir of that group, or another --cluster-id and an empty --dir` +
      (isProved
        ? ''
        : '. If there is no such group, the message is forged: permit "_STANCHION.group.>" to brokers only'),
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
  await pause.pass(Math.min(leaseMs, MAX_LEASE_MS));
  const second = await look();
  return second !== undefined && (second.epoch > epoch || second.counter > first.counter);
}
