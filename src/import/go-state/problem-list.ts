import type { SourceProblem } from '../types/source.js';
import { SourceError } from '../types/source-error.js';

/** What is listed one by one. The rest is counted, so that a store that is damaged everywhere needs no more memory. */
const MAX_LISTED = 1000;

/** A place in a file. */
export interface FilePlace {
  readonly where: string;
  /** Bytes from the start of the file. */
  readonly offset?: number;
}

/** The problems of one source. A strict source ends at the first thing that would be lost. */
export class ProblemList {
  readonly all: SourceProblem[] = [];
  readonly isLenient: boolean;
  readonly #seen = new Set<string>();
  readonly #rest = { isLoss: false, where: '', text: '', count: 0 };

  constructor(isLenient: boolean) {
    this.isLenient = isLenient;
  }

  /** Something to know that costs no message and no position. */
  note(place: FilePlace, text: string): void {
    this.#add({ isLoss: false, ...place, text });
  }

  /** Something that does not come along, as the old server would not have it either, or that no leniency brings back. */
  lost(place: FilePlace, text: string): void {
    this.#add({ isLoss: true, ...place, text });
  }

  /**
   * Something that cannot be read. A lenient source goes on.
   *
   * @throws SourceError 'damaged' if the source is strict
   */
  damaged(place: FilePlace, text: string): void {
    if (this.isLenient) {
      this.lost(place, text);
      return;
    }
    const at = place.offset === undefined ? '' : ` at byte ${place.offset}`;
    throw new SourceError('damaged', `${place.where}${at}: ${text}. To keep what can be read: --lenient`);
  }

  #add(problem: SourceProblem): void {
    // A file that is read twice has its problems once.
    const key = `${problem.where}\n${problem.offset}\n${problem.text}`;
    if (this.#seen.has(key)) return;
    if (this.all.length < MAX_LISTED) {
      this.#seen.add(key);
      this.all.push(problem);
      return;
    }
    const rest = this.#rest;
    if (rest.count === 0) {
      rest.where = problem.where;
      this.all.push(rest);
    }
    rest.count++;
    rest.isLoss ||= problem.isLoss;
    rest.text = `${rest.count} more problems are not listed, from this file on`;
  }
}
