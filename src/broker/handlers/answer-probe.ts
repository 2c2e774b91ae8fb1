import { looksLikeProbe } from '../check/probe.js';
import type { BrokerContext } from './context.js';

/**
 * What came in is a probe, and not a client's: answered if it is this broker's own. For what is malformed anyway, so that the paths of
 * clients' messages do not look for it.
 *
 * @returns whether it was one
 */
export function answerProbe(
  { probe, turn: { out } }: BrokerContext,
  buffer: Buffer,
  replyStart: number,
  replyEnd: number,
  payloadStart: number,
  payloadEnd: number,
): boolean {
  if (probe?.isIn(buffer, payloadStart, payloadEnd) !== true) {
    return looksLikeProbe(buffer, payloadStart, payloadEnd);
  }
  if (out !== undefined && replyStart < replyEnd) {
    out.pub(buffer, replyStart, replyEnd, payloadEnd - payloadStart);
    out.bytes(buffer, payloadStart, payloadEnd);
    out.crlf();
  }
  return true;
}
