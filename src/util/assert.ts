/**
 * Assertions: what this program promises itself, checked where a broken promise would lose or double something. They stay on in
 * production. A failed one is a bug of ours, never bad input or a fault of the machine; it ends the term or the broker in which it
 * happens, since what such a broker says next may be wrong.
 */

import { Bug } from './bug.js';

/** Something that always holds did not. */
export class BrokenInvariant extends Bug {
  override name = 'BrokenInvariant';
  /** The sentence that was not true. */
  readonly invariant: string;

  constructor(invariant: string) {
    super(`it does not hold that ${invariant}`);
    this.invariant = invariant;
  }
}

/**
 * @param invariant the sentence that is true whenever this line is reached, such as 'a batch is closed once'. A function where
 *   it needs values: it is called only if the assertion fails, but costs a closure per call, which hot paths cannot afford
 * @throws BrokenInvariant if the condition is false
 */
export function assert(condition: boolean, invariant: string | (() => string)): asserts condition {
  if (!condition) broken(invariant);
}

/**
 * Returns the value, which is there.
 *
 * @param invariant why it is always there, such as 'a term that serves has a service'
 * @throws BrokenInvariant if it is undefined or null
 */
export function must<T>(value: T, invariant: string | (() => string)): NonNullable<T> {
  if (value === undefined || value === null) broken(invariant);
  return value;
}

/** Apart from the checks, so that they stay small enough to be inlined. */
function broken(invariant: string | (() => string)): never {
  throw new BrokenInvariant(typeof invariant === 'string' ? invariant : invariant());
}
