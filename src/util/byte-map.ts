/**
 * A map from byte strings to values that is looked up by a range of a buffer, so that the hot path makes no string to find
 * a channel or a client. Open addressing, linear probing, at most half full.
 */
export class ByteMap<V> {
  #keys: (Buffer | undefined)[] = new Array(INITIAL_SLOTS);
  #values: (V | undefined)[] = new Array(INITIAL_SLOTS);
  #hashes = new Uint32Array(INITIAL_SLOTS);
  #mask = INITIAL_SLOTS - 1;
  #size = 0;
  /** Slot of the last hit: the same key again is found without hashing. */
  #last = 0;

  readonly #seed: number;

  /** @param seed makes the order of slots unpredictable for clients, which choose the keys */
  constructor(seed: number) {
    this.#seed = seed;
  }

  get size(): number {
    return this.#size;
  }

  get(buffer: Buffer, start: number, end: number): V | undefined {
    const recent = this.#keys[this.#last];
    if (recent !== undefined && sameBytes(recent, buffer, start, end)) return this.#values[this.#last];
    const slot = this.#find(buffer, start, end, hashOf(buffer, start, end, this.#seed));
    if (this.#keys[slot] === undefined) return undefined;
    this.#last = slot;
    return this.#values[slot];
  }

  /** Sets the value of a key, which is copied. */
  set(buffer: Buffer, start: number, end: number, value: V): void {
    this.setKept(Buffer.from(buffer.subarray(start, end)), value);
  }

  /** Sets the value of a key, which is kept: its bytes must not change. */
  setKept(key: Buffer, value: V): void {
    const hash = hashOf(key, 0, key.length, this.#seed);
    const slot = this.#find(key, 0, key.length, hash);
    if (this.#keys[slot] === undefined) {
      this.#keys[slot] = key;
      this.#hashes[slot] = hash;
      this.#size++;
    }
    this.#values[slot] = value;
    if (this.#size * 2 > this.#mask) this.#grow();
  }

  delete(buffer: Buffer, start: number, end: number): boolean {
    let hole = this.#find(buffer, start, end, hashOf(buffer, start, end, this.#seed));
    if (this.#keys[hole] === undefined) return false;
    this.#size--;
    // Close the hole: entries that were probed past it move back, so that no tombstones are needed.
    for (let slot = (hole + 1) & this.#mask; this.#keys[slot] !== undefined; slot = (slot + 1) & this.#mask) {
      const home = this.#hashes[slot] & this.#mask;
      if (((slot - home) & this.#mask) >= ((slot - hole) & this.#mask)) {
        this.#keys[hole] = this.#keys[slot];
        this.#values[hole] = this.#values[slot];
        this.#hashes[hole] = this.#hashes[slot];
        hole = slot;
      }
    }
    this.#keys[hole] = undefined;
    this.#values[hole] = undefined;
    return true;
  }

  #find(buffer: Buffer, start: number, end: number, hash: number): number {
    let slot = hash & this.#mask;
    for (;;) {
      const key = this.#keys[slot];
      if (key === undefined || (this.#hashes[slot] === hash && sameBytes(key, buffer, start, end)))
        return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  #grow(): void {
    const keys = this.#keys;
    const values = this.#values;
    const hashes = this.#hashes;
    const slots = keys.length * 2;
    this.#keys = new Array(slots);
    this.#values = new Array(slots);
    this.#hashes = new Uint32Array(slots);
    this.#mask = slots - 1;
    for (let i = 0; i < keys.length; i++) {
      if (keys[i] === undefined) continue;
      let slot = hashes[i] & this.#mask;
      while (this.#keys[slot] !== undefined) slot = (slot + 1) & this.#mask;
      this.#keys[slot] = keys[i];
      this.#values[slot] = values[i];
      this.#hashes[slot] = hashes[i];
    }
    this.#last = 0;
  }
}

const INITIAL_SLOTS = 64;

/** FNV-1a with a final mix, since FNV's low bits are weak for keys that differ only in the last byte. */
function hashOf(buffer: Buffer, start: number, end: number, seed: number): number {
  let hash = seed ^ 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ buffer[i], 0x01000193);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 0;
}

function sameBytes(key: Buffer, buffer: Buffer, start: number, end: number): boolean {
  if (key.length !== end - start) return false;
  // The comparison begins at the end, since names and ids often share their beginnings.
  for (let i = key.length - 1, at = end - 1; i >= 0; i--, at--) {
    if (key[i] !== buffer[at]) return false;
  }
  return true;
}
