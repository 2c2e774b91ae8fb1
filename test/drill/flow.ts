import { setTimeout as sleep } from 'node:timers/promises';
import type { StanClient } from '../harness/stan-client.js';

const PUBLISH_EVERY_MS = 3;

/** Publishes on and on, and keeps what was acknowledged. */
export class Flow {
  readonly acked: string[] = [];
  readonly sent = new Set<string>();
  readonly #client: StanClient;
  readonly #channel: string;
  readonly #prefix: string;
  readonly #waiting = new Set<Promise<void>>();
  #isStopping = false;
  #running: Promise<void> | undefined;

  constructor(client: StanClient, channel: string, prefix: string) {
    this.#client = client;
    this.#channel = channel;
    this.#prefix = prefix;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Resolves when every publish has its ack, or its timeout. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
    await Promise.all(this.#waiting);
  }

  async #run(): Promise<void> {
    for (let i = 0; !this.#isStopping; i++) {
      const data = `${this.#prefix}-${i}`;
      this.sent.add(data);
      const waiting = this.#client
        .publish(this.#channel, data)
        .then(
          () => void this.acked.push(data),
          // A timeout: it may be stored, or not.
          () => {},
        )
        .finally(() => this.#waiting.delete(waiting));
      this.#waiting.add(waiting);
      await sleep(PUBLISH_EVERY_MS);
    }
  }
}
