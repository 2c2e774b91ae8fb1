import { MALFORMED, readTag, skipValue, wire } from '../../protocol/wire.js';

/** The last field of a MsgProto that is stored; those behind it are of one delivery. */
const LAST_STORED = 5;

/**
 * Copies the stored fields of a delivered MsgProto.
 *
 * @param target has room for all of it
 * @returns the end in `target`; MALFORMED if it is no MsgProto
 */
export function copyStored(source: Uint8Array, target: Buffer, start: number): number {
  let to = start;
  for (let pos = 0; pos < source.length; ) {
    const fieldStart = pos;
    pos = readTag(source, pos, source.length);
    if (pos === MALFORMED) return MALFORMED;
    const isStored = wire.fieldNumber <= LAST_STORED;
    pos = skipValue(source, pos, source.length);
    if (pos === MALFORMED) return MALFORMED;
    if (!isStored) continue;
    target.set(source.subarray(fieldStart, pos), to);
    to += pos - fieldStart;
  }
  return to;
}
