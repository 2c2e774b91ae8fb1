import { Progress } from '../../store/types/progress.js';
import type { SubscriptionRecord } from '../../store/types/store.js';
import { assert } from '../../util/assert.js';
import type { Channel } from './channel.js';
import { InFlight } from './in-flight.js';
import { DeliverySlot } from './slots.js';
import type { Subscription } from './subscription.js';

/**
 * The members that share the messages of a channel. The group owns how far the channel has been given out, and the
 * *orphans*: messages that were delivered, are not acknowledged, and have no member to wait for (it left, or its client is
 * silent). Orphans go out before anything new. A durable group lives on without members.
 *
 * It has a record of its own in the store, beside those of its members: position and orphans survive any of them.
 */
export class QueueGroup {
  readonly members: Subscription[] = [];
  readonly orphans = new InFlight();
  /** What each batch stores of it. */
  readonly progress: Progress;
  readonly delivery = new DeliverySlot();
  /** Where the search for the next member begins, so that equals take turns. */
  #turn = 0;

  constructor(
    readonly id: number,
    /** `durable:group` for a durable one. */
    readonly name: string,
    readonly isDurable: boolean,
    readonly channel: Channel,
    /** Highest sequence given to any member, or the one before the start. */
    public lastSent: number,
  ) {
    this.progress = new Progress(id, true);
  }

  get key(): string {
    return groupKey(this.name, this.isDurable);
  }

  /**
   * The member that gets the next message: of those with room the one with the least in flight, in turn if equal. One
   * whose client does not answer its heartbeats gets none as long as any other's does: better it waits for room there.
   *
   * @param except a member that had its chance
   */
  pick(except?: Subscription): Subscription | undefined {
    const members = this.members;
    const count = members.length;
    let best: Subscription | undefined;
    let bestLoad = Number.POSITIVE_INFINITY;
    let bestAt = 0;
    let isAnyResponsive = false;
    for (let i = 0; i < count; i++) {
      const at = (this.#turn + i) % count;
      const member = members[at];
      if (member === undefined || !member.isStarted) continue;
      const isSilent = member.client?.isSilent ?? false;
      if (!isSilent) isAnyResponsive = true;
      if (member === except || member.isStalled) continue;
      const load = member.inFlight.size + (isSilent ? SILENT_LOAD : 0);
      if (load >= bestLoad) continue;
      best = member;
      bestLoad = load;
      bestAt = at;
      if (load === 0) break;
    }
    if (bestLoad >= SILENT_LOAD && isAnyResponsive) return undefined;
    if (best !== undefined) this.#turn = (bestAt + 1) % count;
    return best;
  }

  hasOther(than: Subscription): boolean {
    return this.members.some((member) => member !== than && member.isStarted);
  }

  /** Some member other than this one answers: work need not wait for a silent client. */
  hasResponsiveOther(than: Subscription): boolean {
    return this.members.some((member) => member !== than && member.isStarted && !member.client?.isSilent);
  }

  remove(member: Subscription): void {
    const at = this.members.indexOf(member);
    assert(at >= 0, 'a member that leaves a queue group is one of its members');
    this.members.splice(at, 1);
  }

  /**
   * To be called when a member came or went: one of them has the group's `lastSent`, as in the Go server. Lag is read from
   * the highest `last_sent` of a group, and a member that has just come has none of its own.
   */
  showLastSent(): void {
    const { members, lastSent } = this;
    const [first] = members;
    if (first !== undefined && members.every((member) => member.lastSent < lastSent))
      first.lastSent = lastSent;
  }

  record(): SubscriptionRecord {
    return {
      id: this.id,
      channelId: this.channel.log.id,
      clientId: '',
      inbox: '',
      ackInbox: '',
      queueGroup: this.name,
      durableName: '',
      isDurable: this.isDurable,
      isOnline: false,
      maxInFlight: 0,
      ackWaitSeconds: 0,
      lastSent: this.lastSent,
    };
  }
}

const SILENT_LOAD = 1e9;

/** A group that is not durable may have a name that looks like a durable one's: they are two. */
export function groupKey(name: string, isDurable: boolean): string {
  return `${isDurable ? 'durable' : 'plain'} ${name}`;
}
