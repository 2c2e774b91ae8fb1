import { assert } from '../../util/assert.js';
import type { BrokerLink } from './broker-link.js';
import type { Subscription } from './subscription.js';

/**
 * The ack inboxes of subscriptions that came along with an import, as the old server named them for their clients. Each has a subscription of its own at NATS, until the one of its client
 * ends. A durable that comes back gets an ack inbox of this store, on which acks come without that: see `AckInboxes`.
 */
export class ImportedAckInboxes {
  /** By subject. */
  readonly #all = new Map<string, Subscription>();
  /** On the present link, by number. */
  readonly #bySid = new Map<number, Subscription>();
  /** On the newest link. */
  readonly #sids = new Map<Subscription, number>();
  #link: BrokerLink | undefined;

  /** How many there are. */
  get size(): number {
    return this.#all.size;
  }

  /** The numbers of their subscriptions on the newest link, also after its end. */
  get sids(): Iterable<number> {
    return this.#sids.values();
  }

  /** @param subject an ack inbox */
  has(subject: string): boolean {
    return this.#all.has(subject);
  }

  /** The subscription whose acks come under this number of the link. */
  get(sid: number): Subscription | undefined {
    return this.#bySid.get(sid);
  }

  /** Found in the store, before there is a link. */
  add(sub: Subscription): void {
    assert(this.#link === undefined, 'imported subscriptions are known before the first link');
    this.#all.set(sub.ackInbox, sub);
  }

  /** It ends, with its present ack inbox. Any subscription may be given. */
  remove(sub: Subscription): void {
    if (this.#all.get(sub.ackInbox) !== sub) return;
    this.#all.delete(sub.ackInbox);
    const sid = this.#sids.get(sub);
    if (sid === undefined) return;
    this.#sids.delete(sub);
    this.#bySid.delete(sid);
    this.#link?.unsubscribe(sid);
  }

  linkUp(link: BrokerLink): void {
    this.linkDown();
    this.#sids.clear();
    this.#link = link;
    for (const [subject, sub] of this.#all) {
      const sid = link.subscribe(subject);
      this.#bySid.set(sid, sub);
      this.#sids.set(sub, sid);
    }
  }

  /** Its numbers mean nothing any more. */
  linkDown(): void {
    this.#link = undefined;
    this.#bySid.clear();
  }
}
