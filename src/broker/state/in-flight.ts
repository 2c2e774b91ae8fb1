const NONE = -1;
/** So few that V8 keeps the arrays in its own heap: apart from it, six for each of 100,000 subscriptions would slow garbage collection. */
const INITIAL_SLOTS = 8;
/** All that are empty share these, and nothing is written to them. */
const NO_NUMBERS = new Float64Array(0);
const NO_COUNTS = new Uint32Array(0);
const NO_SLOTS = new Int32Array(0);
const EMPTY_TABLE = new Int32Array(1);

/**
 * The messages that a subscription was sent and has not acknowledged: by sequence, and in the order in which their ack
 * wait ends. The ack wait of a subscription is one figure, so that order is the order of sending, and the earliest end is
 * always at the head: no timer per message.
 *
 * Numbers in typed arrays and no object per message.
 */
export class InFlight {
  // A subscription to which nothing goes needs none of these arrays. A takeover makes 100,000 of them in one turn.
  #sequences = NO_NUMBERS;
  #deadlinesMs = NO_NUMBERS;
  #deliveries = NO_COUNTS;
  #next = NO_SLOTS;
  #previous = NO_SLOTS;
  /** Slot + 1 by hash; 0 is empty. */
  #table = EMPTY_TABLE;
  #mask = 0;
  #free = NONE;
  #head = NONE;
  #tail = NONE;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The sequence whose ack wait ends first, or 0. */
  get headSequence(): number {
    return this.#head === NONE ? 0 : this.#sequences[this.#head];
  }

  /** When the first ack wait ends, on the monotonic clock; Infinity if nothing is in flight. */
  get headDeadlineMs(): number {
    return this.#head === NONE ? Number.POSITIVE_INFINITY : this.#deadlinesMs[this.#head];
  }

  has(sequence: number): boolean {
    return this.#table[this.#find(sequence)] !== 0;
  }

  /** How often it was delivered again, 0 for a first delivery or an unknown sequence. */
  redeliveries(sequence: number): number {
    const slot = this.#table[this.#find(sequence)] - 1;
    return slot < 0 ? 0 : this.#deliveries[slot];
  }

  /** Adds a sequence at the tail. One that is in flight moves there: after a crash two members of a group may have one message. */
  add(sequence: number, deadlineMs: number, redeliveries: number): void {
    if (this.#free === NONE) this.#grow();
    const at = this.#find(sequence);
    if (this.#table[at] !== 0) {
      this.renew(sequence, deadlineMs, redeliveries);
      return;
    }
    const slot = this.#free;
    this.#free = this.#next[slot];
    this.#sequences[slot] = sequence;
    this.#deadlinesMs[slot] = deadlineMs;
    this.#deliveries[slot] = redeliveries;
    this.#table[at] = slot + 1;
    this.#append(slot);
    this.#size++;
  }

  /** Starts a new ack wait for a sequence in flight: it moves to the tail. */
  renew(sequence: number, deadlineMs: number, redeliveries: number): void {
    const slot = this.#table[this.#find(sequence)] - 1;
    if (slot < 0) return;
    this.#unlink(slot);
    this.#deadlinesMs[slot] = deadlineMs;
    this.#deliveries[slot] = redeliveries;
    this.#append(slot);
  }

  /** @returns false if it was not in flight */
  remove(sequence: number): boolean {
    const at = this.#find(sequence);
    const slot = this.#table[at] - 1;
    if (slot < 0) return false;
    this.#closeHole(at);
    this.#unlink(slot);
    this.#next[slot] = this.#free;
    this.#free = slot;
    this.#size--;
    return true;
  }

  /** All sequences, ascending. */
  sorted(): number[] {
    const all: number[] = [];
    let isSorted = true;
    let last = 0;
    for (let slot = this.#head; slot !== NONE; slot = this.#next[slot]) {
      const sequence = this.#sequences[slot];
      if (sequence < last) isSorted = false;
      last = sequence;
      all.push(sequence);
    }
    // Mostly they are: a checkpoint asks each of 100,000 subscriptions in one turn.
    return isSorted ? all : all.sort((a, b) => a - b);
  }

  /** Lets all ack waits end at once, in the order of the sequences. */
  expireAll(nowMs: number): void {
    const all = this.sorted();
    for (const sequence of all) this.renew(sequence, nowMs, this.redeliveries(sequence));
  }

  #append(slot: number): void {
    this.#previous[slot] = this.#tail;
    this.#next[slot] = NONE;
    if (this.#tail === NONE) this.#head = slot;
    else this.#next[this.#tail] = slot;
    this.#tail = slot;
  }

  #unlink(slot: number): void {
    const before = this.#previous[slot];
    const after = this.#next[slot];
    if (before === NONE) this.#head = after;
    else this.#next[before] = after;
    if (after === NONE) this.#tail = before;
    else this.#previous[after] = before;
  }

  /** Table index of the sequence, or of the empty place where it belongs. */
  #find(sequence: number): number {
    let at = homeOf(sequence, this.#mask);
    for (;;) {
      const slot = this.#table[at] - 1;
      if (slot < 0 || this.#sequences[slot] === sequence) return at;
      at = (at + 1) & this.#mask;
    }
  }

  #closeHole(start: number): void {
    let hole = start;
    for (let at = (hole + 1) & this.#mask; this.#table[at] !== 0; at = (at + 1) & this.#mask) {
      const home = homeOf(this.#sequences[this.#table[at] - 1], this.#mask);
      if (((at - home) & this.#mask) < ((at - hole) & this.#mask)) continue;
      this.#table[hole] = this.#table[at];
      hole = at;
    }
    this.#table[hole] = 0;
  }

  #grow(): void {
    const before = this.#sequences.length;
    const slots = Math.max(INITIAL_SLOTS, before * 2);
    this.#sequences = grown(this.#sequences, new Float64Array(slots));
    this.#deadlinesMs = grown(this.#deadlinesMs, new Float64Array(slots));
    this.#deliveries = grown(this.#deliveries, new Uint32Array(slots));
    this.#next = grown(this.#next, new Int32Array(slots));
    this.#previous = grown(this.#previous, new Int32Array(slots));
    this.#table = new Int32Array(slots * 2);
    this.#mask = slots * 2 - 1;
    for (let slot = this.#head; slot !== NONE; slot = this.#next[slot]) {
      this.#table[this.#find(this.#sequences[slot])] = slot + 1;
    }
    this.#addFreeSlots(before, slots);
  }

  #addFreeSlots(from: number, to: number): void {
    for (let slot = from; slot < to - 1; slot++) this.#next[slot] = slot + 1;
    this.#next[to - 1] = this.#free;
    this.#free = from;
  }
}

/**
 * Fibonacci hashing: neighbours, which in-flight sequences mostly are, come to lie far apart. Side by side they would
 * rarely collide, but make one long run that every removal has to walk to its end.
 */
function homeOf(sequence: number, mask: number): number {
  const mixed = Math.imul(sequence >>> 0, 0x9e3779b1);
  return (mixed ^ (mixed >>> 15)) & mask;
}

function grown<T extends Float64Array | Uint32Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
