import assert from 'node:assert/strict';
import type { StanClient, StanSubscription } from '../harness/stan-client.js';

/** What a publisher knows of its messages: those that were acknowledged, and those that may or may not be stored. */
export class PublisherLog {
  readonly acked = new Set<string>();
  readonly unknown = new Set<string>();
}

/** Publishes numbered messages, `inFlight` at a time, until stopped. A message is published once: never again after a timeout. */
export class SteadyPublisher {
  readonly log = new PublisherLog();
  #next = 0;
  #isStopped = false;
  readonly #lanes: Promise<void>[] = [];

  constructor(
    private readonly client: StanClient,
    private readonly channel: string,
    inFlight: number,
  ) {
    for (let lane = 0; lane < inFlight; lane++) {
      const run = this.#run();
      // Told by `stop`.
      run.catch(() => {});
      this.#lanes.push(run);
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#lanes);
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const data = `${this.client.clientId}/${++this.#next}`;
      try {
        await this.client.publish(this.channel, data);
        this.log.acked.add(data);
      } catch {
        this.log.unknown.add(data);
        if (this.client.lost !== undefined) throw new Error(`${this.client.clientId}: ${this.client.lost}`);
      }
    }
  }
}

/** What is stored in a channel: the message at sequence `n` is at index `n - 1`. */
export type Stored = readonly string[];

/** Reads a whole channel with a subscription of its own. */
export async function readChannel(client: StanClient, channel: string, lastKnown: string): Promise<Stored> {
  const subscription = await client.subscribe(channel, { all: true });
  await subscription.gotOne((message) => message.data === lastKnown, `the last message of ${channel}`);
  const stored: string[] = [];
  for (const message of subscription.messages) {
    if (message.redelivered) continue;
    assert.equal(message.sequence, stored.length + 1, `${channel} has a gap`);
    stored.push(message.data);
  }
  await subscription.unsubscribe();
  return stored;
}

/** Everything acknowledged is stored, once; nothing is stored that nobody published. */
export function assertNothingLost(stored: Stored, publishers: readonly PublisherLog[]): void {
  const times = new Map<string, number>();
  for (const data of stored) times.set(data, (times.get(data) ?? 0) + 1);
  for (const { acked } of publishers) {
    for (const data of acked) assert.equal(times.get(data) ?? 0, 1, `${data} was acknowledged`);
  }
  for (const [data, count] of times) {
    assert.equal(count, 1, `${data} is stored ${count} times`);
    assert.ok(
      publishers.some(({ acked, unknown }) => acked.has(data) || unknown.has(data)),
      `${data} was never published`,
    );
  }
}

/** Whatever a subscriber saw at a sequence is what is stored there, and together these subscribers saw everything. */
export function assertAllReceived(
  stored: Stored,
  subscriptions: readonly StanSubscription[],
  who: string,
): void {
  const seen = new Set<number>();
  for (const subscription of subscriptions) {
    for (const { sequence, data } of subscription.messages) {
      assert.equal(data, stored[sequence - 1], `${who} saw another message at sequence ${sequence}`);
      seen.add(sequence);
    }
  }
  for (let sequence = 1; sequence <= stored.length; sequence++) {
    assert.ok(seen.has(sequence), `${who} never got sequence ${sequence}`);
  }
}

/** What is new to a subscriber comes in the order of the channel, without a gap; what it has had may come again. */
export function assertInOrder(subscription: StanSubscription, who: string): void {
  let highest = 0;
  for (const { sequence } of subscription.messages) {
    if (sequence <= highest) continue;
    assert.equal(sequence, highest + 1, `${who} skipped from ${highest} to ${sequence}`);
    highest = sequence;
  }
}
