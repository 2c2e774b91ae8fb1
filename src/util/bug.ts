/**
 * Bugs: exceptions that nothing in this program expects. Whatever threw one is in a state that nobody has thought of, so it must
 * not go on. Where code is called from outside (sockets, timers, files), guards turn what comes out into a bug and end the part that it
 * came from.
 */

/** A mistake of this program, with what to do for the person who reads it. */
export class Bug extends Error {
  override name = 'Bug';

  /** @param what has happened, without a full stop */
  constructor(what: string, options?: ErrorOptions) {
    super(`${what}. This is a bug in Stanchion: please report it, with the log from the start`, options);
  }
}

/** @returns what a guard has caught, as a bug: the exception itself is its cause */
export function bugOf(thrown: unknown): Bug {
  if (thrown instanceof Bug) return thrown;
  const what = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  return new Bug(`unexpected ${what}`, { cause: thrown });
}

/**
 * Whether an error, or what it was caused by, is one that only a mistake of the program leads to. A RangeError is not: damaged bytes
 * lead to it too.
 */
export function isBug(error: unknown): boolean {
  let cause = error;
  for (let depth = 0; depth < MAX_CAUSES && cause instanceof Error; depth++) {
    if (BUGS.some((kind) => cause instanceof kind)) return true;
    cause = cause.cause;
  }
  return false;
}

const BUGS = [Bug, TypeError, ReferenceError];
const MAX_CAUSES = 8;
