import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * The seal of a JSON object: its last field, a MAC by the group's key over what the object is said about and over all bytes before the
 * field. A program that knows no seals reads the object as any other.
 */

const FIELD = ',"mac":"';
const MAC_BYTES = 16;
/** The MAC in base64url. */
const MAC_CHARS = Math.ceil((MAC_BYTES * 4) / 3);
const END = '"}';
/** Bytes that a seal adds. */
export const SEAL_BYTES = FIELD.length + MAC_CHARS + END.length - 1;

/** What an object is said about: the subject, and the request that it answers. The same bytes about something else have another seal. */
export type About = readonly (string | Uint8Array)[];

/** @param object any JSON object that is not empty */
export function seal(key: Buffer, about: About, object: string): Buffer {
  const body = Buffer.from(object.slice(0, -1));
  return Buffer.concat([body, Buffer.from(`${FIELD}${macOf(key, about, body).toString('base64url')}${END}`)]);
}

/** Whether a holder of the key has sealed these bytes about this. Nothing is parsed. */
export function isSealed(key: Buffer, about: About, payload: Uint8Array): boolean {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  const bodyEnd = bytes.length - END.length - MAC_CHARS - FIELD.length;
  const macStart = bodyEnd + FIELD.length;
  const macEnd = macStart + MAC_CHARS;
  if (bodyEnd < 1 || bytes.toString('latin1', bodyEnd, macStart) !== FIELD) return false;
  if (bytes.toString('latin1', macEnd) !== END) return false;
  const mac = Buffer.from(bytes.toString('latin1', macStart, macEnd), 'base64url');
  return mac.length === MAC_BYTES && timingSafeEqual(mac, macOf(key, about, bytes.subarray(0, bodyEnd)));
}

function macOf(key: Buffer, about: About, body: Uint8Array): Buffer {
  const hmac = createHmac('sha256', key);
  // Each part has its length before it, so that no two lists of parts give the same bytes.
  for (const part of [...about, body]) {
    const bytes = typeof part === 'string' ? Buffer.from(part) : part;
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    hmac.update(length).update(bytes);
  }
  return hmac.digest().subarray(0, MAC_BYTES);
}
