import type { OutBuffer } from '../../link/writer.js';
import { encodePubAckOk, pubAckOkSize } from '../../protocol/puback.js';
import { isForeign } from './foreign-subject.js';

const CR = 0x0d;
const LF = 0x0a;
const PUB = 'PUB ';
const EMPTY = Buffer.alloc(0);

/**
 * The protocol line of a client's PubAcks up to the guid. A client has one reply subject for all its acks and guids of one
 * length, so all of it but the guid is the same from message to message: one copy instead of five small writes.
 */
export class AckLine {
  /** `PUB reply size\r\n`, and tag and length of the guid. */
  #prefix = EMPTY;
  #replyLength = -1;
  #guidLength = -1;

  /** Writes the ack for the guid in `source[guidStart, guidEnd)` to the reply subject in the same buffer. */
  write(
    out: OutBuffer,
    source: Buffer,
    replyStart: number,
    replyEnd: number,
    guidStart: number,
    guidEnd: number,
  ): void {
    const guidLength = guidEnd - guidStart;
    if (guidLength !== this.#guidLength || !this.#isReply(source, replyStart, replyEnd)) {
      this.#make(source, replyStart, replyEnd, guidStart, guidEnd);
    }
    const prefix = this.#prefix;
    if (prefix.length === 0) return;
    out.reserve(prefix.length + guidLength + 2);
    const { buf } = out;
    let at = out.length;
    buf.set(prefix, at);
    at += prefix.length;
    for (let i = guidStart; i < guidEnd; i++) buf[at++] = source[i];
    buf[at] = CR;
    buf[at + 1] = LF;
    out.length = at + 2;
  }

  #isReply(source: Buffer, start: number, end: number): boolean {
    if (end - start !== this.#replyLength) return false;
    const prefix = this.#prefix;
    for (let i = end - 1, at = PUB.length + this.#replyLength - 1; i >= start; i--, at--) {
      if (source[i] !== prefix[at]) return false;
    }
    return true;
  }

  /** The prefix stays empty for a subject that gets no answer: each message makes it anew, and nothing is sent. */
  #make(source: Buffer, replyStart: number, replyEnd: number, guidStart: number, guidEnd: number): void {
    this.#guidLength = this.#replyLength = -1;
    this.#prefix = EMPTY;
    if (isForeign(source, replyStart, replyEnd)) return;
    const size = pubAckOkSize(guidStart, guidEnd);
    const ack = Buffer.alloc(size);
    encodePubAckOk(ack, 0, source, guidStart, guidEnd);
    const line = `${PUB}${source.toString('latin1', replyStart, replyEnd)} ${size}\r\n`;
    this.#guidLength = guidEnd - guidStart;
    this.#replyLength = replyEnd - replyStart;
    this.#prefix = Buffer.concat([Buffer.from(line, 'latin1'), ack.subarray(0, size - this.#guidLength)]);
  }
}
