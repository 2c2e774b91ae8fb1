import { SeededRandom } from '../broker/model-random.js';
import type { SimFs } from '../store/sim-fs.js';
import { judge } from './judge.js';
import type { Past } from './pasts.js';
import { type Cut, Plate } from './plate.js';

/** A power cut: behind which event of a past, and by what seed it is decided what is left. */
export interface Case {
  readonly past: Past;
  readonly at: number;
  /** 0: nothing that was not synced is left; 1: all of it. */
  readonly seed: number;
}

const KEPT_PERCENT = [0, 0, 50, 90, 98] as const;

export function caseName({ past, at, seed }: Case): string {
  return `${past.name}, the power cut behind event ${at}, seed ${seed}`;
}

/** The moments at which something of the disk has just changed. */
export function cutsOf({ events }: Past): number[] {
  return events.flatMap(({ kind }, index) => (kind === 'mark' ? [] : [index]));
}

/**
 * Judges cuts of one past.
 *
 * @param seedsOf which seeds to try behind each event
 * @param onJudged gets what is wrong, and what the cut has left, once more
 * @param isOver asked before each
 */
export async function judgePast(
  past: Past,
  seedsOf: (at: number) => readonly number[],
  onJudged: (one: Case, problem: string | undefined, left: () => SimFs) => void,
  isOver: () => boolean = () => false,
): Promise<void> {
  const plate = new Plate();
  let mark = 0;
  for (const [at, event] of past.events.entries()) {
    if (isOver()) return;
    plate.apply(event);
    if (event.kind === 'mark') mark = event.mark;
    const moment = past.moments[mark];
    if (moment === undefined || event.kind === 'mark') continue;
    for (const seed of seedsOf(at)) {
      const left = (): SimFs => plate.image(cutOf(at, seed));
      onJudged({ past, at, seed }, await judge(left(), moment), left);
    }
  }
}

function cutOf(at: number, seed: number): Cut {
  if (seed === 0) return 'synced';
  if (seed === 1) return 'written';
  const random = new SeededRandom(seed * 1_000_003 + at);
  return { random, keptPercent: random.pick(KEPT_PERCENT) ?? 0 };
}
