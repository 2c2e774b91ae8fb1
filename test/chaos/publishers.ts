import { setTimeout as sleep } from 'node:timers/promises';
import type { Clients } from './clients.js';
import { type Ledger, payloadOf } from './ledger.js';

export const CHANNELS = ['a', 'b', 'c'] as const;
const OWN_ACK_MS = 60_000;
/** One that does not try again. */
const FIELD_ACK_MS = 12_000;
/** A publisher that waits for each ack sends the next after this. */
const PAUSE_MS = 5;

type Publish = (channel: string, data: string) => Promise<unknown>;

/** Publishers of all kinds, until they are stopped. */
export class Publishers {
  readonly #ledger: Ledger;
  readonly #running: Promise<void>[] = [];
  #isRunning = true;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** @param hub a server that is never at fault; @param all it, and those of the members */
  async start(clients: Clients, hub: string, all: readonly string[], everyMs: number): Promise<void> {
    const many = await clients.own('own-many', [hub], OWN_ACK_MS);
    const one = await clients.own('own-one', all, OWN_ACK_MS);
    const near = await clients.field('field-near', [hub], FIELD_ACK_MS);
    const far = await clients.field('field-far', all, FIELD_ACK_MS);
    this.#running.push(
      this.#stream('own-many', (channel, data) => many.publish(channel, data), everyMs),
      this.#oneByOne('own-one', (channel, data) => one.publish(channel, data)),
      this.#stream('field-near', (channel, data) => near.publish(channel, data), everyMs),
      this.#stream('field-far', (channel, data) => far.publish(channel, data), everyMs),
    );
  }

  /** Resolves when each publish has its ack, or its error. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    await Promise.all(this.#running);
  }

  /** Does not wait for acks. */
  async #stream(name: string, publish: Publish, everyMs: number): Promise<void> {
    const open = new Set<Promise<void>>();
    for (let i = 0; this.#isRunning; i++) {
      const done = this.#publish(`${name}-${i}`, i, publish).finally(() => open.delete(done));
      open.add(done);
      await sleep(everyMs);
    }
    await Promise.all(open);
  }

  async #oneByOne(name: string, publish: Publish): Promise<void> {
    for (let i = 0; this.#isRunning; i++) {
      await this.#publish(`${name}-${i}`, i, publish);
      await sleep(PAUSE_MS);
    }
  }

  async #publish(id: string, number: number, publish: Publish): Promise<void> {
    const channel = CHANNELS[number % CHANNELS.length]!;
    const sent = this.#ledger.send(id, channel);
    try {
      await publish(channel, payloadOf(id));
      this.#ledger.ack(sent);
    } catch (error) {
      this.#ledger.refuse(sent, error as Error);
    }
  }
}
