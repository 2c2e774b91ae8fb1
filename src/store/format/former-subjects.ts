// The subjects of a former server, as the identity of an imported store has them.

import { crc32Of } from '../../util/crc.js';
import type { FormerSubjects } from '../types/store.js';

/** The Go server's, with an id of its own behind the verb, or a cluster id. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be in it
const SUBJECT = /^_STAN\.(pub|sub|unsub|close|subclose)(\.[^\s\x00-\x20\x7f.*>]+)+$/;
const MAX_BYTES = 1024;

/** Whether a broker can listen on them. */
export function areSubjects({
  publish,
  subscribe,
  unsubscribe,
  close,
  subscriptionClose,
}: Omit<FormerSubjects, 'lastSession'>): boolean {
  const needed = [publish, subscribe, unsubscribe, close];
  const all = subscriptionClose === '' ? needed : [...needed, subscriptionClose];
  return all.every((subject) => Buffer.byteLength(subject) <= MAX_BYTES && SUBJECT.test(subject));
}

/** With a checksum of its own: that of the identity is older. */
export function encodeFormerSubjects(subjects: FormerSubjects): object {
  return { ...subjects, crc: crcOf(subjects) };
}

/** @returns undefined if there are none, or they are damaged: then clients that know them have to connect again */
export function decodeFormerSubjects(value: unknown): FormerSubjects | undefined {
  const { publish, subscribe, unsubscribe, close, subscriptionClose, lastSession, crc } = (value ??
    {}) as Record<string, unknown>;
  if (typeof publish !== 'string' || typeof subscribe !== 'string' || typeof unsubscribe !== 'string')
    return undefined;
  if (typeof close !== 'string' || typeof subscriptionClose !== 'string' || typeof lastSession !== 'number')
    return undefined;
  const subjects = { publish, subscribe, unsubscribe, close, subscriptionClose, lastSession };
  return crc === crcOf(subjects) && areSubjects(subjects) ? subjects : undefined;
}

function crcOf({
  publish,
  subscribe,
  unsubscribe,
  close,
  subscriptionClose,
  lastSession,
}: FormerSubjects): number {
  const values = [publish, subscribe, unsubscribe, close, subscriptionClose, lastSession];
  return crc32Of([Buffer.from(JSON.stringify(values))]);
}
