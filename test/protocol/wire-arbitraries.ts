import * as fc from 'fast-check';

/** One field as it travels: number, wire type, and the bytes behind the tag. */
export interface RawField {
  number: number;
  wireType: number;
  value: Uint8Array;
}

export function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

export function tag(number: number, wireType: number): Uint8Array {
  return varint((BigInt(number) << 3n) | BigInt(wireType));
}

export function delimited(number: number, value: Uint8Array): RawField {
  return { number, wireType: 2, value: Buffer.concat([varint(BigInt(value.length)), value]) };
}

export function join(fields: readonly RawField[]): Buffer {
  return Buffer.concat(fields.flatMap((field) => [tag(field.number, field.wireType), field.value]));
}

/** Text without lone surrogates: those have no bytes. */
export const text = fc.string({ unit: 'grapheme', maxLength: 200 });

/** Mostly short, sometimes with a length of two or three varint bytes. */
export const payload = fc.oneof(
  { weight: 8, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 16_000, max: 20_000 }).map((length) => new Uint8Array(length).fill(7)),
  },
);

/** A field that no message of the protocol has. */
export const unknownField: fc.Arbitrary<RawField> = fc.integer({ min: 200, max: 100_000 }).chain((number) =>
  fc.oneof(
    fc
      .bigInt({ min: 0n, max: (1n << 64n) - 1n })
      .map((value) => ({ number, wireType: 0, value: varint(value) })),
    fc.uint8Array({ minLength: 8, maxLength: 8 }).map((value) => ({ number, wireType: 1, value })),
    fc.uint8Array({ maxLength: 40 }).map((value) => delimited(number, value)),
    fc.uint8Array({ minLength: 4, maxLength: 4 }).map((value) => ({ number, wireType: 5, value })),
    fc.uint8Array({ maxLength: 20 }).map((value) => ({
      number,
      wireType: 3,
      value: Buffer.concat([join([delimited(1, value)]), tag(number, 4)]),
    })),
  ),
);

/** Bytes that begin like a message and end anyhow: more of them get far into a decoder than of random bytes. */
export function nearly(message: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Buffer> {
  return fc.tuple(message, fc.nat(), fc.uint8Array({ maxLength: 12 })).map(([bytes, at, patch]) => {
    const broken = Buffer.from(bytes);
    if (broken.length > 0)
      broken.set(patch.slice(0, broken.length - (at % broken.length)), at % broken.length);
    return broken;
  });
}
