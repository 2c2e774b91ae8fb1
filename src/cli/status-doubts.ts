import { IGNORED_REMEDY } from '../group/proof/ignored-talk.js';
import type { StatusAnswers } from '../group/report/ask-status.js';
import type { MemberStatus } from '../group/report/member-status.js';
import { printable } from '../util/printable.js';
import type { FoundKey } from './group-key-flags.js';

/** Limit of answers that are described. */
const MAX_SHOWN = 3;

/** What is to be said of answers that do not count, or that nothing proves. */
export function doubts(
  { members, unproved, malformed }: StatusAnswers,
  { key, problem }: FoundKey,
): string[] {
  const notes: string[] = [];
  if (unproved.length > 0) {
    const shown = unproved.slice(0, MAX_SHOWN).map((answer) => printable(shownText(answer)));
    const more = unproved.length > MAX_SHOWN ? [`  and ${unproved.length - MAX_SHOWN} more`] : [];
    const what = unproved.length === 1 ? '1 answer is' : `${unproved.length} answers are`;
    notes.push(
      [
        `${what} not proved by the key of the store, and left out:`,
        ...shown,
        ...more,
        `${IGNORED_REMEDY}.`,
      ].join('\n'),
    );
  }
  if (malformed > 0)
    notes.push(
      `${malformed === 1 ? '1 answer is' : `${malformed} answers are`} malformed, and left out. Members do not send such: ${FORGED}`,
    );
  if (key === undefined && members.some(({ needsProof }) => needsProof === true)) {
    const why = problem === undefined ? '' : ` (${problem})`;
    notes.push(
      `Nothing proves these answers${why}: anyone who can publish in NATS can give them. To see only those of members, give the folder of the store ` +
        '(--dir), or its key file (--group-key)',
    );
  }
  return notes;
}

function shownText({ node, role, epoch, host, store, natsServer }: MemberStatus): string {
  const held = store.storeId === '' ? 'no store' : `store ${store.storeId}`;
  return `  node ${node}, ${role} in epoch ${epoch}, at ${natsServer}, with ${held} in ${host}:${store.dir}`;
}

const FORGED =
  'another program answers on the subjects of groups. Permit "_STANCHION.group.>" to brokers and administrators only';
