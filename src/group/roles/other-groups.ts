import type { LeaseState } from '../../lease/lease.js';
import { must } from '../../util/assert.js';
import type { MemberParts, OtherActive } from './member-parts.js';
import type { Pause } from './pause.js';

/** A takeover between question and look gives a wrong answer, and not again and again. */
const ROUNDS = 3;

/**
 * Whether a group of another name serves the same cluster id from another store: a copy of this one that was started under
 * another name, most often. Clients hear both, and each gives out sequences.
 *
 * From the same store they take turns, as two sides do; a group that is renamed in a rolling update does so for a while.
 *
 * @returns why this member cannot be
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

/** A copy shows the lease as it was; in the store itself it is renewed. */
async function termsHere(
  { member, epoch, leaseMs }: OtherActive,
  { lease }: MemberParts,
  pause: Pause,
): Promise<boolean> {
  // There may be nothing there yet.
  const look = (): Promise<LeaseState | undefined> => lease.read().catch(() => undefined);
  const first = await look();
  if (first?.holder !== member || first.epoch !== epoch) return false;
  await pause.pass(leaseMs);
  const second = await look();
  return second !== undefined && (second.epoch > epoch || second.counter > first.counter);
}
