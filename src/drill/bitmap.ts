const FIRST_BYTES = 1024;

/** A set of small whole numbers, a bit each: what a drill of an hour needs to know of each message. */
export class Bitmap {
  #bytes = new Uint8Array(FIRST_BYTES);
  #count = 0;

  /** How many are in it. */
  get count(): number {
    return this.#count;
  }

  has(index: number): boolean {
    return ((this.#bytes[index >>> 3] ?? 0) & (1 << (index & 7))) !== 0;
  }

  /** @returns whether it is new */
  add(index: number): boolean {
    const at = index >>> 3;
    if (at >= this.#bytes.length) this.#grow(at + 1);
    const bit = 1 << (index & 7);
    if ((this.#bytes[at]! & bit) !== 0) return false;
    this.#bytes[at]! |= bit;
    this.#count++;
    return true;
  }

  #grow(byteCount: number): void {
    const larger = new Uint8Array(Math.max(byteCount, this.#bytes.length * 2));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}
