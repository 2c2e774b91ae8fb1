import type { LeaseState } from '../../lease/lease-state.js';
import type { Heartbeat } from '../talk/group-messages.js';
import type { ProvingStore } from '../talk/group-talk.js';
import type { Ahead } from '../watch/lease-watch.js';
import type { MemberParts } from './member-parts.js';
import type { Pause } from './pause.js';
import type { Presence } from './presence.js';

/** A store that another member has just made is visible on every mount within this time. */
const NEW_STORE_MS = 2_000;
const NEW_STORE_LOOK_MS = 50;
/** For how long what someone says of a store counts. */
const CLAIM_MS = 10_000;

/** Checks that a member sees the store of its group: with a forgotten mount, or on a copy, it would serve from another one. */
export class StoreCheck {
  readonly #parts: MemberParts;
  readonly #presence: Presence;
  readonly #pause: Pause;
  #identity: ProvingStore | undefined;
  /** A member that has another store than this one. */
  #stranger: Heartbeat | undefined;
  /** A member that says that it has a store, while this one sees none: it cannot be proved before there is a store here. */
  #claim: Heartbeat | undefined;
  #claimMs = 0;
  #isReplaced = false;

  constructor(parts: MemberParts, presence: Presence, pause: Pause) {
    this.#parts = parts;
    this.#presence = presence;
    this.#pause = pause;
  }

  /** Id of the store that this member sees; '' while there is none. */
  get storeId(): string {
    return this.#identity?.storeId ?? '';
  }

  /** Reads the store's identity, until it has the key by which members prove that they see this store. @returns whether that is news */
  async readIdentity(): Promise<boolean> {
    const { talk, readIdentity } = this.#parts;
    if (talk.key !== undefined) return false;
    // Another one says that there is a store: what a mount remembers does not do, and an NFS client remembers for half a minute.
    const isFresh = this.#stranger !== undefined || this.whyNoNewStore !== undefined;
    const identity = await readIdentity(isFresh);
    if (identity === undefined) return false;
    this.#identity = identity;
    talk.sees(identity);
    return identity.groupKey !== undefined;
  }

