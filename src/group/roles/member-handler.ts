import type { TransportHandler, TransportLink } from '../talk/nats-transport.js';
import type { Member } from './member.js';

/** Hands on what the NATS transport brings: to the broker, to the standby buffer, or to the member. */
export class MemberHandler implements TransportHandler {
  readonly #member: Member;

  constructor(member: Member) {
    this.#member = member;
  }

  onMessage(
    sid: number,
    buffer: Buffer,
    subjectStart: number,
    subjectEnd: number,
    replyStart: number,
    replyEnd: number,
    payloadStart: number,
    payloadEnd: number,
  ): void {
    const { listener, broker } = this.#member;
    if (listener !== undefined) {
      listener.keep(sid, buffer, subjectStart, subjectEnd, replyStart, replyEnd, payloadStart, payloadEnd);
    } else {
      broker?.onMessage(
        sid,
        buffer,
        subjectStart,
        subjectEnd,
        replyStart,
        replyEnd,
        payloadStart,
        payloadEnd,
      );
    }
  }

  onBatchEnd(): void {
    if (this.#member.listener === undefined) this.#member.broker?.onBatchEnd();
  }

  onLinkUp(link: TransportLink): void {
    this.#member.linkUp(link);
  }

  onLinkDown(reason: string): void {
    this.#member.linkDown(reason);
  }

  onDrain(): void {
    this.#member.broker?.linkDrained();
  }

  onGroupMessage(payload: Uint8Array): void {
    this.#member.said(payload);
  }
}
