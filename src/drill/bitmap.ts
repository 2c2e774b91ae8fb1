const FIRST_BYTES = 1024;

/** A set of small whole numbers, one bit each, so that an hour's drill can keep its messages in memory. */
export class Bitmap {
  #bytes = new Uint8Array(FIRST_BYTES);
  #count = 0;

  /** How many numbers are in the set. */
  get count(): number {
    return this.#count;
  }

  has(index: number): boolean {
    return ((this.#bytes[index >>> 3] ?? 0) & (1 << (index & 7))) !== 0;
  }

  /** @returns whether the number is new in the set */
  add(index: number): boolean {
    const at = index >>> 3;
    if (at >= this.#bytes.length) this.#grow(at + 1);
    const bit = 1 << (index & 7);
    if ((this.#bytes[at] & bit) !== 0) return false;
    this.#bytes[at] |= bit;
    this.#count++;
    return true;
  }

  #grow(byteCount: number): void {
    const larger = new Uint8Array(Math.max(byteCount, this.#bytes.length * 2));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}
