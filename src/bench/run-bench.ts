import { randomBytes } from 'node:crypto';
import { connect, type Message, type StanConnection } from '../index.js';
import type { BenchOptions } from './bench-options.js';
import { BenchPublisher, TIME_BYTES } from './bench-publisher.js';
import { type ClientResult, ratesOf, type SideResult, sideOf, Tally } from './side.js';

/** The result of a benchmark. Rates are per second, latencies in microseconds. */
export interface BenchReport {
  readonly subject: string;
  readonly messages: number;
  readonly messageBytes: number;
  readonly sync: boolean;
  readonly maxPubAcksInFlight: number;
  readonly queue: string | null;
  /** All publishers and subscribers together, from the first message to the last. */
  readonly all: Pick<ClientResult, 'messages' | 'seconds' | 'messagesPerSecond' | 'bytesPerSecond'>;
  /** The latency is from a publish to its ack. */
  readonly publishers: SideResult | null;
  /** The latency is from a publish to the subscriber. */
  readonly subscribers: SideResult | null;
  /** Whether the benchmark was interrupted. */
  readonly isPartial: boolean;
}

/** Called with the number of acks and received messages so far, and in the end. */
export type OnProgress = (done: number, due: number) => void;

const PROGRESS_MS = 200;
const SUBSCRIBER_MAX_IN_FLIGHT = 16_384;

/**
 * Connects the clients, subscribes, publishes, and waits for all acks and messages.
 *
 * @throws StanError if a client fails; Error if no ack or message comes for `timeoutMs`
 */
export async function runBench(
  options: BenchOptions,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<BenchReport> {
  const run = new BenchRun(options);
  try {
    return await run.run(onProgress, signal);
  } finally {
    await run.close();
  }
}

class BenchRun {
  readonly #options: BenchOptions;
  readonly #connections: StanConnection[] = [];
  readonly #publishers: BenchPublisher[] = [];
  readonly #received: Tally[] = [];
  readonly #run = randomBytes(4).toString('hex');
  readonly #due: number;
  readonly #dueToSubscribers: number;
  #receivedCount = 0;
  #onAllReceived: (() => void) | undefined;

  constructor(options: BenchOptions) {
    this.#options = options;
    const copies = options.queue === undefined ? options.subscribers : Math.min(1, options.subscribers);
    this.#dueToSubscribers = options.messages * copies;
    this.#due = this.#dueToSubscribers + (options.publishers > 0 ? options.messages : 0);
  }

  async run(onProgress: OnProgress, signal: AbortSignal): Promise<BenchReport> {
    const { publishers, subscribers } = this.#options;
    // The clients connect one after the other, so that a thousand of them do not flood the broker.
    for (let i = 0; i < subscribers; i++) await this.#subscribe(i);
    for (let i = 0; i < publishers; i++) await this.#addPublisher(i);
    const timer = setInterval(() => onProgress(this.#done, this.#due), PROGRESS_MS);
    const watch = this.#watch(signal);
    try {
      const published = Promise.all(this.#publishers.map((publisher) => publisher.run()));
      await Promise.race([Promise.all([published, this.#allReceived()]), watch.ended]);
    } finally {
      watch.stop();
      clearInterval(timer);
      for (const publisher of this.#publishers) publisher.stop();
    }
    onProgress(this.#done, this.#due);
    return this.#report(signal.aborted);
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#connections.map((connection) => connection.close()));
  }

  get #done(): number {
    let done = 0;
    for (const { tally } of this.#publishers) done += tally.messages;
    for (const { messages } of this.#received) done += messages;
    return done;
  }

  async #connect(role: string, index: number): Promise<StanConnection> {
    const { connect: options, maxPubAcksInFlight } = this.#options;
    const clientId = `${options.clientId}-${this.#run}-${role}-${index + 1}`;
    const connection = await connect({ ...options, clientId, maxPubAcksInFlight });
    this.#connections.push(connection);
    return connection;
  }

  async #subscribe(index: number): Promise<void> {
    const { subject, queue, publishers, ignoreOld, messageBytes } = this.#options;
    const connection = await this.#connect('sub', index);
    const tally = new Tally(connection.clientId);
    this.#received.push(tally);
    const hasTime = publishers > 0 && messageBytes >= TIME_BYTES;
    await connection.subscribe(subject, {
      startAt: publishers > 0 || ignoreOld ? 'new' : 'all',
      maxInFlight: SUBSCRIBER_MAX_IN_FLIGHT,
      ...(queue !== undefined && { queue }),
      callback: (error, message) => {
        if (error === undefined) this.#onMessage(tally, message, hasTime);
      },
    });
  }

  #onMessage(tally: Tally, { data, redelivered }: Message, hasTime: boolean): void {
    if (redelivered) return;
    tally.count(
      performance.now(),
      data.length,
      hasTime && data.length >= TIME_BYTES ? timeIn(data) : undefined,
    );
    if (++this.#receivedCount === this.#dueToSubscribers) this.#onAllReceived?.();
  }

  async #addPublisher(index: number): Promise<void> {
    const { subject, publishers, messages, messageBytes, sync, maxPubAcksInFlight } = this.#options;
    const connection = await this.#connect('pub', index);
    // The first publishers take the remainder of the division.
    const share = Math.floor(messages / publishers) + (index < messages % publishers ? 1 : 0);
    this.#publishers.push(
      new BenchPublisher(connection, {
        subject,
        messages: share,
        messageBytes,
        window: sync ? 1 : maxPubAcksInFlight,
      }),
    );
  }

  #allReceived(): Promise<void> {
    return new Promise((resolve) => {
      this.#onAllReceived = resolve;
      if (this.#receivedCount >= this.#dueToSubscribers) resolve();
    });
  }

  /** Resolves with the signal; rejects when a connection is lost, or after `timeoutMs` without progress. */
  #watch(signal: AbortSignal): { ended: Promise<void>; stop: () => void } {
    const { timeoutMs } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const ended = new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      if (signal.aborted) resolve();
      for (const connection of this.#connections) {
        void connection.closed().then((error) => (error instanceof Error ? reject(error) : undefined));
      }
      let last = -1;
      timer = setInterval(() => {
        const done = this.#done;
        if (done === last) {
          const seconds = timeoutMs / 1000;
          reject(
            new Error(
              `nothing has arrived for ${seconds} s: ${done} of ${this.#due} acks and messages are here`,
            ),
          );
        }
        last = done;
      }, timeoutMs);
    });
    // It may reject when the run no longer waits for it.
    ended.catch(() => {});
    return { ended, stop: () => clearInterval(timer) };
  }

  #report(isPartial: boolean): BenchReport {
    const { subject, messages, messageBytes, sync, maxPubAcksInFlight, queue } = this.#options;
    const published = this.#publishers.map(({ tally }) => tally);
    return {
      subject,
      messages,
      messageBytes,
      sync,
      maxPubAcksInFlight: sync ? 1 : maxPubAcksInFlight,
      queue: queue ?? null,
      all: ratesOf([...published, ...this.#received]),
      publishers: sideOf(published),
      subscribers: sideOf(this.#received),
      isPartial,
    };
  }
}

function timeIn(data: Uint8Array): number {
  return new DataView(data.buffer, data.byteOffset, TIME_BYTES).getFloat64(0, true);
}
