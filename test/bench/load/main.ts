import { cpuMicros } from '../process-stats.js';
import { decodeTexts, encode } from '../protobuf.js';
import { Connection } from './connection.js';
import { Publisher } from './publisher.js';
import type { LoadResult, LoadSpec } from './spec.js';
import { Subscriber } from './subscriber.js';

const STALL_MS = 15_000;
const DRAIN_MS = 10_000;
const ACK_WAIT_SECONDS = 30;
const PING_INTERVAL_SECONDS = 3_600;
const PROTOCOL_LEVEL = 1;
const START_NEW_ONLY = 0;

/** A connected STAN client. */
interface Client {
  connection: Connection;
  clientId: string;
  connId: string;
  pubPrefix: string;
  subRequests: string;
  closeRequests: string;
}

interface Mark {
  messages: number;
  atMs: number;
  targetMicros: number;
  natsMicros: number;
  loadMicros: number;
}

/** One run: connects, warms up, measures, drains, closes. */
class LoadRun {
  readonly #spec: LoadSpec;
  readonly #clients: Client[] = [];
  readonly #publishers: Publisher[] = [];
  readonly #subscribers: Subscriber[] = [];
  #sent = 0;
  #begin: Mark | undefined;
  #end: Mark | undefined;
  #ended!: () => void;
  #failed!: (error: Error) => void;
  readonly #failure = new Promise<never>((_, reject) => {
    this.#failed = reject;
  });

  constructor(spec: LoadSpec) {
    this.#spec = spec;
  }

  /** @throws Error saying what the broker or nats-server did wrong, or that it did nothing for 15 s */
  async run(): Promise<LoadResult> {
    try {
      return await Promise.race([this.#run(), this.#failure]);
    } finally {
      for (const { connection } of this.#clients) connection.close();
    }
  }

  async #run(): Promise<LoadResult> {
    const { publishers, subscribers } = this.#spec;
    for (let i = 0; i < subscribers; i++) await this.#addSubscriber(await this.#connect(`s${i}`));
    for (let i = 0; i < publishers; i++) this.#addPublisher(await this.#connect(`p${i}`));
    for (const { connection } of this.#clients) await connection.flush();

    const ended = new Promise<void>((resolve) => {
      this.#ended = resolve;
    });
    this.#watchForStall();
    for (const publisher of this.#publishers) publisher.pump();
    await ended;
    await this.#drain();
    for (const { connection, clientId, closeRequests } of this.#clients) {
      await connection.request(closeRequests, encode([[1, clientId]]));
    }
    return this.#result(this.#begin!, this.#end!);
  }

  async #connect(name: string): Promise<Client> {
    const { natsPort, clusterId, runId } = this.#spec;
    const clientId = `bench-${runId}-${name}`;
    const unique = `${runId}${name}`.padStart(21, '0').slice(-21);
    const connection = new Connection(natsPort, clientId, unique, (error) => this.#failed(error));
    const connId = `c${unique}`;
    const request = encode([
      [1, clientId],
      [2, connection.heartbeatInbox],
      [3, PROTOCOL_LEVEL],
      [4, connId],
      [5, PING_INTERVAL_SECONDS],
      [6, 3],
    ]);
    const answer = decodeTexts(await connection.request(`_STAN.discover.${clusterId}`, request));
    const error = answer.get(5);
    if (error) throw new Error(`bench: connect refused: ${error}`);
    const client = {
      connection,
      clientId,
      connId,
      pubPrefix: answer.get(1) ?? '',
      subRequests: answer.get(2) ?? '',
      closeRequests: answer.get(4) ?? '',
    };
    this.#clients.push(client);
    return client;
  }

  async #addSubscriber({ connection, clientId, connId, subRequests }: Client): Promise<void> {
    const channel = this.#spec.channels[0]!;
    const inbox = `_INBOX.d${connId.slice(1)}`;
    const subscriber = new Subscriber(connection, channel, inbox, () => this.#onDelivered());
    const request = encode([
      [1, clientId],
      [2, channel],
      [4, inbox],
      [5, this.#spec.maxInFlight],
      [6, ACK_WAIT_SECONDS],
      [10, START_NEW_ONLY],
    ]);
    const answer = decodeTexts(await connection.request(subRequests, request));
    const error = answer.get(3);
    if (error) throw new Error(`bench: subscription refused: ${error}`);
    subscriber.ackInbox = answer.get(2) ?? '';
    this.#subscribers.push(subscriber);
  }

  #addPublisher({ connection, clientId, connId, pubPrefix }: Client): void {
    const { channels, payloadBytes, window } = this.#spec;
    const publisher = new Publisher(connection, {
      clientId,
      connId,
      pubPrefix,
      ackInbox: `_STAN.acks.${connId}`,
      channels,
      payloadBytes,
      window,
      guidPrefix: `g${connId.slice(-11)}`,
      allow: (count) => this.#allow(count),
      onProgress: () => this.#onProgress(),
    });
    this.#publishers.push(publisher);
  }

  /** How many of `count` messages a publisher may send now. */
  #allow(count: number): number {
    if (this.#end !== undefined) return 0;
    let allowed = count;
    if (this.#subscribers.length > 0) {
      allowed = Math.min(count, this.#spec.maxLag - (this.#sent - this.#delivered()));
    }
    this.#sent += Math.max(0, allowed);
    return allowed;
  }

  #onDelivered(): void {
    this.#onProgress();
    for (const publisher of this.#publishers) publisher.pump();
  }

  #onProgress(): void {
    if (this.#end !== undefined) return;
    const completed = this.#completed();
    if (this.#begin === undefined) {
      if (completed >= this.#spec.warmupMessages) this.#begin = this.#mark(completed);
    } else if (completed >= this.#begin.messages + this.#spec.messages) {
      this.#finish(completed);
    }
  }

  #finish(completed: number): void {
    this.#end = this.#mark(completed);
    this.#ended();
  }

  #mark(messages: number): Mark {
    const own = process.cpuUsage();
    return {
      messages,
      atMs: performance.now(),
      targetMicros: cpuMicros(this.#spec.targetPid),
      natsMicros: cpuMicros(this.#spec.natsPid),
      loadMicros: own.user + own.system,
    };
  }

  #acked(): number {
    let acked = 0;
    for (const publisher of this.#publishers) acked += publisher.acked;
    return acked;
  }

  /** Messages that every subscriber has. */
  #delivered(): number {
    let delivered = Number.POSITIVE_INFINITY;
    for (const subscriber of this.#subscribers) delivered = Math.min(delivered, subscriber.received);
    return delivered;
  }

  #completed(): number {
    return Math.min(this.#acked(), this.#delivered());
  }

  #watchForStall(): void {
    let last = -1;
    let lastMs = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      const completed = this.#completed();
      if (completed !== last) {
        last = completed;
        lastMs = now;
      }
      if (this.#end !== undefined) {
        clearInterval(timer);
      } else if (this.#begin !== undefined && now - this.#begin.atMs > this.#spec.maxSeconds * 1_000) {
        this.#finish(completed);
      } else if (now - lastMs > STALL_MS) {
        clearInterval(timer);
        const deliveries = this.#subscribers.map((s) => s.received).join(' ') || 'no subscribers';
        this.#failed(
          new Error(
            `bench: stalled: sent ${this.#sent}, acked ${this.#acked()}, delivered to each: ${deliveries}`,
          ),
        );
      }
    }, 100);
    timer.unref();
  }

  /** What was sent is to be acked and delivered before the clients go: the next run begins with a quiet broker. */
  async #drain(): Promise<void> {
    const deadlineMs = performance.now() + DRAIN_MS;
    while (this.#completed() < this.#sent) {
      if (performance.now() > deadlineMs) {
        throw new Error(
          `bench: of ${this.#sent} messages sent only ${this.#completed()} were acked and delivered`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  #result(begin: Mark, end: Mark): LoadResult {
    const messages = end.messages - begin.messages;
    const seconds = (end.atMs - begin.atMs) / 1_000;
    const redelivered = this.#subscribers.reduce((sum, subscriber) => sum + subscriber.redelivered, 0);
    return {
      messages,
      seconds,
      messagesPerSecond: messages / seconds,
      targetCpuMicros: (end.targetMicros - begin.targetMicros) / messages,
      natsCpuMicros: (end.natsMicros - begin.natsMicros) / messages,
      loadCpuMicros: (end.loadMicros - begin.loadMicros) / messages,
      redelivered,
      totalMessages: this.#sent,
    };
  }
}

try {
  const result = await new LoadRun(JSON.parse(process.argv[2] ?? '{}') as LoadSpec).run();
  process.stdout.write(`${JSON.stringify(result)}\n`);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