  /**
   * Compares the store of another member. With a key there is nothing to compare: who is believed sees this very store.
   *
   * @param isActive whether this member holds the lease
   * @returns why its term cannot go on
   */
  heard(other: Heartbeat, isActive: boolean): string | undefined {
    if (this.#parts.talk.key !== undefined) return undefined;
    if (other.storeId === '' || other.storeId === this.storeId) return undefined;
    const { role, roleForMs } = this.#presence;
    // A member that has joined goes by the store of the active; one that has not, by that of any member.
    if (role !== 'starting' && !terms(other)) return undefined;
    if (isActive) {
      const isOlder =
        other.forMs > roleForMs || (other.forMs === roleForMs && other.member < this.#parts.holder);
      if (!isOlder) return undefined;
    }
    this.#stranger = other;
    return this.#mismatch(other);
  }

  /** Notes what anyone says of a store, while this member sees none. */
  claimed(other: Heartbeat): void {
    if (other.storeId === '') return;
    if (this.#presence.role !== 'starting' && !terms(other)) return;
    this.#claim = other;
    this.#claimMs = this.#parts.clock.monotonicMs();
  }

  /**
   * Why this member must not make a store: it sees none, and someone says that the group has one. This may be forged, but a second, empty
   * store would be served beside the first. A member that sees a store needs no one's word.
   */
  get whyNoNewStore(): string | undefined {
    const { clock } = this.#parts;
    if (this.#identity !== undefined || this.#claim === undefined) return undefined;
    return clock.monotonicMs() - this.#claimMs > CLAIM_MS ? undefined : this.#unprovable(this.#claim);
  }

  /** Looks again, since the store may have been made a moment ago, and a mount may not show it at once. @returns the problem */
  async confirm(): Promise<Error | undefined> {
    const other = this.#stranger;
    if (other === undefined) return undefined;
    await this.readIdentity();
    // Only in a store of release 0.1.0 another one's word of its store counts.
    if (this.#parts.talk.key === undefined && this.storeId !== other.storeId)
      return new Error(this.#mismatch(other));
    this.#stranger = undefined;
    return undefined;
  }

  /** The same for a member that starts and sees no store. */
  async confirmNew(): Promise<Error | undefined> {
    const { clock } = this.#parts;
    const until = clock.monotonicMs() + NEW_STORE_MS;
    while (this.whyNoNewStore !== undefined && clock.monotonicMs() < until) {
      await this.#pause.pass(NEW_STORE_LOOK_MS);
      await this.readIdentity();
    }
    const why = this.whyNoNewStore;
    return why === undefined ? undefined : new Error(why);
  }

  /**
   * Checks that the store is where it was. If the file system cannot answer, it is asked again the next time.
   *
   * @returns whether names still lead to the files that are open
   */
  async look(): Promise<boolean> {
    if (this.#isReplaced) return false;
    const place = (await this.#parts.lookAtPlace?.().catch(() => undefined)) ?? 'same';
    this.#isReplaced = place === 'replaced';
    return place === 'same';
  }

  /**
   * The problem, if the last look has found another folder in the place of the store. That folder may be as new as the store up to the
   * name of the lease, which is then renewed there, while batches go to files that no successor finds.
   */
  get replaced(): string | undefined {
    if (!this.#isReplaced) return undefined;
    const { options, dir } = this.#parts;
    return (
      `The store of group "${options.name}" has gone back: ${dir} here (node ${options.nodeName}) has been replaced by a copy or a restored backup ` +
      'while members were running: it leads to other files than before. What was acknowledged since that was made is not in it. ' +
      'Stop all members, put the former folder back if it is there, and start them again'
    );
  }

  #mismatch(other: Heartbeat): string {
    const { options, dir } = this.#parts;
    const mine = this.storeId === '' ? 'holds no store' : `holds store ${this.storeId}`;
    return (
      `This member of group "${options.name}" points at another store than its group: ${dir} here (node ${options.nodeName}) ${mine}, ` +
      `${other.storeDir} at node ${other.node} holds store ${other.storeId}. Is the shared volume mounted at ${dir}?`
    );
  }

  #unprovable(other: Heartbeat): string {
    return (
      `${this.#mismatch(other)} If this group is a new one, no store can be made while that is heard, which nothing here can prove: another group of the ` +
      'same names may be on these NATS servers (give one of the two another --cluster-id or --ft-group), or the message is forged (permit "_STANCHION.group.>" ' +
      'to brokers only)'
    );
  }

  /**
   * The problem of a copy: it has the store's identity, but does not follow its changes.
   *
   * @param state the lease as this member sees it
   * @param ahead the later renewal that another member has reported, or that this member itself has seen
   */
  astray({ epoch, counter }: LeaseState, ahead: Ahead): string {
    const { options, dir } = this.#parts;
    const here = `the store in ${dir} here (node ${options.nodeName}) is at renewal ${counter} of epoch ${epoch}`;
    const more = `at renewal ${ahead.counter ?? 0} of epoch ${ahead.epoch}`;
    if (!('node' in ahead))
      return (
        `The store of group "${options.name}" has gone back: ${here}, and has been ${more} before, as this member itself has seen. ` +
        `Has ${dir} been replaced by a copy or a restored backup while members were running? What was acknowledged since is not in it`
      );
    return (
      `This member of group "${options.name}" does not see what its group writes: ${here}, that in ${ahead.storeDir} at node ${ahead.node} is ${more} or later. ` +
      `Is ${dir} a copy or a restored backup, instead of the shared volume?`
    );
  }
}

/** Whether it holds the lease of its store, or says so. */
function terms({ role }: Heartbeat): boolean {
  return role === 'active' || role === 'recovering';
}
