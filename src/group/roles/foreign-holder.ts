import { holderText } from '../../lease/held.js';
import type { LeaseState } from '../../lease/lease-state.js';
import type { MemberParts } from './member-parts.js';

/** What a standby says of a holder that is in no group, or in another: it keeps out while that one lives, and not in silence. */
export class ForeignHolder {
  readonly #parts: MemberParts;
  /** The last one that was logged. */
  #logged: string | undefined;
  #otherGroup: string | undefined;

  constructor(parts: MemberParts) {
    this.#parts = parts;
  }

  /** A group of another name has the store. This member does its part, as in a rolling update that gives the group another name. */
  get otherGroup(): string | undefined {
    return this.#otherGroup;
  }

  /** Notes what a look has found. @returns why this member cannot do its part */
  look(state: LeaseState | undefined): string | undefined {
    this.#otherGroup = undefined;
    if (state === undefined) {
      this.#logged = undefined;
      return undefined;
    }
    const { dir, options, log } = this.#parts;
    const by = `the store in ${dir} is held by ${holderText(state)}, epoch ${state.epoch}`;
    const isAlone = state.kind === 'alone';
    const text = isAlone
      ? `${by}: this member of group "${options.name}" keeps out as long as that broker renews its lease. Stop that broker, or give it another --dir`
      : `${by}: this member of group "${options.name}" waits until that group has left. If the group is being renamed, that is right; if not, give all ` +
        'members of one store the same --ft-group, or another --dir';
    if (!isAlone) this.#otherGroup = text;
    const { holder, epoch } = state;
    if (this.#logged !== holder) {
      this.#logged = holder;
      if (isAlone) log.error({ holder, epoch }, text);
      else log.warn({ holder, epoch }, text);
    }
    return isAlone ? text : undefined;
  }
}
