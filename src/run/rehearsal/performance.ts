// One performance of a rehearsal: terms of a broker one after the other, and what clients do in them.

import { randomBytes } from 'node:crypto';
import { Broker } from '../../broker/broker.js';
import type { BrokerOptions } from '../../broker/handlers/broker-options.js';
import { ackSubject, publishSubject } from '../../broker/served-subjects.js';
import { systemClock } from '../../clock/clock.js';
import { guarded, guardedClock } from '../../clock/guarded-clock.js';
import { MemoryFs } from '../../files/memory-fs.js';
import { StandbyBuffer } from '../../group/roles/standby-buffer.js';
import { Link } from '../../link/link.js';
import { DROP_ALL } from '../../link/link-handler.js';
import type { Logger } from '../../log/logger.js';
import { Measures } from '../../measures/measures.js';
import { MovingLink } from '../../nats/moving-link.js';
import { type StanSubjects, stanSubjects } from '../../protocol/stan-subjects.js';
import { openFileStore } from '../../store/file/open-file-store.js';
import { MemoryStore } from '../../store/memory/memory-store.js';
import type { Store } from '../../store/types/store.js';
import { InProcessNats, SERVER_INFO } from './in-process-nats.js';
import { MadeUpClients, type Publications } from './made-up-clients.js';
import type { Pace } from './pace.js';
import { SkippingClock } from './skipping-clock.js';

const CLUSTER_ID = 'rehearsal';
const DIR = '/rehearsal';
const MIB = 1024 * 1024;
/** Small files: a rehearsal fills several, and makes checkpoints of them. */
const JOURNAL_BYTES = MIB;
const BLOCK_BYTES = MIB / 2;
const QUEUE_MEMBERS = 4;
const FAN_OUT = 8;
const CHANNELS = 50;
/** Clients with a durable each, which a takeover finds in the store. */
const CROWD = 150;
const LONG_MS = 31_000;
/** What a member has kept in its buffer while there was no active, in reads. */
const KEPT_READS = 16;

const SILENT: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => SILENT,
};

/** One channel's part, or that of many: messages of one read, and how often they come in each term. */
interface Part {
  readonly channels: readonly string[];
  readonly count: number;
  readonly payloadBytes: number;
  readonly times: number;
}

const MANY = Array.from({ length: CHANNELS }, (_, i) => `many.${String(i).padStart(3, '0')}`);

const PARTS: readonly Part[] = [
  { channels: ['alone'], count: 128, payloadBytes: 128, times: 48 },
  { channels: ['one'], count: 64, payloadBytes: 128, times: 48 },
  { channels: ['queue'], count: 64, payloadBytes: 128, times: 24 },
  { channels: ['fan'], count: 16, payloadBytes: 128, times: 24 },
  { channels: MANY, count: 100, payloadBytes: 128, times: 24 },
  { channels: ['alone'], count: 24, payloadBytes: 1024, times: 16 },
  { channels: ['alone'], count: 4, payloadBytes: 8192, times: 8 },
  { channels: ['alone'], count: 1, payloadBytes: 65536, times: 4 },
];

const COUNTED = ['messagesIn', 'messagesOut', 'acks', 'redeliveries', 'duplicatePublishes'] as const;
type Counted = Record<(typeof COUNTED)[number], number>;

interface Stage {
  readonly store: Store;
  readonly broker: Broker;
  readonly link: MovingLink;
  readonly clients: MadeUpClients;
}

export interface PerformanceOptions {
  readonly kind: 'memory' | 'file';
  readonly broker: BrokerOptions;
  readonly pace: Pace;
  /** How many brokers serve, one after the other. */
  readonly terms: number;
}

