/**
 * As much of protobuf as the requests of a load run need. It is apart from the broker's codec on purpose: the two
 * sides of a measurement should not share their mistakes.
 */
export type Field = readonly [number, string | Uint8Array | number];

const VARINT = 0;
const BYTES = 2;

export function encode(fields: readonly Field[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const [number, value] of fields) {
    if (typeof value === 'number') {
      parts.push(varint(number * 8 + VARINT), varint(value));
    } else {
      const bytes = typeof value === 'string' ? Buffer.from(value) : value;
      parts.push(varint(number * 8 + BYTES), varint(bytes.length), bytes);
    }
  }
  return Buffer.concat(parts);
}

/** The text fields of a message of strings, bytes and varints, by number; of a repeated one the last. */
export function decodeTexts(bytes: Buffer): Map<number, string> {
  const texts = new Map<number, string>();
  let at = 0;
  const next = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error(`bench: truncated protobuf message of ${bytes.length} bytes`);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  };
  while (at < bytes.length) {
    const tag = next();
    const value = next();
    if (tag % 8 === BYTES) {
      texts.set(Math.floor(tag / 8), bytes.toString('utf8', at, at + value));
      at += value;
    } else if (tag % 8 !== VARINT) {
      throw new Error(`bench: unexpected protobuf wire type ${tag % 8} at byte ${at}`);
    }
  }
  return texts;
}

export function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
