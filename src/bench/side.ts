import { Latency, type LatencySummary } from './latency.js';

/** What one client did. */
export interface ClientResult {
  readonly clientId: string;
  readonly messages: number;
  /** From its first message to its last. */
  readonly seconds: number;
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
  readonly latencyMicros: LatencySummary | null;
}

/** What the publishers, or the subscribers, did together. */
export interface SideResult extends Omit<ClientResult, 'clientId'> {
  readonly clients: readonly ClientResult[];
}

/** Counts what a client does. Times are `performance.now()`. */
export class Tally {
  readonly latency = new Latency();
  messages = 0;
  startMs = 0;
  endMs = 0;

  constructor(readonly clientId: string) {}

  /** @param sentMs when the message was sent; undefined if that is not known */
  count(nowMs: number, sentMs: number | undefined): void {
    if (this.messages === 0 && this.startMs === 0) this.startMs = nowMs;
    this.messages++;
    this.endMs = nowMs;
    if (sentMs !== undefined) this.latency.record(nowMs - sentMs);
  }
}

/** @returns null if there was nobody */
export function sideOf(tallies: readonly Tally[], messageBytes: number): SideResult | null {
  if (tallies.length === 0) return null;
  const latency = new Latency();
  for (const tally of tallies) latency.add(tally.latency);
  const begun = tallies.filter(({ messages }) => messages > 0);
  const startMs = Math.min(...begun.map((tally) => tally.startMs));
  const endMs = Math.max(...begun.map((tally) => tally.endMs));
  const messages = tallies.reduce((sum, tally) => sum + tally.messages, 0);
  return {
    ...rates(messages, begun.length === 0 ? 0 : endMs - startMs, messageBytes),
    latencyMicros: latency.summary(),
    clients: tallies.map((tally) => ({
      clientId: tally.clientId,
      ...rates(tally.messages, tally.endMs - tally.startMs, messageBytes),
      latencyMicros: tally.latency.summary(),
    })),
  };
}

export function rates(
  messages: number,
  milliseconds: number,
  messageBytes: number,
): Pick<ClientResult, 'messages' | 'seconds' | 'messagesPerSecond' | 'bytesPerSecond'> {
  const seconds = milliseconds / 1000;
  const messagesPerSecond = seconds > 0 ? Math.round(messages / seconds) : 0;
  return { messages, seconds, messagesPerSecond, bytesPerSecond: messagesPerSecond * messageBytes };
}
