/**
 * Bugs: exceptions that nothing in this program expects. The part that threw one is in an unforeseen state, so it must not go on. Where
 * code is called from outside (sockets, timers, files), guards turn an exception into a bug, and end the part that it came from.
 */

/** A mistake of this program, with what to do for the person who reads it. */
export class Bug extends Error {
  override name = 'Bug';

  /** @param what has happened, without a full stop */
  constructor(what: string, options?: ErrorOptions) {
    super(`${what}. This is a bug in Stanchion: please report it, with the log from the start`, options);
  }
}

/** Makes a bug of an exception that a guard has caught, which becomes its cause. */
export function bugOf(thrown: unknown): Bug {
  if (thrown instanceof Bug) return thrown;
  const what = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  return new Bug(`unexpected ${what}`, { cause: thrown });
}

/**
 * Whether an error, or one of its causes, can only come from a mistake of the program. A RangeError can also come from damaged bytes.
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
