import type { KnownTakeover, TakeoverTimeline } from '../talk/takeover-timeline.js';

const MAX_TAKEOVERS = 20;

/** The last takeovers of a group that one member knows of, oldest first: one for each epoch. */
export class TakeoverHistory {
  readonly #known: KnownTakeover[] = [];

  get all(): readonly KnownTakeover[] {
    return this.#known;
  }

  /** The member that made it tells it. @returns it, if that is news */
  add(timeline: TakeoverTimeline): KnownTakeover | undefined {
    const { epoch, node, atWallMs } = timeline;
    if (this.#isOld(epoch) || this.#known.some((known) => known.epoch === epoch && known.story !== null)) {
      return undefined;
    }
    return this.#put({ epoch, node, atWallMs, story: timeline });
  }

  /** Somebody is seen to serve in an epoch. What was told of it stays. @returns it, if that is news */
  addSeen(epoch: number, node: string, atWallMs: number): KnownTakeover | undefined {
    if (this.#isOld(epoch) || this.#known.some((known) => known.epoch === epoch)) return undefined;
    return this.#put({ epoch, node, atWallMs, story: null });
  }

  /** There is no room for it any more. */
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
