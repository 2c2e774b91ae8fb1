import { callBytes, cpuMicros, machineMicros } from '../process-stats.js';
import { decodeTexts, encode } from '../protobuf.js';
import { type Client, closeClient, connectClient } from './client.js';
import { PacedPublisher } from './paced-publisher.js';
import { Publisher } from './publisher.js';
import type { LoadResult, LoadSpec, Phase } from './spec.js';
import { Subscriber } from './subscriber.js';

const STALL_MS = 15_000;
/** A server may take so long for what one window of each publisher holds. */
const DRAIN_MS = 30_000;
const LOOK_MS = 100;
const ACK_WAIT_SECONDS = 30;
const START_NEW_ONLY = 0;
const START_FIRST = 4;
const PROBE_BYTES = 128;

interface Mark {
  messages: number;
  atMs: number;
  targetMicros: number;
  natsMicros: number;
  loadMicros: number;
  machineMicros: number;
}

/** One run: connects, measures its phases, drains, closes. */
export class LoadRun {
  readonly #spec: LoadSpec;
  readonly #clients: Client[] = [];
  readonly #publishers: Publisher[] = [];
  readonly #subscribers: Subscriber[] = [];
  /** Messages of the phases that are to come. */
  readonly #phases: number[];
  /** Before the first phase, and behind each. */
  readonly #marks: Mark[] = [];
  #probe: PacedPublisher | undefined;
  #sent = 0;
  #hasEnded = false;
  #ended!: () => void;
  #failed!: (error: Error) => void;
  readonly #failure = new Promise<never>((_, reject) => {
    this.#failed = reject;
  });

  constructor(spec: LoadSpec) {
    this.#spec = spec;
    this.#phases = [spec.coldMessages, spec.warmMessages].filter((messages) => messages > 0);
  }

  /** @throws Error saying what the broker or nats-server did wrong, or that it did nothing for 15 s */
  async run(): Promise<LoadResult> {
    try {
      return await Promise.race([this.#run(), this.#failure]);
    } finally {
      this.#probe?.stop();
      for (const { connection } of this.#clients) connection.close();
    }
  }

  async #run(): Promise<LoadResult> {
    const { publishers, subscribers, isReplay, targetPid, natsPid } = this.#spec;
    // The acks of a replay begin to come with the subscription.
    const replayed = isReplay ? subscribers : 0;
    for (let i = replayed; i < subscribers; i++) await this.#addSubscriber(`s${i}`);
    for (let i = 0; i < publishers; i++) await this.#addPublisher(`p${i}`);
    await this.#addProbe();
    for (const { connection } of this.#clients) await connection.flush();

    const sentBefore = this.#sentBytes();
    const natsReadBytes = callBytes(natsPid).read;
    const targetWrittenBytes = callBytes(targetPid).written;
    const ended = new Promise<void>((resolve) => {
      this.#ended = resolve;
    });
    this.#marks.push(this.#mark(0));
    this.#watch();
    this.#probe?.start();
    for (let i = 0; i < replayed; i++) await this.#addSubscriber(`s${i}`);
    for (const publisher of this.#publishers) publisher.pump();
    await ended;
    const probe = this.#probe?.takeWaits();
    await this.#drain();
    for (const client of this.#clients) await closeClient(client);
    return {
      ...this.#measured(),
      redelivered: this.#subscribers.reduce((sum, subscriber) => sum + subscriber.redelivered, 0),
      totalMessages: publishers === 0 ? this.#completed() : this.#sent,
      ...(probe === undefined ? {} : { probe }),
      sentBytes: this.#sentBytes() - sentBefore,
      natsReadBytes,
      targetWrittenBytes,
    };
  }

  async #connect(name: string): Promise<Client> {
    const client = await connectClient(this.#spec, name, (error) => this.#failed(error));
    this.#clients.push(client);
    return client;
  }

  async #addSubscriber(name: string): Promise<void> {
    const { channels, isQueue, isReplay, maxInFlight } = this.#spec;
    const { connection, clientId, connId, subRequests } = await this.#connect(name);
    const channel = channels[0]!;
    const inbox = `_INBOX.d${connId.slice(1)}`;
    const subscriber = new Subscriber(connection, {
      channel,
      inbox,
      isQueue,
      onProgress: () => this.#onDelivered(),
    });
    const request = encode([
      [1, clientId],
      [2, channel],
      ...(isQueue ? [[3, 'bench'] as const] : []),
      [4, inbox],
      [5, maxInFlight],
      [6, ACK_WAIT_SECONDS],
      [10, isReplay ? START_FIRST : START_NEW_ONLY],
    ]);
    const answer = decodeTexts(await connection.request(subRequests, request));
    const error = answer.get(3);
    if (error) throw new Error(`bench: subscription refused: ${error}`);
    subscriber.ackInbox = answer.get(2) ?? '';
    this.#subscribers.push(subscriber);
  }

  async #addPublisher(name: string): Promise<void> {
    const { channels, payloadBytes, window } = this.#spec;
    const client = await this.#connect(name);
    const publisher = new Publisher(client, {
      channels,
      payloadBytes,
      window,
      guidPrefix: guidPrefixOf(client),
      allow: (count) => this.#allow(count),
      onProgress: () => this.#onProgress(),
    });
    this.#publishers.push(publisher);
  }

  async #addProbe(): Promise<void> {
    const { probe } = this.#spec;
    if (probe === undefined) return;
    const client = await this.#connect('q0');
    const guidPrefix = guidPrefixOf(client);
    this.#probe = new PacedPublisher(client, { ...probe, payloadBytes: PROBE_BYTES, guidPrefix });
  }

  /** How many of `count` messages a publisher may send now. */
  #allow(count: number): number {
    if (this.#hasEnded) return 0;
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
    const messages = this.#phases[this.#marks.length - 1];
    if (this.#hasEnded || messages === undefined) return;
    const completed = this.#completed();
    if (completed >= this.#marks.at(-1)!.messages + messages) this.#endPhase(completed);
  }

  #endPhase(completed: number): void {
    this.#marks.push(this.#mark(completed));
    if (this.#marks.length <= this.#phases.length) return;
    this.#hasEnded = true;
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
      machineMicros: machineMicros(),
    };
  }

  #acked(): number {
    let acked = 0;
    for (const publisher of this.#publishers) acked += publisher.acked;
    return acked;
  }

  /** Messages that every subscriber has; those of a queue group together. */
  #delivered(): number {
    if (this.#subscribers.length === 0) return Number.POSITIVE_INFINITY;
    let [least, sum] = [Number.POSITIVE_INFINITY, 0];
    for (const { received } of this.#subscribers) {
      least = Math.min(least, received);
      sum += received;
    }
    return this.#spec.isQueue ? sum : least;
  }

  #completed(): number {
    const acked = this.#spec.publishers === 0 ? Number.POSITIVE_INFINITY : this.#acked();
    const completed = Math.min(acked, this.#delivered());
    return Number.isFinite(completed) ? completed : 0;
  }

  #sentBytes(): number {
    return this.#clients.reduce((sum, { connection }) => sum + connection.sentBytes, 0);
  }

  /** Ends a phase that takes too long, and the run if nothing happens any more. */
  #watch(): void {
    let last = -1;
    let lastMs = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      const completed = this.#completed();
      if (completed !== last) {
        last = completed;
        lastMs = now;
      }
      if (this.#hasEnded) {
        clearInterval(timer);
      } else if (now - lastMs > STALL_MS) {
        clearInterval(timer);
        const deliveries = this.#subscribers.map((s) => s.received).join(' ') || 'no subscribers';
        this.#failed(
          new Error(
            `bench: stalled: sent ${this.#sent}, acked ${this.#acked()}, delivered to each: ${deliveries}`,
          ),
        );
      } else if (
        now - this.#marks.at(-1)!.atMs > this.#spec.maxSeconds * 1_000 &&
        completed > this.#marks.at(-1)!.messages
      ) {
        this.#endPhase(completed);
      }
    }, LOOK_MS);
    timer.unref();
  }

  /** What was sent is to be acked and delivered before the clients go: the next run begins with a quiet broker. */
  async #drain(): Promise<void> {
    this.#probe?.finish();
    const deadlineMs = performance.now() + DRAIN_MS;
    while (this.#completed() < this.#sent || this.#probe?.isIdle === false) {
      if (performance.now() > deadlineMs) {
        throw new Error(
          `bench: of ${this.#sent} messages sent only ${this.#completed()} were acked and delivered in ${DRAIN_MS} ms`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  #measured(): Pick<LoadResult, 'cold' | 'warm'> {
    const phases = this.#phases.map((_, i) => phaseBetween(this.#marks[i]!, this.#marks[i + 1]!));
    const cold = this.#spec.coldMessages > 0 ? phases.shift() : undefined;
    const warm = phases.shift();
    return { ...(cold === undefined ? {} : { cold }), ...(warm === undefined ? {} : { warm }) };
  }
}

function guidPrefixOf({ connId }: Client): string {
  return `g${connId.slice(-11)}`;
}

function phaseBetween(begin: Mark, end: Mark): Phase {
  const messages = end.messages - begin.messages;
  const seconds = (end.atMs - begin.atMs) / 1_000;
  const [target, nats, load] = [
    end.targetMicros - begin.targetMicros,
    end.natsMicros - begin.natsMicros,
    end.loadMicros - begin.loadMicros,
  ];
  return {
    messages,
    seconds,
    messagesPerSecond: messages / seconds,
    targetCpuMicros: target / messages,
    natsCpuMicros: nats / messages,
    loadCpuMicros: load / messages,
    otherCores: Math.max(
      0,
      (end.machineMicros - begin.machineMicros - target - nats - load) / (seconds * 1e6),
    ),
  };
}
