import type { World } from './world.js';

/** A message as it was found in the end. */
export interface StoredMessage {
  sequence: number;
  guid: string;
  timestamp: bigint;
}

/**
 * What clients saw, and what must be true of it: see the invariants of a takeover. Whatever is wrong is kept as a violation,
 * with the time at which it showed.
 */
export class Ledger {
  readonly violations: string[] = [];
  /** Guids by channel. */
  readonly sent = new Map<string, Set<string>>();
  readonly acked = new Map<string, Set<string>>();
  /** What a sequence of a channel has meant so far. */
  readonly #meanings = new Map<string, Map<number, string>>();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  violation(text: string): void {
    this.#world.note(() => `VIOLATION: ${text}`);
    this.violations.push(`at ${this.#world.nowMs.toFixed(1)} ms: ${text}`);
  }

  publishSent(channel: string, guid: string): void {
    of(this.sent, channel).add(guid);
  }

  publishAcked(channel: string, guid: string): void {
    of(this.acked, channel).add(guid);
  }

  /** Somebody was shown this: invariant 3. */
  shown(who: string, channel: string, sequence: number, guid: string): void {
    let meanings = this.#meanings.get(channel);
    if (meanings === undefined) {
      meanings = new Map();
      this.#meanings.set(channel, meanings);
    }
    const meaning = meanings.get(sequence);
    if (meaning === undefined) meanings.set(sequence, guid);
    else if (meaning !== guid)
      this.violation(`${who}: ${channel} ${sequence} was ${meaning}, and is ${guid} now`);
    if (!this.sent.get(channel)?.has(guid))
      this.violation(`${who}: ${channel} ${sequence} is ${guid}, which nobody sent`);
  }

  lastShown(channel: string): number {
    return Math.max(0, ...(this.#meanings.get(channel)?.keys() ?? []));
  }

  /** Compares the end with everything before it: invariants 1, 2 and 3. */
  checkStored(channel: string, stored: readonly StoredMessage[], isLimited: boolean): void {
    const times = new Map<string, number>();
    let previous: StoredMessage | undefined;
    for (const message of stored) {
      const { sequence, guid, timestamp } = message;
      times.set(guid, (times.get(guid) ?? 0) + 1);
      const due = previous === undefined ? (isLimited ? sequence : 1) : previous.sequence + 1;
      if (sequence !== due) this.violation(`${channel}: ${sequence} is stored where ${due} is due`);
      if (previous !== undefined && timestamp < previous.timestamp)
        this.violation(`${channel}: the time goes back at ${sequence}`);
      previous = message;
    }
    const first = stored[0]?.sequence ?? 1;
    const last = previous?.sequence ?? 0;
    for (const [guid, count] of times)
      if (count > 1) this.violation(`${channel}: ${guid} is stored ${count} times`);
    const meanings = this.#meanings.get(channel) ?? new Map<number, string>();
    const dropped = new Set([...meanings].filter(([sequence]) => sequence < first).map(([, guid]) => guid));
    for (const guid of this.acked.get(channel) ?? []) {
      // What a limit dropped, unseen by anybody, cannot be told from what was lost.
      if (!times.has(guid) && !isLimited) this.violation(`${channel}: ${guid} was acknowledged, and is lost`);
    }
    for (const [sequence, guid] of meanings) {
      if (sequence < first || dropped.has(guid)) continue;
      if (sequence > last) this.violation(`${channel}: ${sequence} (${guid}) was shown, and is gone`);
    }
  }
}

function of(map: Map<string, Set<string>>, key: string): Set<string> {
  let set = map.get(key);
  if (set === undefined) {
    set = new Set();
    map.set(key, set);
  }
  return set;
}