/** Brokers that serve made-up clients, each on the store that the one before has left. */
export class Performance {
  /** What the brokers of former terms have counted. */
  readonly #counted = { messagesIn: 0, messagesOut: 0, acks: 0, redeliveries: 0, duplicatePublishes: 0 };
  readonly #options: PerformanceOptions;
  readonly #subjects: StanSubjects;
  readonly #clock: SkippingClock;
  readonly #fs: MemoryFs;
  /** The present broker, or the last one. */
  #stage: Stage | undefined;
  /** The ack inbox of the subscription that is ended at the end. */
  #oneInbox = '';
  #isStopped = false;
  /** Rejects with what a callback has thrown, which nothing awaits. */
  readonly #broken: Promise<never>;
  #fail: (thrown: unknown) => void = () => {};

  constructor(options: PerformanceOptions) {
    this.#options = options;
    this.#broken = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    this.#clock = new SkippingClock(guardedClock(systemClock, this.#fail));
    this.#subjects = stanSubjects(CLUSTER_ID, options.broker.discoverPrefix);
    this.#fs = new MemoryFs(this.#defer);
  }

  /** What the brokers have counted. */
  get counters(): Readonly<Counted> {
    return this.#counted;
  }

  /** What came from the brokers so far. */
  get received(): number {
    return this.#stage?.clients.received ?? 0;
  }

  /** Timers that it has set, and bytes of its files. */
  get timers(): number {
    return this.#clock.timers;
  }

  get bytes(): number {
    return this.#fs.bytes;
  }

