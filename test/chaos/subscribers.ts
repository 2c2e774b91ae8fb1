import { setTimeout as sleep } from 'node:timers/promises';
import type { Message, StanConnection, SubscribeOptions, Subscription } from '../../src/index.js';
import type { SubscribeOptions as FieldOptions, StanClient } from '../harness/stan-client.js';
import { ACK_WAIT_MS, type Calm } from './calm.js';
import type { Story } from './chaos-log.js';
import type { Clients } from './clients.js';
import type { Ledger, Shown } from './ledger.js';
import { PROBE_CHANNEL } from './probe.js';
import { Receipt } from './receipt.js';

const REQUEST_MS = 30_000;
/** Each so many messages one is not acknowledged, and comes again. */
const FORGET_EACH = 53;
const COME_MS = [300, 4_000] as const;
const GO_MS = 300;

/** Subscriptions of all kinds. Each must get everything. */
export class Subscribers {
  readonly receipts: Receipt[] = [];
  readonly #parts: { ledger: Ledger; calm: Calm; story: Story };
  #isRunning = true;
  #comesAndGoes: Promise<void> = Promise.resolve();

  constructor(parts: { ledger: Ledger; calm: Calm; story: Story }) {
    this.#parts = parts;
  }

  async start(clients: Clients, hub: string, all: readonly string[]): Promise<void> {
    const own = await clients.own('own-sub', [hub], REQUEST_MS);
    const ownFar = await clients.own('own-far', all, REQUEST_MS);
    const near = await clients.field('field-sub', [hub], REQUEST_MS);
    const far = await clients.field('field-sub-far', all, REQUEST_MS);

    await this.#field(clients, near, this.#receipt('durable', 'a'), { durableName: 'd', manualAcks: true });
    await this.#own(clients, ownFar, this.#receipt('own durable', 'b'), { durable: 'd' });
    await this.#own(clients, own, this.#receipt('own regular', PROBE_CHANNEL), {});
    await this.#field(clients, far, this.#receipt('regular', 'b'), {});
    const queue = this.#receipt('queue group', 'a');
    await this.#field(clients, near, queue, { queueGroup: 'q' });
    await this.#field(clients, far, queue, { queueGroup: 'q' });
    const durableQueue = this.#receipt('durable queue group', 'c');
    await this.#field(clients, far, durableQueue, { queueGroup: 'q', durableName: 'dq', manualAcks: true });
    await this.#own(clients, own, durableQueue, { queue: 'q', durable: 'dq' });
    const guest = this.#receipt('durable that comes and goes', 'c');
    this.#comesAndGoes = this.#comeAndGo(clients, own, guest);
  }

  /** No more coming and going: whoever has left has come back. */
  async settle(): Promise<void> {
    this.#isRunning = false;
    await this.#comesAndGoes;
  }

  #receipt(name: string, channel: string): Receipt {
    const receipt = new Receipt(name, channel, this.#parts);
    this.receipts.push(receipt);
    return receipt;
  }

  async #own(
    clients: Clients,
    connection: StanConnection,
    receipt: Receipt,
    options: SubscribeOptions,
  ): Promise<Subscription> {
    return clients.again(`${receipt.name} subscribes`, () =>
      connection.subscribe(receipt.channel, {
        startAt: 'all',
        ackWait: ACK_WAIT_MS,
        ...options,
        callback: (error, message) => {
          if (error !== undefined) {
            this.#parts.story.violate(`${receipt.name} has ended: ${error.message}`);
            return;
          }
          receipt.get(shownBy(message));
          receipt.ack(message.sequence);
        },
      }),
    );
  }

  async #field(clients: Clients, client: StanClient, receipt: Receipt, options: FieldOptions): Promise<void> {
    let count = 0;
    await clients.again(`${receipt.name} subscribes`, () =>
      client.subscribe(receipt.channel, {
        all: true,
        ackWaitMs: ACK_WAIT_MS,
        ...options,
        onMessage: (message) => {
          receipt.get(message);
          if (options.manualAcks && ++count % FORGET_EACH === 0) return;
          receipt.ack(message.sequence);
          if (options.manualAcks) message.ack();
        },
      }),
    );
  }

  async #comeAndGo(clients: Clients, connection: StanConnection, receipt: Receipt): Promise<void> {
    for (let i = 0; ; i++) {
      const subscription = await this.#own(clients, connection, receipt, { durable: 'guest' });
      // Not by the seed: it runs beside the faults.
      const untilMs = performance.now() + COME_MS[0] + ((i * 977) % (COME_MS[1] - COME_MS[0]));
      while (this.#isRunning && performance.now() < untilMs) await sleep(50);
      if (!this.#isRunning) return;
      await clients.again(`${receipt.name} goes`, () => subscription.close());
      await sleep(GO_MS);
    }
  }
}

export function shownBy(message: Message): Shown {
  return {
    sequence: message.sequence,
    data: message.string(),
    timestampMs: Number(message.timestampNanos) / 1e6,
  };
}
