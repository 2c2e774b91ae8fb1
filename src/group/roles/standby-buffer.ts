import type { Clock } from '../../clock/clock.js';
import { DROP_ALL, type LinkHandler } from '../../link/link-handler.js';
import { copyBytes } from '../../util/copy-bytes.js';
import type { TransportLink } from '../talk/nats-transport.js';

/** A message: where its parts lie in `slab`, one behind the other. */
interface Kept {
  sid: number;
  slab: Buffer;
  start: number;
  replyStart: number;
  payloadStart: number;
  end: number;
  atMs: number;
}

/** Older messages are useless: their senders have sent them again, or given up. */
const MAX_AGE_MS = 10_000;
const MAX_BYTES = 32 * 1024 * 1024;
/** Messages share pieces of memory: one for each would cost more time than all else, at the moment at which time is short. */
const SLAB_BYTES = 256 * 1024;

/**
 * The standby buffer: a standby that may be next subscribes to what clients send before the takeover, and keeps it. Its broker then
 * begins with what was sent while there was no active. Publishes that its predecessor has stored are recognized by their guid; an
 * acknowledgement can be handled twice.
 */
export class StandbyBuffer implements LinkHandler {
  /** Subscription ids by subject, for the broker to take over. */
  readonly sids: ReadonlyMap<string, number>;
  /** Resolves when the NATS server has the subscriptions. Rejects if the link goes down. */
  readonly begun: Promise<void>;
  readonly link: TransportLink;
  readonly #clock: Clock;
  readonly #kept: Kept[] = [];
  #first = 0;
  #bytes = 0;
  #slab: Buffer = NO_BYTES;
  #used = 0;

  constructor(link: TransportLink, subjects: readonly string[], clock: Clock) {
    this.link = link;
    this.#clock = clock;
    link.handOverTo(this);
    this.sids = new Map(subjects.map((subject) => [subject, link.subscribe(subject)]));
    this.begun = link.flush();
    this.begun.catch(() => {});
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
    const byteCount = subjectEnd - subjectStart + (replyEnd - replyStart) + (payloadEnd - payloadStart);
    if (this.#used + byteCount > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, byteCount));
      this.#used = 0;
    }
    const slab = this.#slab;
    const start = this.#used;
    const subjectCopied = copyBytes(slab, start, buffer, subjectStart, subjectEnd);
    const replyCopied = copyBytes(slab, subjectCopied, buffer, replyStart, replyEnd);
    const end = copyBytes(slab, replyCopied, buffer, payloadStart, payloadEnd);
    this.#used = end;
    this.#bytes += byteCount;
    const atMs = this.#clock.monotonicMs();
    this.#kept.push({ sid, slab, start, replyStart: subjectCopied, payloadStart: replyCopied, end, atMs });
    this.#forgetOld();
  }

  onBatchEnd(): void {}

  /** Hands over the kept messages in order, and keeps none. */
  replay(to: LinkHandler): number {
    this.#forgetOld();
    const kept = this.#kept.splice(0).slice(this.#first);
    this.#first = this.#bytes = 0;
    this.#slab = NO_BYTES;
    for (const { sid, slab, start, replyStart, payloadStart, end } of kept) {
      to.onMessage(sid, slab, start, replyStart, replyStart, payloadStart, payloadStart, end);
    }
    if (kept.length > 0) to.onBatchEnd();
    return kept.length;
  }

  /** Drops the kept messages and the subscriptions, which are not needed. */
  end(): void {
    this.link.handOverTo(DROP_ALL);
    for (const sid of this.sids.values()) this.link.unsubscribe(sid);
    this.#kept.length = this.#first = this.#bytes = 0;
    this.#slab = NO_BYTES;
  }

  #forgetOld(): void {
    const before = this.#clock.monotonicMs() - MAX_AGE_MS;
    while (this.#first < this.#kept.length) {
      const oldest = this.#kept[this.#first];
      if (oldest.atMs >= before && this.#bytes <= MAX_BYTES) break;
      this.#bytes -= oldest.end - oldest.start;
      // Its place is given up later, its memory now: a message may be as large as NATS takes.
      oldest.slab = NO_BYTES;
      this.#first++;
    }
    if (this.#first > 1024 && this.#first * 2 > this.#kept.length) {
      this.#kept.splice(0, this.#first);
      this.#first = 0;
    }
  }
}

const NO_BYTES = Buffer.alloc(0);
