/** Random bytes, from outside so that a simulator can own them. */
export type RandomBytes = (size: number) => Uint8Array;

/** For hash tables: u32. */
export function randomSeed(random: RandomBytes): number {
  return new Uint32Array(Uint8Array.from(random(4)).buffer)[0];
}

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const LENGTH = 22;

/** 22 characters [0-9A-Za-z], some 130 bits. */
export function newStoreId(random: RandomBytes): string {
  let id = '';
  while (id.length < LENGTH) {
    for (const byte of random(LENGTH)) {
      // 248 = 4 * 62: above it the digits would not be equally likely.
      if (byte < 248 && id.length < LENGTH) id += ALPHABET[byte % 62];
    }
  }
  return id;
}
