/** Where a subscription's acks come, and what the subject of one says. */
export class AckInboxes {
  /** The subscription of the ack inbox that was read last. */
  id = 0;
  /** Which of the subscription's lives the ack inbox that was read last belongs to. */
  activation = 0;

  /** @param prefix the store's, with the dot at its end: acks come on one wildcard subscription, over restarts and takeovers */
  constructor(readonly prefix: string) {}

  /**
   * A durable that comes back has another ack inbox than before: a client that still holds the old one (a client that was replaced, or
   * the subscription that was replaced) has no say in the new life.
   */
  nameOf(id: number, activation: number): string {
    return activation === 0 ? `${this.prefix}${id}` : `${this.prefix}${id}-${activation}`;
  }

  /**
   * Reads the last token of a subject into `id` and `activation`.
   * @returns false if it names no ack inbox: any client that knows the prefix can send to it
   */
  read(buffer: Buffer, start: number, end: number): boolean {
    let value = 0;
    let unit = 1;
    let activation = -1;
    let pos = end - 1;
    for (; pos >= start && buffer[pos] !== DOT; pos--) {
      const byte = buffer[pos];
      if (byte === DASH) {
        if (activation >= 0 || unit === 1) return false;
        activation = value;
        value = 0;
        unit = 1;
        continue;
      }
      const digit = byte - ZERO;
      if (digit < 0 || digit > 9 || unit > MAX_UNIT) return false;
      value += digit * unit;
      unit *= 10;
    }
    if (pos < start || unit === 1) return false;
    this.id = value;
    this.activation = activation < 0 ? 0 : activation;
    return true;
  }
}

/** Which life of its subscription an ack inbox belongs to. */
export function activationOf(ackInbox: string): number {
  return Number(ACTIVATION.exec(ackInbox)?.[1] ?? 0);
}

const ACTIVATION = /\.\d+-(\d{1,10})$/;
const DOT = 0x2e;
const DASH = 0x2d;
const ZERO = 0x30;
/** Numbers have ten digits at most. */
const MAX_UNIT = 1e9;
