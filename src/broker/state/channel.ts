import type { ChannelLimits } from '../../config/channel-limits.js';
import type { ChannelLog } from '../../store/types/store.js';
import type { QueueGroup } from './queue-group.js';
import { GateSlot, WaitSlot } from './slots.js';
import type { Subscription } from './subscription.js';

/** A channel: its log and its subscriptions. */
export class Channel {
  /** Regular subscriptions, and durables that are online. */
  readonly subscriptions: Subscription[] = [];
  /** Durables, online or not, by `durableKey`. */
  readonly durables = new Map<string, Subscription>();
  readonly groups = new Map<string, QueueGroup>();
  readonly #byAckInbox = new Map<string, Subscription>();
  readonly #byInbox = new Map<string, Subscription>();
  /** Online since before this broker, and in none of the two yet. In the order in which they were made. */
  #unlisted: Subscription[] = [];

  /** Sequence up to which messages are durable and may be shown. */
  visible: number;
  readonly gate = new GateSlot();
  readonly wait: WaitSlot;

  constructor(
    readonly log: ChannelLog,
    readonly limits: ChannelLimits,
  ) {
    this.visible = log.lastSequence;
    this.wait = new WaitSlot(log.lastSequence);
  }

  /** All that are online. */
  get byAckInbox(): Map<string, Subscription> {
    this.#list();
    return this.#byAckInbox;
  }

  /** All that are online. Inboxes are chosen by clients: of those that share one, the newest. */
  get byInbox(): Map<string, Subscription> {
    this.#list();
    return this.#byInbox;
  }

  /** Adds one that is online to the two maps when they are needed next: entering 100,000 takes longer than the rest of a takeover. */
  listLater(sub: Subscription): void {
    this.#unlisted.push(sub);
  }

  #list(): void {
    if (this.#unlisted.length === 0) return;
    for (const sub of this.#unlisted) {
      this.#byInbox.set(sub.inbox, sub);
      this.#byAckInbox.set(sub.ackInbox, sub);
    }
    this.#unlisted = [];
  }

  get name(): string {
    return this.log.name;
  }

  /** What `maxSubscriptions` counts: everything that is kept, online or not; an offline durable group is one. */
  get subscriptionCount(): number {
    let count = this.subscriptions.length;
    for (const durable of this.durables.values()) if (!durable.isOnline) count++;
    for (const group of this.groups.values()) count += Math.max(1, group.members.length);
    return count;
  }

  get hasActiveSubscriptions(): boolean {
    if (this.subscriptions.length > 0) return true;
    for (const group of this.groups.values()) if (group.members.length > 0) return true;
    return false;
  }
}

/** A durable belongs to its client: two clients may use the same durable name. */
export function durableKey(clientId: string, durableName: string): string {
  // A client id has no space: the key is unambiguous.
  return `${clientId} ${durableName}`;
}
