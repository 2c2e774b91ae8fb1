import type { StanConnection, StanError } from '../index.js';
import { Tally } from './side.js';

/** A message of at least this size begins with the time at which it was sent. */
export const TIME_BYTES = 8;

/** Publishes its share of the messages, with a limited number without an ack. */
export class BenchPublisher {
  readonly tally: Tally;
  readonly #connection: StanConnection;
  readonly #subject: string;
  readonly #messages: number;
  readonly #window: number;
  readonly #payload: Buffer;
  #sent = 0;
  #isPumpDue = false;
  #isStopped = false;
  #resolve!: () => void;
  #reject!: (error: Error) => void;

  constructor(
    connection: StanConnection,
    options: { subject: string; messages: number; messageBytes: number; window: number },
  ) {
    this.#connection = connection;
    this.#subject = options.subject;
    this.#messages = options.messages;
    this.#window = options.window;
    this.#payload = Buffer.alloc(options.messageBytes, 'x');
    this.tally = new Tally(connection.clientId);
  }

  /** Resolves when all messages are acknowledged, or after `stop`. Rejects with the first error. */
  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.tally.startMs = performance.now();
      if (this.#messages === 0) resolve();
      else this.#pump();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#resolve();
  }

  #pump(): void {
    this.#isPumpDue = false;
    while (
      this.#sent < this.#messages &&
      this.#sent - this.tally.messages < this.#window &&
      !this.#isStopped
    ) {
      this.#send();
    }
  }

  #send(): void {
    const sentMs = performance.now();
    if (this.#payload.length >= TIME_BYTES) this.#payload.writeDoubleLE(sentMs, 0);
    this.#sent++;
    this.#connection.publishAsync(this.#subject, this.#payload, (error) => this.#onAck(error, sentMs));
  }

  #onAck(error: StanError | undefined, sentMs: number): void {
    if (error !== undefined) {
      this.#isStopped = true;
      this.#reject(error);
      return;
    }
    this.tally.count(performance.now(), this.#payload.length, sentMs);
    if (this.tally.messages === this.#messages) this.#resolve();
    else if (!this.#isPumpDue && this.#sent < this.#messages) {
      // One microtask serves all acks that came together.
      this.#isPumpDue = true;
      queueMicrotask(() => this.#pump());
    }
  }
}
