import { held, holderText } from '../../lease/held.js';
import { type LeaseState, RELEASED, sameLease, watchedMs } from '../../lease/lease-state.js';
import type { MemberParts } from './member-parts.js';
import type { Pause } from './pause.js';

const LOOK_MS = 50;

/**
 * Checks whether a broker without a group has this store and lives. A member beside it would take the store from it as soon as it is slow for
 * a moment, perhaps unnoticed: the two may be attached to different NATS servers.
 *
 * A holder that does not renew for the length of its lease is dead, and the members take its lease as they do among themselves.
 *
 * @param signal gives up the check
 * @returns why this member must not start
 */
export async function loneBroker(
  parts: MemberParts,
  pause: Pause,
  signal: AbortSignal | undefined,
): Promise<Error | undefined> {
  const { clock, dir, holder, isDead, lease, log, options } = parts;
  // There may be no store yet. What is wrong with a lease is reported later.
  const first = await lease.read().catch(() => undefined);
  if (first === undefined || !(await isAlone(first, isDead))) return undefined;
  const waitMs = watchedMs(first, options.leaseMs);
  log.info(
    { waitMs },
    `The store in ${dir} was last held by ${holderText(first)}. Watching for up to ${waitMs} ms whether it renews its lease`,
  );
  const untilMs = clock.monotonicMs() + waitMs;
  while (signal?.aborted !== true) {
    // The last look counts, so it is one past what a mount remembers.
    const isLast = clock.monotonicMs() >= untilMs;
    const now = await (isLast ? lease.readFresh(holder) : lease.read()).catch(() => first);
    if (!sameLease(now, first)) return (await isAlone(now, isDead)) ? held(dir, now) : undefined;
    if (isLast) return undefined;
    await pause.pass(LOOK_MS);
  }
  return undefined;
}

async function isAlone(state: LeaseState, isDead: MemberParts['isDead']): Promise<boolean> {
  return state.kind === 'alone' && state.holder !== RELEASED && !(await isDead(state.holder));
}
