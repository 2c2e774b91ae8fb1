import { setTimeout as pause } from 'node:timers/promises';
import { connect } from '../../client/connect.js';
import type { ConnectOptions } from '../../client/connect-options.js';
import type { Message } from '../../client/message.js';
import { type Durable, durablesOf, keyOf, nameOf, type Position } from './durable.js';
import type { Monitor, MonitoredChannel } from './monitor.js';

/** How long nothing comes until all pending messages have come. */
const IDLE_MS = 2_000;
const LOOK_MS = 100;
const MAX_ACK_WAIT_MS = 3_600_000;

/** What is known of a durable's position, for people. */
export interface PositionNote {
  isExact: boolean;
  text: string;
}

/**
 * Finds where durables are. The monitoring shows how many of the delivered messages are not acknowledged, and not which. Whenever it shows
 * none, everything up to there is acknowledged for good. A durable that has some and is offline is asked for them: the server delivers
 * all of them again to whom comes as its client, and nothing is acknowledged. Otherwise it begins where it surely has everything before.
 */
export class Positions {
  /** Up to where everything is known to be acknowledged, by durable. */
  readonly #floors = new Map<string, number>();
  readonly #connect: ConnectOptions;
  readonly #signal: AbortSignal;

  /** @param options for the connection; the client id is the durable's */
  constructor(options: ConnectOptions, signal: AbortSignal) {
    this.#connect = options;
    this.#signal = signal;
  }

  /** Notes what the monitoring shows of a channel. */
  seen(channel: MonitoredChannel): void {
    for (const durable of durablesOf(channel)) {
      if (durable.pending > 0) continue;
      const key = keyOf(durable);
      this.#floors.set(key, Math.max(this.#floors.get(key) ?? 0, durable.lastSent));
    }
  }

  /** Where each durable of a channel is, with a sentence where that is not exact. */
  async of(
    channel: MonitoredChannel,
    monitor: Monitor,
  ): Promise<{ durable: Durable; position: Position; note: PositionNote }[]> {
    this.seen(channel);
    const found = [];
    for (const durable of durablesOf(channel)) {
      const { position, note } = await this.#of(durable, channel, monitor);
      found.push({ durable, position, note });
    }
    return found;
  }

  async #of(
    durable: Durable,
    channel: MonitoredChannel,
    monitor: Monitor,
  ): Promise<{ position: Position; note: PositionNote }> {
    const { lastSent, pending } = durable;
    if (pending === 0) {
      const text = `${nameOf(durable)}: goes on behind ${lastSent}`;
      return { position: { lastSent, pending: [] }, note: { isExact: true, text } };
    }
    const asked = durable.isOnline ? 'its client is connected' : await this.#ask(durable, monitor);
    if (typeof asked !== 'string') {
      const text = `${nameOf(durable)}: goes on behind ${lastSent}, and gets its ${asked.length} pending messages again`;
      return { position: { lastSent, pending: asked }, note: { isExact: true, text } };
    }
    const floor = Math.max(this.#floors.get(keyOf(durable)) ?? 0, Math.max(channel.first_seq, 1) - 1);
    const text =
      `${nameOf(durable)}: has ${pending} pending messages up to ${lastSent}, and which ones is not known, since ${asked}. ` +
      `It begins behind ${floor}: it gets up to ${Math.max(0, lastSent - floor)} messages again, and misses none`;
    return { position: { lastSent: Math.min(floor, lastSent), pending: [] }, note: { isExact: false, text } };
  }

  /** The pending messages of a durable that is offline; or why they cannot be known. */
  async #ask(durable: Durable, monitor: Monitor): Promise<number[] | string> {
    const { channel, clientId, name, queueGroup, lastSent, pending, ackWaitSeconds } = durable;
    const [durableName = '', queue = ''] = queueGroup === '' ? [name] : splitGroup(queueGroup);
    const pendingFound = new Set<number>();
    let isBehind = false;
    let lastMs = performance.now();
    try {
      // A durable belongs to its client; any client can be a member of a queue group.
      const asking = clientId === '' ? `${this.#connect.clientId}-asks` : clientId;
      const options = { ...this.#connect, clientId: asking, resume: false };
      const connection = await connect(options);
      try {
        await connection.subscribe(channel, {
          durable: durableName,
          ...(queue !== '' && { queue }),
          manualAck: true,
          // Nothing new comes while this many are pending.
          maxInFlight: pending,
          ackWait: Math.min(MAX_ACK_WAIT_MS, Math.max(1, ackWaitSeconds) * 1000),
          callback: (error: Error | undefined, { sequence }: Message) => {
            if (error !== undefined) return;
            lastMs = performance.now();
            if (sequence <= lastSent) pendingFound.add(sequence);
            // It comes after all that was pending.
            else isBehind = true;
          },
        });
        while (pendingFound.size < pending && !isBehind && performance.now() - lastMs < IDLE_MS)
          await pause(LOOK_MS, undefined, { signal: this.#signal });
      } finally {
        // Closed, not unsubscribed: the server keeps its position, and what is pending.
        await connection.close().catch(() => {});
      }
    } catch (error) {
      this.#signal.throwIfAborted();
      return `the server does not give them: ${(error as Error).message}`;
    }
    if (pendingFound.size >= pending || isBehind) return [...pendingFound].sort((a, b) => a - b);
    // What a limit has dropped cannot come again. It is not pending any more where it was found missing.
    const after = await monitor.channel(channel);
    const now = after && durablesOf(after).find((each) => keyOf(each) === keyOf(durable));
    if (now !== undefined && now.pending === pendingFound.size && now.lastSent === lastSent)
      return [...pendingFound].sort((a, b) => a - b);
    return `the server has given ${pendingFound.size} of them`;
  }
}

/** `durable:group` */
function splitGroup(text: string): string[] {
  const colon = text.indexOf(':');
  return [text.slice(0, colon), text.slice(colon + 1)];
}
