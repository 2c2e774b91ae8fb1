import type { Clock } from '../clock/clock.js';

/** A PING follows this many bytes: the PONGs show that a slow server reads. */
const PULSE_BYTES = 256 * 1024;
/** Limit of PINGs that wait, beyond which the link sends no more of its own. */
const MAX_PULSES = 256;

/** Waits for a PONG. */
export interface PongWaiter {
  resolve(): void;
  reject(error: Error): void;
}

interface SentPing {
  readonly atMs: number;
  /** How many bytes were sent on the link before it. */
  readonly sentBytes: number;
  /** Undefined for the link's own pings. */
  readonly waiter: PongWaiter | undefined;
}

/** How late a server is with its PONGs, and how far it has read. */
export interface Pulse {
  /** How long the oldest PING has waited for its PONG, in milliseconds; 0 if none waits. */
  readonly lateMs: number;
  /** How many bytes the server has read, as far as its PONGs show. */
  readonly answeredBytes: number;
  /** How many bytes the server has to read and hand on before it can answer the oldest PING, at most. */
  readonly owedBytes: number;
}

/** The PINGs of a link that its server has not answered yet, in order. */
export class Pings implements Pulse {
  answeredBytes = 0;
  /**
   * What it was before the last PONG. A server has read what was sent before that, but may still be writing it to a subscriber, and reads
   * nothing on this connection meanwhile (seen with nats-server and a message of 60 MiB).
   */
  #answeredBefore = 0;
  readonly #clock: Clock;
  #sent: SentPing[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A PING leaves behind so many bytes. */
  sent(sentBytes: number, waiter: PongWaiter | undefined): void {
    this.#sent.push({ atMs: this.#clock.monotonicMs(), sentBytes, waiter });
  }

  /** A PONG has come: the server has read all that was sent before the oldest PING. */
  answered(): void {
    const ping = this.#sent.shift();
    if (ping === undefined) return;
    this.#answeredBefore = this.answeredBytes;
    this.answeredBytes = ping.sentBytes;
    ping.waiter?.resolve();
  }

  /** None will be answered any more. */
  fail(error: Error): void {
    const failed = this.#sent;
    this.#sent = [];
    for (const { waiter } of failed) waiter?.reject(error);
  }

  get waiting(): number {
    return this.#sent.length;
  }

  get lateMs(): number {
    const [oldest] = this.#sent;
    return oldest === undefined ? 0 : this.#clock.monotonicMs() - oldest.atMs;
  }

  get owedBytes(): number {
    const [oldest] = this.#sent;
    return oldest === undefined ? 0 : oldest.sentBytes - this.#answeredBefore;
  }

  /** Whether so much was sent behind the newest PING that another one is due. */
  isDue(sentBytes: number): boolean {
    return sentBytes - (this.#sent.at(-1)?.sentBytes ?? this.answeredBytes) >= PULSE_BYTES && this.mayPulse;
  }

  get mayPulse(): boolean {
    return this.#sent.length < MAX_PULSES;
  }
}
