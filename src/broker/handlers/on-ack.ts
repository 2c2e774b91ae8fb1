import { decodeAck, newAckView } from '../../protocol/ack.js';
import type { QueueGroup } from '../state/queue-group.js';
import type { Subscription } from '../state/subscription.js';
import { answerProbe } from './answer-probe.js';
import type { BrokerContext } from './context.js';

/** The ack of a delivered message. It comes on the ack inbox of its subscription, see `AckInboxes`. */
export class AckHandler {
  readonly #context: BrokerContext;
  readonly #view = newAckView();
  #last: Subscription | undefined;

  constructor(context: BrokerContext) {
    this.#context = context;
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
    const context = this.#context;
    const { ackInboxes } = context;
    if (!ackInboxes.read(buffer, subjectStart, subjectEnd)) {
      answerProbe(context, buffer, replyStart, replyEnd, payloadStart, payloadEnd);
      return;
    }
    const { id } = ackInboxes;
    // Acks come in runs.
    const sub =
      id === this.#last?.id && this.#last.isStarted
        ? this.#last
        : (context.subscriptions.get(id) ?? context.ended.get(id));
    this.#last = sub;
    // It is not known any more, or came back with another ack inbox: last acks come late.
    if (sub === undefined || sub.activation !== ackInboxes.activation) return;
    if (!decodeAck(buffer, payloadStart, payloadEnd, this.#view)) {
      context.badInput.note('malformed Ack', () => ({ clientId: sub.clientId, channel: sub.channel.name }));
      return;
    }
    context.counters.acks++;
    const sequence = this.#view.sequence;
    const wasStalled = sub.isStalled;
    if (sub.inFlight.remove(sequence)) {
      sub.progress.addAcked(sequence);
      if (!sub.progress.isNoted) context.delivery.touch(sub);
    } else if (sub.group !== undefined) {
      this.#ackElsewhere(sub.group, sub, sequence);
    }
    if (wasStalled && !sub.isStalled) context.delivery.makeReady(sub.group ?? sub);
  }

  /** The message has been given to another member meanwhile, or this one has left: whoever processed it, it is done. */
  #ackElsewhere(group: QueueGroup, from: Subscription, sequence: number): void {
    // The group may have ended with the last that left it.
    if (group.channel.groups.get(group.key) !== group) return;
    const { delivery } = this.#context;
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
