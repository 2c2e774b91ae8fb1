import { BrokenInvariant } from '../../src/util/assert.js';

/** What a broken part throws: an assertion of ours that fails, or an exception that nobody has thought of. */
export const BREAKS = {
  invariant: (): Error => new BrokenInvariant('this part is whole'),
  exception: (): Error => new TypeError('Cannot read properties of undefined'),
};

/** A method of a class that throws when it is called for the `at`-th time from now on, and works before and after that. */
export class BrokenPart {
  /** Whether it has thrown. */
  hasBroken = false;
  readonly #restore: () => void;

  constructor(prototype: object, method: string, at: number, error: () => Error) {
    const original: unknown = Reflect.get(prototype, method);
    if (typeof original !== 'function') throw new Error(`there is no method ${method}`);
    const part = this;
    let calls = 0;
    Reflect.set(prototype, method, function (this: unknown, ...args: unknown[]): unknown {
      if (++calls === at) {
        part.hasBroken = true;
        throw error();
      }
      return Reflect.apply(original, this, args);
    });
    this.#restore = () => Reflect.set(prototype, method, original);
  }

  restore(): void {
    this.#restore();
  }
}
