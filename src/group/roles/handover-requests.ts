import type { GroupTalk } from '../talk/group-talk.js';
import { decodeHandoverRequest } from '../talk/handover-request.js';

/** The member that is asked. */
interface Asked {
  readonly role: string;
  readonly epoch: number;
  /** @returns why not, if it cannot */
  handOver(): string | undefined;
}

/** The answer to a request to hand over, as JSON. */
export type HandoverAnswer =
  | { readonly ok: true; readonly epoch: number }
  | { readonly ok: false; readonly error: string };

const UNPROVED =
  'the request does not prove that it comes from who may read the store: give the folder of the store (--dir), or its key file (--group-key)';

/** Answers requests to hand over. Any connection to NATS may send one; only one sealed by the group's key is followed. */
export class HandoverRequests {
  readonly #talk: GroupTalk;
  readonly #subject: string;
  readonly #holder: string;
  readonly #member: Asked;
  /** The largest number that was followed, and the epoch of its term: the next term counts anew, since clocks that requests are numbered by differ. */
  #last = { epoch: 0, number: 0 };

  /** @param holder the name of the member. @param subject of the requests */
  constructor(talk: GroupTalk, subject: string, holder: string, member: Asked) {
    this.#talk = talk;
    this.#subject = subject;
    this.#holder = holder;
    this.#member = member;
  }

  /** @returns undefined if another member has to answer */
  answer(payload: Uint8Array): Uint8Array | undefined {
    const member = this.#member;
    if (member.role !== 'active') return undefined;
    const { epoch } = member;
    const problem = this.#whyNot(payload, epoch) ?? member.handOver();
    const answer: HandoverAnswer =
      problem === undefined ? { ok: true, epoch } : { ok: false, error: problem };
    return this.#talk.answer(this.#subject, payload, JSON.stringify(answer));
  }

  #whyNot(payload: Uint8Array, epoch: number): string | undefined {
    const { key, ignored } = this.#talk;
    if (key === undefined) return undefined;
    const request = decodeHandoverRequest(key, this.#subject, payload);
    if (request === undefined) {
      ignored.note('unproved');
      return UNPROVED;
    }
    const least = this.#last.epoch === epoch ? this.#last.number : 0;
    if (request.member !== this.#holder || request.epoch !== epoch || request.number <= least) {
      ignored.note('repeated');
      return `the request is for ${request.member} in epoch ${request.epoch}, or was made before: ask for the status, and then again`;
    }
    this.#last = { epoch, number: request.number };
    return undefined;
  }
}
