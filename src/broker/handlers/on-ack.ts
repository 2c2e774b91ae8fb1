import { decodeAck, newAckView } from '../../protocol/ack.js';
import type { Delivery } from '../delivery/delivery.js';
import type { AckInboxes } from '../state/ack-inboxes.js';
import type { BadInput } from '../state/bad-input.js';
import type { Counters } from '../state/counters.js';
import type { EndedSubscriptions } from '../state/ended-subscriptions.js';
import type { QueueGroup } from '../state/queue-group.js';
import type { Subscription } from '../state/subscription.js';
import type { ProbeAnswerer } from './answer-probe.js';

/** What an ack needs. */
export interface AckNeeds {
  readonly ackInboxes: AckInboxes;
  /** All that are online, by id: acks come with it. */
  readonly subscriptions: ReadonlyMap<number, Subscription>;
  readonly ended: Pick<EndedSubscriptions, 'get'>;
  readonly delivery: Pick<Delivery, 'touch' | 'makeReady'>;
  readonly probes: Pick<ProbeAnswerer, 'answer'>;
  readonly counters: Pick<Counters, 'acks'>;
  readonly badInput: BadInput;
}

/** The ack of a delivered message. It comes on the ack inbox of its subscription, see `AckInboxes`. */
export class AckHandler {
  readonly #needs: AckNeeds;
  readonly #view = newAckView();
  #last: Subscription | undefined;

  constructor(needs: AckNeeds) {
    this.#needs = needs;
  }

  handle(
    buffer: Buffer,
    subjectStart: number,
    subjectEnd: number,
    replyStart: number,
    replyEnd: number,
    payloadStart: number,
    payloadEnd: number,
  ): void {
    const { ackInboxes } = this.#needs;
    if (!ackInboxes.read(buffer, subjectStart, subjectEnd)) {
      this.#needs.probes.answer(buffer, replyStart, replyEnd, payloadStart, payloadEnd);
      return;
    }
    const { id } = ackInboxes;
    // Acks come in runs.
    const sub =
      id === this.#last?.id && this.#last.isStarted
        ? this.#last
        : (this.#needs.subscriptions.get(id) ?? this.#needs.ended.get(id));
    this.#last = sub;
    // It is not known any more: last acks come late.
    if (sub === undefined) return;
    if (!ackInboxes.isOf(sub.ackToken)) {
      // It came back with another ack inbox, and an ack was late; or another client tries to find its name.
      const { clientId, channel } = sub;
      this.#needs.badInput.note('ack to a wrong ack inbox', () => ({ clientId, channel: channel.name }));
      return;
    }
    if (this.#decode(sub, buffer, payloadStart, payloadEnd)) this.#take(sub);
  }

  /** An ack on the ack inbox of this subscription, which came along with an import: only its client knows that name. */
  handleImported(sub: Subscription, buffer: Buffer, payloadStart: number, payloadEnd: number): void {
    if (this.#decode(sub, buffer, payloadStart, payloadEnd)) this.#take(sub);
  }

  #decode(sub: Subscription, buffer: Buffer, payloadStart: number, payloadEnd: number): boolean {
    if (decodeAck(buffer, payloadStart, payloadEnd, this.#view)) return true;
    const { clientId, channel } = sub;
    this.#needs.badInput.note('malformed Ack', () => ({ clientId, channel: channel.name }));
    return false;
  }

  /** Takes the ack that was decoded last. */
  #take(sub: Subscription): void {
    const { delivery } = this.#needs;
    this.#needs.counters.acks++;
    const sequence = this.#view.sequence;
    const wasStalled = sub.isStalled;
    if (sub.inFlight.remove(sequence)) {
      sub.progress.addAcked(sequence);
      if (!sub.progress.isNoted) delivery.touch(sub);
    } else if (sub.group !== undefined) {
      this.#ackElsewhere(sub.group, sub, sequence);
    }
    if (wasStalled && !sub.isStalled) delivery.makeReady(sub.group ?? sub);
  }

  /** The message has been given to another member meanwhile, or this one has left. It was processed, so it is done. */
  #ackElsewhere(group: QueueGroup, from: Subscription, sequence: number): void {
    // The group may have ended with the last that left it.
    if (group.channel.groups.get(group.key) !== group) return;
    const { delivery } = this.#needs;
    for (const member of group.members) {
      if (member === from) continue;
      const wasStalled = member.isStalled;
      if (!member.inFlight.remove(sequence)) continue;
      member.progress.addAcked(sequence);
      delivery.touch(member);
      if (wasStalled) delivery.makeReady(group);
      return;
    }
    if (group.orphans.remove(sequence)) {
      group.progress.addAcked(sequence);
      delivery.touch(group);
    }
  }
}
