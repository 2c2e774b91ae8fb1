/** A NUID has 12 characters that a client keeps, and a growing number of 10 digits, which are in the order of their bytes. */
const NUID_BYTES = 22;
const PREFIX_BYTES = 12;

/**
 * The largest guid of one publisher that was ever remembered, among those with one prefix. A larger guid is new, and needs no search.
 * Clients take guids from a NUID, so this holds for nearly all; about other guids it says nothing.
 *
 * (Words are compared as signed numbers: any order will do, as long as it is always the same.)
 */
export class NewestGuid {
  readonly #prefix0: number;
  readonly #prefix1: number;
  readonly #prefix2: number;
  #high = 0;
  #middle = 0;
  #low = 0;

  private constructor(source: DataView, start: number) {
    this.#prefix0 = source.getInt32(start, true);
    this.#prefix1 = source.getInt32(start + 4, true);
    this.#prefix2 = source.getInt32(start + 8, true);
    this.#take(source, start);
  }

  /** @returns undefined if the guid is no NUID */
  static of(source: DataView, start: number, end: number): NewestGuid | undefined {
    return end - start === NUID_BYTES ? new NewestGuid(source, start) : undefined;
  }

  /** Whether a guid is larger than every remembered one with its prefix. */
  isBefore(source: DataView, start: number, end: number): boolean {
    return this.#hasPrefixOf(source, start, end) && this.#isLess(source, start);
  }

  /** Notes a guid that is remembered. */
  note(source: DataView, start: number, end: number): void {
    if (this.isBefore(source, start, end)) this.#take(source, start);
  }

  #hasPrefixOf(source: DataView, start: number, end: number): boolean {
    return (
      end - start === NUID_BYTES &&
      source.getInt32(start, true) === this.#prefix0 &&
      source.getInt32(start + 4, true) === this.#prefix1 &&
      source.getInt32(start + 8, true) === this.#prefix2
    );
  }

  #isLess(source: DataView, start: number): boolean {
    const at = start + PREFIX_BYTES;
    const high = source.getInt32(at);
    if (high !== this.#high) return this.#high < high;
    const middle = source.getInt32(at + 4);
    if (middle !== this.#middle) return this.#middle < middle;
    return this.#low < source.getInt16(at + 8);
  }

  #take(source: DataView, start: number): void {
    const at = start + PREFIX_BYTES;
    this.#high = source.getInt32(at);
    this.#middle = source.getInt32(at + 4);
    this.#low = source.getInt16(at + 8);
  }
}
