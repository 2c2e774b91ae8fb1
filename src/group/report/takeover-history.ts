import type { KnownTakeover, TakeoverTimeline } from '../talk/takeover-timeline.js';

const MAX_TAKEOVERS = 20;

/** The last takeovers of a group that one member knows, oldest first, one per epoch. */
export class TakeoverHistory {
  readonly #known: KnownTakeover[] = [];

  get all(): readonly KnownTakeover[] {
    return this.#known;
  }

  /** Adds the timeline of a takeover, from the member that made it. @returns the takeover, if this is news */
  add(timeline: TakeoverTimeline): KnownTakeover | undefined {
    const { epoch, node, atWallMs } = timeline;
    if (this.#isOld(epoch) || this.#known.some((known) => known.epoch === epoch && known.story !== null)) {
      return undefined;
    }
    return this.#put({ epoch, node, atWallMs, story: timeline });
  }

  /** Adds a takeover that was only seen, by a member that serves in an epoch. A known timeline stays. @returns the takeover, if this is news */
  addSeen(epoch: number, node: string, atWallMs: number): KnownTakeover | undefined {
    if (this.#isOld(epoch) || this.#known.some((known) => known.epoch === epoch)) return undefined;
    return this.#put({ epoch, node, atWallMs, story: null });
  }

  /** Whether the epoch is too old for the history. */
  #isOld(epoch: number): boolean {
    return this.#known.length === MAX_TAKEOVERS && epoch < this.#known[0].epoch;
  }

  #put(takeover: KnownTakeover): KnownTakeover {
    const known = this.#known;
    let at = known.length;
    while (at > 0 && known[at - 1].epoch >= takeover.epoch) at--;
    known.splice(at, known[at]?.epoch === takeover.epoch ? 1 : 0, takeover);
    if (known.length > MAX_TAKEOVERS) known.shift();
    return takeover;
  }
}
