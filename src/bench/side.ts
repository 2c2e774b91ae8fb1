import { Latency, type LatencySummary } from './latency.js';

/** The result of one client. */
export interface ClientResult {
  readonly clientId: string;
  readonly messages: number;
  /** Time from its first message to its last. */
  readonly seconds: number;
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
  readonly latencyMicros: LatencySummary | null;
}

/** The result of all publishers, or of all subscribers. */
export interface SideResult extends Omit<ClientResult, 'clientId'> {
  readonly clients: readonly ClientResult[];
}

/** Counts the messages of a client. Times are `performance.now()`. */
export class Tally {
  readonly latency = new Latency();
  messages = 0;
  /** Bytes of the payloads. */
  bytes = 0;
  startMs = 0;
  endMs = 0;

  constructor(readonly clientId: string) {}

  /**
   * @param bytes size of the payload
   * @param sentMs time at which the message was sent; undefined if unknown
   */
  count(nowMs: number, bytes: number, sentMs: number | undefined): void {
    if (this.messages === 0 && this.startMs === 0) this.startMs = nowMs;
    this.messages++;
    this.bytes += bytes;
    this.endMs = nowMs;
    if (sentMs !== undefined) this.latency.record(nowMs - sentMs);
  }
}

/** @returns null if there are no clients on this side */
export function sideOf(tallies: readonly Tally[]): SideResult | null {
  if (tallies.length === 0) return null;
  const latency = new Latency();
  for (const tally of tallies) latency.add(tally.latency);
  return {
    ...ratesOf(tallies),
    latencyMicros: latency.summary(),
    clients: tallies.map((tally) => ({
      clientId: tally.clientId,
      ...ratesOf([tally]),
      latencyMicros: tally.latency.summary(),
    })),
  };
}

/** The rates of some clients together, from the first message to the last. */
export function ratesOf(
  tallies: readonly Tally[],
): Pick<ClientResult, 'messages' | 'seconds' | 'messagesPerSecond' | 'bytesPerSecond'> {
  const begun = tallies.filter(({ messages }) => messages > 0);
  const startMs = Math.min(...begun.map((tally) => tally.startMs));
  const endMs = Math.max(...begun.map((tally) => tally.endMs));
  const seconds = begun.length === 0 ? 0 : (endMs - startMs) / 1000;
  const messages = begun.reduce((sum, tally) => sum + tally.messages, 0);
  const bytes = begun.reduce((sum, tally) => sum + tally.bytes, 0);
  const perSecond = (count: number): number => (seconds > 0 ? Math.round(count / seconds) : 0);
  return { messages, seconds, messagesPerSecond: perSecond(messages), bytesPerSecond: perSecond(bytes) };
}
