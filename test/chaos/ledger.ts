import type { Story } from './chaos-log.js';

/** One publish. Times are of this process, which is on the same machine as all brokers. */
export interface Sent {
  readonly id: string;
  readonly channel: string;
  readonly sentMs: number;
  ackedMs: number | undefined;
  /** The text of the refusal, or of the client that gave up. */
  error: string | undefined;
}

/** A message as a subscriber was shown it. */
export interface Shown {
  readonly sequence: number;
  readonly data: string;
  /** Milliseconds since 1970; node-nats-streaming cuts off what is behind the point. */
  readonly timestampMs: number;
}

/** Of one kind. */
const MAX_TOLD = 5;
/** Time at a broker has its digits from the monotonic clock, and may be so far from the wall clock. */
const CLOCK_MS = 20;
export const END = 'the end';

/** What was sent, acknowledged and shown: all that clients can hold the group to. */
export class Ledger {
  readonly sent = new Map<string, Sent>();
  readonly refusals: Record<string, number> = {};
  readonly #channels = new Map<string, Map<number, Shown>>();
  readonly #story: Story;
  readonly #told: Record<string, number> = {};

  constructor(story: Story) {
    this.#story = story;
  }

  get acked(): number {
    let count = 0;
    for (const { ackedMs } of this.sent.values()) if (ackedMs !== undefined) count++;
    return count;
  }

  send(id: string, channel: string): Sent {
    const sent: Sent = { id, channel, sentMs: wallMs(), ackedMs: undefined, error: undefined };
    this.sent.set(id, sent);
    return sent;
  }

  ack(sent: Sent): void {
    sent.ackedMs ??= wallMs();
  }

  refuse(sent: Sent, error: Error | string): void {
    const text = (error instanceof Error ? error.message : error).slice(0, 80);
    sent.error = text;
    this.refusals[text] = (this.refusals[text] ?? 0) + 1;
  }

  /** A sequence means one message, to everybody and for ever. */
  see(channel: string, shown: Shown, who: string): void {
    let messages = this.#channels.get(channel);
    if (messages === undefined) {
      messages = new Map();
      this.#channels.set(channel, messages);
    }
    const known = messages.get(shown.sequence);
    if (known === undefined) {
      messages.set(shown.sequence, shown);
      this.#checkContent(channel, shown, who);
    } else if (known.data !== shown.data || Math.abs(known.timestampMs - shown.timestampMs) > 1)
      this.#violate(
        'two messages',
        `sequence ${shown.sequence} of ${channel} is ${brief(known)} and, to ${who}, ${brief(shown)}`,
      );
  }

  /** How many messages the channel has. */
  count(channel: string): number {
    return this.#channels.get(channel)?.size ?? 0;
  }

  /** @param stored what a subscriber that reads everything was given, per channel */
  check(stored: ReadonlyMap<string, readonly Shown[]>): void {
    for (const [channel, messages] of stored) {
      this.#checkSequences(channel, messages);
      this.#checkOrder(channel, messages);
    }
    this.#checkAcked(stored);
  }

  #checkContent(channel: string, { sequence, data }: Shown, who: string): void {
    if (data === END) return;
    const sent = this.sent.get(idOf(data));
    if (sent === undefined || sent.channel !== channel || data !== payloadOf(sent.id))
      this.#violate(
        "nobody's",
        `${who} was shown as ${sequence} of ${channel} what nobody has sent: ${data.slice(0, 80)}`,
      );
  }

  #checkSequences(channel: string, messages: readonly Shown[]): void {
    const shown = this.#channels.get(channel) ?? new Map<number, Shown>();
    for (const [i, message] of messages.entries()) {
      if (message.sequence !== i + 1) {
        this.#violate('holes', `${channel} has sequence ${message.sequence} where ${i + 1} should be`);
        return;
      }
      const before = messages[i - 1];
      if (before !== undefined && message.timestampMs < before.timestampMs)
        this.#violate(
          'time goes back',
          `in ${channel} time goes back from ${brief(before)} to ${brief(message)}`,
        );
    }
    for (const message of shown.values())
      if (message.sequence > messages.length)
        this.#violate('shown and not stored', `${channel} lacks ${brief(message)}, which was shown`);
  }

  /** What is sent after another message's ack is stored behind it, whoever sends. */
  #checkOrder(channel: string, messages: readonly Shown[]): void {
    let latest: Sent | undefined;
    for (const message of messages) {
      const sent = this.sent.get(idOf(message.data));
      if (sent === undefined) continue;
      if (latest !== undefined && sent.ackedMs !== undefined && latest.sentMs > sent.ackedMs)
        this.#violate(
          'order',
          `${channel} has ${latest.id} before ${sent.id}, whose ack came before that was sent`,
        );
      if (latest === undefined || sent.sentMs > latest.sentMs) latest = sent;
    }
  }

  #checkAcked(stored: ReadonlyMap<string, readonly Shown[]>): void {
    const places = new Map<string, Shown>();
    for (const [channel, messages] of stored) {
      for (const message of messages) {
        const id = idOf(message.data);
        const other = places.get(id);
        if (other !== undefined && message.data !== END)
          this.#violate(
            'stored twice',
            `${id} is stored twice in ${channel}: ${other.sequence} and ${message.sequence}`,
          );
        places.set(id, message);
      }
    }
    for (const { id, channel, ackedMs } of this.sent.values()) {
      if (ackedMs === undefined) continue;
      const place = places.get(id);
      if (place === undefined) this.#violate('lost', `LOST: ${id} of ${channel}, acknowledged`);
      // Its ack is of a broker that had not stored it for good: another one has stored it since.
      else if (place.timestampMs > ackedMs + CLOCK_MS)
        this.#violate(
          'acked too early',
          `${id} of ${channel} was stored ${place.timestampMs - ackedMs} ms after it was acknowledged`,
        );
    }
  }

  #violate(kind: string, text: string): void {
    const told = (this.#told[kind] ?? 0) + 1;
    this.#told[kind] = told;
    if (told <= MAX_TOLD) this.#story.violate(text);
    else if (told === MAX_TOLD + 1) this.#story.violate(`and more: ${kind}`);
  }
}

/** Up to 400 bytes, which follow from the id. */
export function payloadOf(id: string): string {
  const number = Number(id.slice(id.lastIndexOf('-') + 1));
  return `${id}|${'x'.repeat((number * 37) % 400)}`;
}

function idOf(data: string): string {
  const end = data.indexOf('|');
  return end < 0 ? data : data.slice(0, end);
}

function wallMs(): number {
  return performance.timeOrigin + performance.now();
}

function brief({ sequence, data, timestampMs }: Shown): string {
  return `${sequence} (${idOf(data).slice(0, 40)}, ${new Date(timestampMs).toISOString()})`;
}
