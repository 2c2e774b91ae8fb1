import type { TimerWheel } from '../../clock/timer-wheel.js';
import type { Subscription } from './subscription.js';

/**
 * How long the messages of a member that has left its queue group wait for its acks before they go to others. The Go server
 * waits as long.
 */
export const LEAVE_GRACE_MS = 100;

/**
 * Subscriptions that have ended, by id, and whose acks still count: a client that acknowledges in one thread and closes in
 * another sends acks behind its close.
 *
 * A durable is kept until it comes back: NATS keeps the order of each client, so what it acknowledged before it asked for
 * its durable again is heard before that. The other members of a queue group would get the messages of one that has left at
 * any moment: these wait for a while, and the member is kept as long.
 */
export class EndedSubscriptions {
  readonly #byId = new Map<number, Subscription>();
  readonly #wheel: TimerWheel;

  constructor(wheel: TimerWheel) {
    this.#wheel = wheel;
  }

  all(): IterableIterator<Subscription> {
    return this.#byId.values();
  }

  get(id: number): Subscription | undefined {
    return this.#byId.get(id);
  }

  /** A durable is offline. To be removed when it comes back or is deleted. */
  addDurable(durable: Subscription): void {
    this.#byId.set(durable.id, durable);
  }

  /** A member has left its queue group. Its timer says when to remove it. */
  addMember(member: Subscription): void {
    this.#byId.set(member.id, member);
    this.#wheel.arm(member, LEAVE_GRACE_MS);
  }

  remove(sub: Subscription): void {
    this.#byId.delete(sub.id);
  }
}
