// A NATS server within this process, for one connection: `InProcessNats`.

import { Duplex } from 'node:stream';
import type { ByteSink } from '../../link/dial-link.js';
import type { ServerInfo } from '../../link/server-info.js';

const MAX_PAYLOAD = 1024 * 1024;
const SPACE = 0x20;
const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
const P = 0x50;
const S = 0x53;
const U = 0x55;
const I = 0x49;

export const SERVER_INFO: ServerInfo = {
  serverId: 'in-process',
  serverName: 'in-process',
  version: '2.9.0',
  maxPayload: MAX_PAYLOAD,
  headers: true,
  tlsRequired: false,
  tlsAvailable: false,
  nonce: '',
  lameDuck: false,
  connectUrls: [],
  clientId: 1,
};

/** Gets what the broker publishes. The offsets are valid only during the call. */
export type OnPublished = (
  buffer: Buffer,
  subjectStart: number,
  subjectEnd: number,
  payloadStart: number,
  payloadEnd: number,
) => void;

/**
 * The other end of a link within this process. It knows the broker's subscriptions, answers its PINGs, and hands over what it publishes.
 * What clients send comes in by `feed`.
 */
export class InProcessNats extends Duplex {
  readonly #sink: ByteSink;
  readonly #defer: (callback: () => void) => void;
  readonly #onPublished: OnPublished;
  readonly #sids = new Map<string, number>();

  constructor(sink: ByteSink, defer: (callback: () => void) => void, onPublished: OnPublished) {
    super();
    this.#sink = sink;
    this.#defer = defer;
    this.#onPublished = onPublished;
  }

  /** The number of the broker's subscription to this subject; undefined if it has none. */
  sidOf(subject: string): number | undefined {
    return this.#sids.get(subject);
  }

  /** Brings bytes to the link, as reads from a socket would. */
  feed(bytes: Buffer, end = bytes.length): void {
    for (let at = 0; at < end && !this.destroyed; ) {
      const count = bytes.copy(this.#sink.free, 0, at, end);
      at += count;
      this.#sink.filled(count);
    }
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#take(chunk);
    // Also after the end of the rehearsal: memory that was lent to this write is given back then.
    setImmediate(done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    // A large payload is a chunk of its own.
    this.#take(Buffer.concat(chunks.map(({ chunk }) => chunk)));
    setImmediate(done);
  }

  /** The operations of one write. A broker begins none that it does not end. */
  #take(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const lineEnd = bytes.indexOf(LF, at);
      if (lineEnd < 0) return;
      const first = bytes[at];
      const second = bytes[at + 1];
      if (first === P && second === U) {
        at = this.#publication(bytes, at + 'PUB '.length, lineEnd);
        continue;
      }
      if (first === P && second === I) this.#defer(() => this.feed(PONG));
      else if (first === S) this.#subscribe(bytes.toString('latin1', at, lineEnd - 1).split(' '));
      at = lineEnd + 1;
    }
  }

  #subscribe(words: readonly string[]): void {
    const [, subject = '', sid] = words;
    this.#sids.set(subject, Number(sid));
  }

  /** @returns where the next operation begins */
  #publication(bytes: Buffer, subjectStart: number, lineEnd: number): number {
    const subjectEnd = bytes.indexOf(SPACE, subjectStart);
    let size = 0;
    for (let at = subjectEnd + 1; at < lineEnd && bytes[at] !== CR; at++) {
      // A reply subject, which a broker's messages to clients do not have.
      if (bytes[at] === SPACE) size = 0;
      else size = size * 10 + (bytes[at] ?? ZERO) - ZERO;
    }
    const payloadStart = lineEnd + 1;
    this.#onPublished(bytes, subjectStart, subjectEnd, payloadStart, payloadStart + size);
    return payloadStart + size + 2;
  }
}

const PONG = Buffer.from('PONG\r\n');
