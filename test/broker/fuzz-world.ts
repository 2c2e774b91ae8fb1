import assert from 'node:assert/strict';
import { ackSubject } from '../../src/broker/served-subjects.js';
import type { BrokerLink } from '../../src/broker/state/broker-link.js';
import { OutBuffer } from '../../src/link/writer.js';
import { InMemoryBroker } from './in-memory.js';

export interface Sent {
  subject: string;
  payload: Buffer;
}

/** What a NATS server takes as a subject to publish to. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be in it
const SUBJECT = /^[^\x00-\x20\x7f.*>]+(\.[^\x00-\x20\x7f.*>]+)*$/;
const MAX_CONTROL_LINE = 4096;

/** A link that takes only what a NATS server would take: whole PUB lines, subjects without blanks, payloads within its limit. */
export class StrictLink implements BrokerLink {
  readonly isCongested = false;
  readonly sent: Sent[] = [];
  readonly #sids = new Map<string, number>();

  constructor(readonly maxPayload = 64 * 1024) {}

  subscribe(subject: string): number {
    this.#sids.set(subject, this.#sids.size + 1);
    return this.#sids.size;
  }

  unsubscribe(): void {}

  flush(): Promise<void> {
    return Promise.resolve();
  }

  takeBuffer(): OutBuffer {
    return new OutBuffer();
  }

  send(out: OutBuffer): void {
    const bytes = Buffer.from(out.buf.subarray(0, out.length));
    for (let at = 0; at < bytes.length; ) {
      const lineEnd = bytes.indexOf('\r\n', at);
      assert.ok(lineEnd > at && lineEnd - at <= MAX_CONTROL_LINE, 'a control line');
      const words = bytes.toString('utf8', at, lineEnd).split(' ');
      assert.equal(words.length, 3, `PUB, subject and size: ${words}`);
      const [verb, subject, size] = words as [string, string, string];
      assert.equal(verb, 'PUB');
      assert.match(subject, SUBJECT);
      assert.match(size, /^\d+$/);
      assert.ok(Number(size) <= this.maxPayload, `a payload of ${size} bytes costs the connection`);
      const end = lineEnd + 2 + Number(size);
      assert.equal(bytes.toString('latin1', end, end + 2), '\r\n', `the end of ${subject}'s payload`);
      this.sent.push({ subject, payload: bytes.subarray(lineEnd + 2, end) });
      at = end + 2;
    }
  }

  sidOf(subject: string): number {
    const sid = this.#sids.get(subject);
    assert.ok(sid !== undefined, subject);
    return sid;
  }
}

/** A broker on a strict link, which is handed bytes. */
export class FuzzedBroker {
  readonly link: StrictLink;
  readonly broker;
  readonly clock;
  readonly alive: Set<string>;
  /** Where acks go, whatever the subscription. */
  readonly ackSubject: string;
  #replies = 0;

  private constructor(base: InMemoryBroker, link: StrictLink) {
    this.link = link;
    this.broker = base.broker;
    this.clock = base.clock;
    this.alive = base.alive;
    this.ackSubject = ackSubject(base.broker.store.storeId);
  }

  static async start(
    options?: ConstructorParameters<typeof InMemoryBroker>[0],
    link = new StrictLink(),
  ): Promise<FuzzedBroker> {
    const base = new InMemoryBroker(options, undefined, (size) => Buffer.alloc(size));
    await base.broker.linkUp(link);
    return new FuzzedBroker(base, link);
  }

  /** @param subscribed what the broker subscribes to, `subject` what the message is published to */
  hand(subscribed: string, payload: Uint8Array, reply = '', subject = subscribed): void {
    const head = Buffer.from(subject + reply);
    const buffer = Buffer.concat([head, payload, Buffer.from('\r\nMSG behind 1 0\r\n')]);
    const subjectEnd = Buffer.byteLength(subject);
    const end = head.length + payload.length;
    const sid = this.link.sidOf(subscribed);
    this.broker.onMessage(sid, buffer, 0, subjectEnd, subjectEnd, head.length, head.length, end);
  }

  /** Ends the read, and lets the broker do what it has to. */
  async settle(): Promise<void> {
    this.broker.onBatchEnd();
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** @returns the answer, or undefined if there was none */
  async ask(subscribed: string, payload: Uint8Array): Promise<Buffer | undefined> {
    const reply = `_R.${++this.#replies}`;
    this.hand(subscribed, payload, reply);
    await this.settle();
    return this.link.sent.find(({ subject }) => subject === reply)?.payload;
  }
}
