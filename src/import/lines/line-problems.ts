import type { SourceProblem } from '../types/source.js';
import { SourceError } from '../types/source-error.js';

/** Limit of the problems that are kept; the others are counted. */
const MAX_KEPT = 1_000;

/** The problems of a source. A loss ends the import, unless the source is lenient. */
export class LineProblems {
  readonly #kept: SourceProblem[] = [];
  #more = 0;
  readonly #where: string;
  readonly #isLenient: boolean;

  constructor(where: string, isLenient: boolean) {
    this.#where = where;
    this.#isLenient = isLenient;
  }

  get all(): readonly SourceProblem[] {
    if (this.#more === 0) return this.#kept;
    const text = `${this.#more} more problems of this kind`;
    return [...this.#kept, { isLoss: true, where: this.#where, text }];
  }

  /** Something does not come along. @throws SourceError unless the source is lenient */
  loss(text: string): void {
    if (!this.#isLenient) throw new SourceError('damaged', `${this.#where}: ${text}`);
    this.#add({ isLoss: true, where: this.#where, text });
  }

  /** Something is to be known, and nothing is lost by it. */
  note(text: string): void {
    this.#add({ isLoss: false, where: this.#where, text });
  }

  #add(problem: SourceProblem): void {
    if (this.#kept.length < MAX_KEPT) this.#kept.push(problem);
    else this.#more++;
  }
}
