import { looksLikeProbe, type Probe } from '../check/probe.js';
import type { Turn } from '../delivery/turn.js';

/** What the answering of probes needs. */
export interface ProbeNeeds {
  readonly turn: Pick<Turn, 'out'>;
  /** The broker's own, if it is to answer one: see `SelfCheck`. */
  readonly probe: Probe | undefined;
}

/** Finds probes among what is malformed, so that the paths of clients' messages do not look for them. */
export class ProbeAnswerer {
  readonly #needs: ProbeNeeds;

  constructor(needs: ProbeNeeds) {
    this.#needs = needs;
  }

  /**
   * Answers the probe if it is this broker's own.
   *
   * @returns whether it was a probe, and no client's message
   */
  answer(
    buffer: Buffer,
    replyStart: number,
    replyEnd: number,
    payloadStart: number,
    payloadEnd: number,
  ): boolean {
    const { probe, turn } = this.#needs;
    if (probe?.isIn(buffer, payloadStart, payloadEnd) !== true) {
      return looksLikeProbe(buffer, payloadStart, payloadEnd);
    }
    probe.onHeard?.(buffer.toString('latin1', replyStart, replyEnd));
    const { out } = turn;
    if (out !== undefined && replyStart < replyEnd) {
      out.pub(buffer, replyStart, replyEnd, payloadEnd - payloadStart);
      out.bytes(buffer, payloadStart, payloadEnd);
      out.crlf();
    }
    return true;
  }
}
