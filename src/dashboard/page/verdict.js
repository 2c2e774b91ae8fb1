// The verdict: one sentence on the state of the group. It says nothing that is no longer known.
import { timeOfDay } from './format.js';

/** The moments computed from two samples differ by less than this. */
const SAME_MS = 2_000;

/** Since when each member has been silent, by the clock of this machine. The moment stays the same while the silence lasts. */
export class SilentSince {
  #sinceMs = new Map();

  /** @param {{ node: string, silentMs: number }} member @param {number} nowMs */
  of({ node, silentMs }, nowMs) {
    const sinceMs = nowMs - silentMs;
    const before = this.#sinceMs.get(node);
    if (before !== undefined && Math.abs(before - sinceMs) < SAME_MS) return before;
    this.#sinceMs.set(node, sinceMs);
    return sinceMs;
  }
}

/**
 * @param group the group, from the broker
 * @param summary the active's summary; null if it has not answered
 * @param {(member: { node: string, silentMs: number }) => number} since when a member has been silent, in milliseconds since 1970
 * @returns {[text: string, kind: string]}
 */
export function verdict(group, summary, since) {
  const [text, kind] = standing(group, since);
  if (!summary?.full) return [text, kind];
  return [`${text}. The store is full, publishers get errors: ${summary.full}`, 'bad'];
}

function standing({ group, role, members, health }, since) {
  const here = health.reasons.join('; ');
  if (group === null) return health.isReady ? ['Serving', 'good'] : [here, 'bad'];
  if (role === 'starting') return [here || 'Starting', 'warn'];
  const heard = members.filter(({ silentMs }) => silentMs === null);
  const silent = members.filter(({ silentMs }) => silentMs !== null);
  const actives = heard.filter((member) => member.role === 'active');
  if (actives.length > 1) return [`${actives.length} members say that they are active`, 'bad'];
  if (actives.length === 0) {
    const text = noActive(heard, silent, since);
    return [health.isReady ? `${text}: clients wait` : `${text}. This member: ${here}`, 'bad'];
  }
  const [active] = actives;
  const able = heard.filter((member) => member.role === 'standby' && member.problem === null).length;
  const next = able === 0 ? ', and no standby can take over' : `, ${able} standing by`;
  const impaired = heard.filter(({ problem }) => problem !== null);
  const parts = [`${active.node} is active${next}`];
  if (impaired.length > 0) parts.push(`With a problem: ${impaired.map(({ node }) => node).join(', ')}`);
  if (silent.length > 0)
    parts.push(
      `Missing: ${silent.map((member) => `${member.node}, not heard since ${timeOfDay(since(member))}`).join('; ')}`,
    );
  const isWell = able > 0 && parts.length === 1;
  return [parts.join('. '), active.problem !== null ? 'bad' : isWell ? 'good' : 'warn'];
}

function noActive(heard, silent, since) {
  const next = heard.find(({ role }) => role === 'recovering');
  if (next !== undefined) return `No member is active, and ${next.node} is taking over`;
  const [last] = silent
    .filter(({ role }) => role === 'active' || role === 'recovering')
    .sort((a, b) => a.silentMs - b.silentMs);
  if (last === undefined) return 'No member is active';
  return `No active has been heard since ${timeOfDay(since(last))} (it was ${last.node})`;
}
