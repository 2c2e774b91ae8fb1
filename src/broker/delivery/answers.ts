import type { OutBuffer } from '../../link/writer.js';
import type { Store } from '../../store/types/store.js';
import type { CommitGate } from './commit-gate.js';
import type { Turn } from './turn.js';

/** What answers need. */
export interface AnswersNeeds {
  readonly turn: Pick<Turn, 'out'>;
  readonly gate: Pick<CommitGate, 'hold' | 'answersBehind'>;
  readonly store: Pick<Store, 'gathering' | 'appended' | 'committed'>;
}

/** How requests are answered: each answer leaves when what it says is durable. An empty reply subject wants no answer. */
export class Answers {
  readonly #needs: AnswersNeeds;

  constructor(needs: AnswersNeeds) {
    this.#needs = needs;
  }

  /** Answers at once: for what is wrong whatever the broker knows, and for what is durable. */
  now(reply: Buffer, payload: Uint8Array): void {
    if (reply.length > 0) write(this.#needs.turn.out, reply, payload);
  }

  /** Answers when what was appended for it is durable. */
  afterCommit(reply: Buffer, payload: Uint8Array): void {
    const { gate, store } = this.#needs;
    if (reply.length > 0) write(gate.hold(store.gathering).answers, reply, payload);
  }

  /**
   * Refuses for what the broker knows, when that is durable. Otherwise a broker that is about to lose its lease would say what its
   * successor does not know, such as that a subscription is closed already.
   */
  refuse(reply: Buffer, payload: Uint8Array): void {
    if (reply.length > 0) write(this.behindAppended, reply, payload);
  }

  /** Where to write what may not be said before all that is appended is durable. Undefined without a link. */
  get behindAppended(): OutBuffer | undefined {
    const { store, gate, turn } = this.#needs;
    return store.appended > store.committed ? gate.answersBehind(store.appended) : turn.out;
  }
}

function write(out: OutBuffer | undefined, reply: Buffer, payload: Uint8Array): void {
  if (out === undefined) return;
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  out.pub(reply, 0, reply.length, bytes.length);
  out.bytes(bytes, 0, bytes.length);
  out.crlf();
}