  /** Ends all at once: no callback of it runs any more. The last broker and its store stay as they are: see `Rehearsal`. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#stage?.broker.stop();
    this.#stage?.link.close();
    this.#clock.stop();
    this.#fs.end();
  }

  /** Resolves at its end, and never after `stop`. @throws what breaks in it, wherever that is */
  run(): Promise<void> {
    return Promise.race([this.#perform(), this.#broken]);
  }

  async #perform(): Promise<void> {
    const { pace, terms } = this.#options;
    let clients: MadeUpClients | undefined;
    for (let term = 1; term <= terms; term++) {
      await pace.giveWay();
      const store = await this.#openStore(term);
      const isFirst = clients === undefined || store.kind === 'memory';
      if (clients === undefined || isFirst)
        clients = new MadeUpClients(this.#subjects, store.storeId, this.#defer);
      await this.#serve(store, clients, isFirst);
      await this.#act(clients);
      if (term === terms) await this.#leave(clients);
      await pace.giveWay();
      this.#count();
      this.#stage?.broker.stop();
      this.#stage?.link.close();
      await store.close();
    }
    this.stop();
  }

  readonly #defer = (callback: () => void): void => {
    const guardedCallback = guarded(callback, this.#fail);
    setImmediate(() => {
      if (!this.#isStopped) guardedCallback();
    });
  };

  async #openStore(epoch: number): Promise<Store> {
    const clock = this.#clock;
    if (this.#options.kind === 'memory') return new MemoryStore({ clock, random: randomBytes });
    return await openFileStore({
      fs: this.#fs,
      clock,
      random: randomBytes,
      dir: DIR,
      clusterId: CLUSTER_ID,
      epoch,
      fence: () => Promise.resolve(),
      isTested: true,
      warn: () => {},
      measures: new Measures(),
      journalBytes: JOURNAL_BYTES,
      // One for each file: checkpoints are rehearsed too.
      checkpointBytes: JOURNAL_BYTES / 2,
      blockBytes: BLOCK_BYTES,
      cacheBytes: BLOCK_BYTES,
      loadedBytes: BLOCK_BYTES,
    });
  }

  #count(): void {
    const counters = this.#stage?.broker.counters;
    if (counters === undefined) return;
    for (const key of COUNTED) this.#counted[key] += counters[key];
  }

  /** Puts a broker on the store, as a start or a takeover does. */
  async #serve(store: Store, clients: MadeUpClients, isFirst: boolean): Promise<void> {
    const clock = this.#clock;
    const defer = this.#defer;
    const broker = new Broker({
      options: { ...this.#options.broker, clusterId: CLUSTER_ID },
      store,
      clock,
      log: SILENT,
      measures: new Measures(),
      pinger: {
        ping: () =>
          new Promise((resolve) => {
            defer(() => resolve(true));
          }),
      },
      hashSeed: 1,
      random: randomBytes,
      defer,
      onFailed: this.#fail,
    });
    let nats: InProcessNats | undefined;
    const connection = Link.over(
      (sink) => {
        nats = new InProcessNats(sink, defer, (...published) =>
          guarded(() => clients.onPublished(...published), this.#fail)(),
        );
        return { socket: nats, info: SERVER_INFO };
      },
      DROP_ALL,
      {
        // A bug says more of itself by `onBroken`, right after this.
        onDown: (reason) => queueMicrotask(() => this.#fail(new Error(`the link is down: ${reason}`))),
        onBroken: this.#fail,
        onDrain: () => broker.linkDrained(),
      },
      { clock },
    );
    if (nats === undefined) return;
    clients.moveTo(nats);
    const link = new MovingLink(connection, broker, clock, () => broker.linkDrained());
    this.#stage = { store, broker, link, clients };
    if (isFirst) {
      link.handOverTo(broker);
      await broker.linkUp(link);
      await this.#arrive(clients);
      return;
    }
    const subjects = this.#subjects;
    const heard = [publishSubject(subjects), ackSubject(store.storeId), subjects.discover];
    const buffer = new StandbyBuffer(link, heard, clock);
    await buffer.begun;
    const kept = clients.publications('alone', ['alone'], 64, 128);
    for (let i = 0; i < KEPT_READS; i++) {
      clients.publish(kept);
      if (this.#options.pace.isOver) await this.#options.pace.giveWay();
    }
    link.handOverTo(broker);
    const up = broker.linkUp(link, buffer.sids);
    buffer.replay(broker);
    await up;
    // What a client sends again has the guid that it had.
    clients.publishAgain(kept);
  }

  async #arrive(clients: MadeUpClients): Promise<void> {
    for (const name of ['alone', 'one', 'queue', 'fan', 'late']) await clients.connect(name);
    this.#oneInbox = await clients.subscribe('one', 'one', { durableName: 'durable' });
    for (let i = 0; i < QUEUE_MEMBERS; i++)
      await clients.subscribe('queue', 'queue', { queueGroup: 'group' });
    for (let i = 0; i < FAN_OUT; i++) await clients.subscribe('fan', 'fan');
    for (let i = 0; i < CROWD; i++) {
      await clients.connect(`crowd-${i}`);
      await clients.subscribe(`crowd-${i}`, 'crowd', { durableName: 'durable' });
      if (this.#options.pace.isOver) await this.#options.pace.giveWay();
    }
    await clients.subscribe('late', 'late', { isSilent: true, ackWaitSeconds: 5 });
  }

  async #act(clients: MadeUpClients): Promise<void> {
    for (const { channels, count, payloadBytes, times } of PARTS) {
      await this.#publish(clients, clients.publications('alone', channels, count, payloadBytes), times);
    }
    await clients.ping('alone');
    await this.#publish(clients, clients.publications('late', ['late'], 16, 128), 4);
    // Heartbeats are due, and what was not acknowledged comes again.
    this.#clock.skip(LONG_MS);
    await this.#options.pace.giveWay();
    clients.wake();
    this.#clock.skip(LONG_MS);
  }

  async #publish(clients: MadeUpClients, publications: Publications, times: number): Promise<void> {
    const { pace } = this.#options;
    for (let i = 0; i < times; i++) {
      clients.publish(publications);
      await (pace.isOver ? pace.giveWay() : pace.round());
    }
  }

  async #leave(clients: MadeUpClients): Promise<void> {
    await clients.unsubscribe('one', 'one', this.#oneInbox, false);
    for (const name of ['alone', 'one', 'queue', 'fan', 'late']) await clients.close(name);
  }
}
