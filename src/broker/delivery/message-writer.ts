import type { Logger } from '../../log/logger.js';
import { appendRedelivered, redeliveredSize } from '../../protocol/msgproto.js';
import type { MessageRef } from '../../store/types/store.js';
import { assert } from '../../util/assert.js';
import type { Counters } from '../state/counters.js';
import type { Subscription } from '../state/subscription.js';
import type { Turn } from './turn.js';

/**
 * Buffered output is handed to the link before it gets larger than this, not only at the end of the turn: so much is still in the
 * processor's cache when the system copies it, and buffers of one size are used again as they are.
 */
const SEND_BYTES = 256 * 1024;
/**
 * A message from this size on is sent from where the store has it: its copy would need a buffer of its own. Below, a copy within the
 * processor's cache costs no more than the further pieces of a `writev` (measured: 9.9 us both at 64 KiB, 0.20 and 0.32 us at 1 KiB).
 */
const SHARED_FROM_BYTES = 128 * 1024;
/** What a protocol line has beside the inbox and the message, at most. */
const LINE_BYTES = 16;
/** A message too large to be delivered is logged once in this time: it comes round with every ack wait. */
const TOO_LARGE_QUIET_MS = 60_000;

/** What the writing of messages needs. */
export interface MessageWriterNeeds {
  readonly turn: Pick<Turn, 'link' | 'out' | 'send' | 'nowMs'>;
  readonly counters: Pick<Counters, 'messagesOut' | 'bytesOut' | 'redeliveries'>;
  readonly log: Logger;
}

/** Writes messages into the turn's output. Stored bytes are wire bytes: it copies them behind the line with the inbox. */
export class MessageWriter {
  readonly #needs: MessageWriterNeeds;
  #tooLargeQuietUntilMs = 0;

  constructor(needs: MessageWriterNeeds) {
    this.#needs = needs;
  }

  /** @param redeliveries how often it has been delivered again, with this time; 0 for a first delivery */
  write(sub: Subscription, sequence: number, { buffer, start, end }: MessageRef, redeliveries: number): void {
    assert(sequence <= sub.channel.visible, 'a message goes out when it is durable');
    const { turn, counters } = this.#needs;
    const { link } = turn;
    assert(link !== undefined && turn.out !== undefined, 'messages go out while there is a link');
    const size = end - start + (redeliveries > 0 ? redeliveredSize(redeliveries) : 0);
    if (size > link.maxPayload) {
      // It would cost the connection. It stays in flight, so that it blocks nothing and is not lost.
      this.#tooLarge(sub, sequence, size, link.maxPayload);
      return;
    }
    const isShared = size >= SHARED_FROM_BYTES;
    const copiedBytes = isShared ? 0 : size;
    if (turn.out.length + sub.deliverTo.length + copiedBytes + LINE_BYTES > SEND_BYTES) turn.send();
    const { out } = turn;
    out.pubTo(sub.deliverTo, size, copiedBytes);
    if (isShared) out.share(buffer, start, end);
    else out.bytes(buffer, start, end);
    if (redeliveries > 0) {
      out.reserve(redeliveredSize(redeliveries));
      out.length = appendRedelivered(out.buf, out.length, redeliveries);
      counters.redeliveries++;
    }
    out.crlf();
    counters.messagesOut++;
    counters.bytesOut += size;
    // Before anything else is done with the store's memory.
    if (isShared) turn.send();
  }

  #tooLarge({ channel }: Subscription, sequence: number, bytes: number, maxPayload: number): void {
    const { turn, log } = this.#needs;
    if (turn.nowMs < this.#tooLargeQuietUntilMs) return;
    this.#tooLargeQuietUntilMs = turn.nowMs + TOO_LARGE_QUIET_MS;
    log.error(
      { channel: channel.name, sequence, bytes, maxPayload },
      'a stored message is larger than the NATS server now allows: raise its max_payload to have it delivered',
    );
  }
}
