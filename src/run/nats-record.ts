import type { Clock } from '../clock/clock.js';
import type { NatsStatus } from '../monitor/monitored-node.js';
import { type NatsRefusal, REFUSED_OPERATIONS } from '../nats/refusal.js';
import { countsOf } from '../util/counts.js';

/** The record of a node's connection to NATS, for HTTP and metrics: whether it is up, since when, and what was lost or refused. */
export class NatsRecord {
  readonly #clock: Clock;
  readonly #refusals = countsOf(REFUSED_OPERATIONS);
  #isConnected = false;
  #server = '';
  #sinceMs: number;
  #losses = 0;
  #lostBecause = '';

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sinceMs = wallMs(clock);
  }

  get status(): NatsStatus {
    return {
      isConnected: this.#isConnected,
      server: this.#server,
      sinceMs: this.#sinceMs,
      losses: this.#losses,
      refusals: this.#refusals,
    };
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** The problem of a node that is not connected, for people. */
  get problem(): string {
    const why = this.#lostBecause === '' ? '' : `: ${this.#lostBecause}`;
    return `no connection to NATS since ${new Date(this.#sinceMs).toISOString()}${why}`;
  }

  linkUp(server: string): void {
    this.#isConnected = true;
    this.#server = server;
    this.#sinceMs = wallMs(this.#clock);
  }

  linkDown(reason: string): void {
    this.#isConnected = false;
    this.#sinceMs = wallMs(this.#clock);
    this.#losses++;
    this.#lostBecause = reason;
  }

  refused({ operation }: NatsRefusal): void {
    this.#refusals[operation]++;
  }
}

/** Milliseconds since 1970. */
export function wallMs(clock: Clock): number {
  return Number(clock.wallNs() / 1_000_000n);
}
