import { encodePing } from '../../protocol/messages.js';
import type { StanSubjects } from '../../protocol/stan-subjects.js';

/** Where a probe goes, and on which of the broker's subscriptions it has to come in. */
export interface ProbedSubject {
  /** As the broker subscribes to it. */
  readonly subscribed: string;
  readonly publishTo: string;
  readonly payload: Buffer;
}

/** Tag of a field that no message of the protocol can begin with: a program that does not know it takes the message for malformed. */
const NO_FIELD = 0x07;
const NONCE_BYTES = 16;

/**
 * A message that a broker sends to itself through NATS, on each subject that clients use, to see whether clients are heard. Only the
 * broker that made it answers: it echoes the payload. On the subject of pings it is a Ping of a client that no broker knows, since every
 * streaming server answers that one: an answer that is no echo comes from another server.
 */
export class Probe {
  /** For this probe alone: part of the subjects that answers come to. */
  readonly name: string;
  /** Gets where the answer to a probe that has come in goes. */
  onHeard: ((reply: string) => void) | undefined;
  readonly #payload: Buffer;
  readonly #ping: Buffer;

  /** @param randomBytes as node:crypto has it */
  constructor(randomBytes: (byteCount: number) => Buffer) {
    const nonce = randomBytes(NONCE_BYTES);
    this.name = nonce.toString('hex');
    this.#payload = Buffer.concat([Buffer.from([NO_FIELD]), nonce]);
    this.#ping = Buffer.from(encodePing({ connId: nonce }));
  }

  /** @param ackSubject of the store, as `ackSubject` has it */
  subjects(subjects: StanSubjects, ackSubject: string): ProbedSubject[] {
    const payload = this.#payload;
    const below = (wildcard: string): ProbedSubject => ({
      subscribed: wildcard,
      publishTo: wildcard.replace(/[*>]$/, `probe-${this.name}`),
      payload,
    });
    const { discover, pings, publish, subscribe, subscriptionClose, unsubscribe, close } = subjects;
    return [
      { subscribed: pings, publishTo: pings, payload: this.#ping },
      below(`${publish}.>`),
      below(ackSubject),
      ...[discover, subscribe, subscriptionClose, unsubscribe, close].map((subject) => ({
        subscribed: subject,
        publishTo: subject,
        payload,
      })),
    ];
  }

  /** Whether it is this probe that came in, or came back. */
  isIn(buffer: Buffer, start: number, end: number): boolean {
    return isEqual(this.#payload, buffer, start, end) || isEqual(this.#ping, buffer, start, end);
  }
}

function isEqual(expected: Buffer, buffer: Buffer, start: number, end: number): boolean {
  return end - start === expected.length && expected.compare(buffer, start, end) === 0;
}

/** Whether it is the probe of any broker: a former one's may still be under way. Not on the subject of pings. */
export function looksLikeProbe(buffer: Buffer, start: number, end: number): boolean {
  return end - start === NONCE_BYTES + 1 && buffer[start] === NO_FIELD;
}
