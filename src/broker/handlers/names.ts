import { isForeignSubject } from '../state/foreign-subject.js';

/**
 * Limits on the names that clients choose. The Go server has none of its own (its file store could keep 255 bytes, its SQL
 * store 1,024): what fits neither there nor in a NATS protocol line is refused here.
 */
export const MAX_NAME_BYTES = 1024;

/** Connection ids are 22 characters in all known clients. */
export const MAX_CONN_ID_BYTES = 256;

/**
 * Whether a subject that a client sent in a payload may be published to. It goes into a protocol line as it is: a space or
 * a line end in it would be a way to write any line into the broker's connection.
 */
export function isInboxValid(inbox: string): boolean {
  if (inbox.length === 0 || Buffer.byteLength(inbox) > MAX_NAME_BYTES) return false;
  return INBOX.test(inbox) && !isForeignSubject(inbox);
}

/**
 * Whether a name is what the client sent in this payload. Decoding puts U+FFFD in place of bytes that are not UTF-8: two names
 * that differ in such bytes only would be one, and their durables or queue groups too.
 */
export function isAsSent(name: string, payload: Buffer): boolean {
  return !name.includes('\uFFFD') || payload.includes(name);
}

// Tokens between dots, without white space, control characters and wildcards.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
const INBOX = /^[^\s\x00-\x20\x7f.*>]+(\.[^\s\x00-\x20\x7f.*>]+)*$/;
