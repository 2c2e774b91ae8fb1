import type { Broker } from '../broker/broker.js';
import type { ServiceProblem } from '../broker/check/service-problem.js';
import type { BelievedTime } from '../clock/believed-time.js';
import type { Clock } from '../clock/clock.js';
import type { ChannelLimitsTable } from '../config/limits-table.js';
import type { ServeConfig } from '../config/serve-config.js';
import { Measures } from '../measures/measures.js';
import type { Health, MonitoredNode, NatsStatus, ServerState } from '../monitor/monitored-node.js';
import { type NatsRefusal, REFUSED_OPERATIONS } from '../nats/refusal.js';
import { namesOf, type Unreadable } from '../store/types/unreadable.js';
import { countsOf } from '../util/counts.js';

type Phase = 'starting' | 'serving' | 'cut off' | 'stopping' | 'failed';

/** A broker without a group, as its owner tells what becomes of it. */
export class BrokerNode implements MonitoredNode {
  readonly clusterId: string;
  readonly name: string;
  readonly serverId: string;
  readonly startedAtMs: number;
  readonly storeKind: 'memory' | 'file';
  readonly storeDir: string | undefined;
  readonly group = undefined;
  readonly measures = new Measures();
  readonly maxChannels: number;
  readonly channelLimits: ChannelLimitsTable;
  /** What `SelfCheck` has found. */
  askProblem: () => ServiceProblem | undefined = () => undefined;

  /** Clients could come at some time. */
  isStarted = false;

  readonly #clock: Clock;
  #phase: Phase = 'starting';
  #broker: Broker | undefined;
  readonly #refusals = countsOf(REFUSED_OPERATIONS);
  #nats: NatsStatus;
  #natsLostBecause = '';
  #failure = '';

  constructor(config: ServeConfig, serverId: string, clock: Clock) {
    this.clusterId = config.clusterId;
    this.name = config.nodeName;
    this.serverId = serverId;
    this.storeKind = config.store.kind;
    this.storeDir = config.store.kind === 'file' ? config.store.dir : undefined;
    this.maxChannels = config.maxChannels;
    this.channelLimits = config.channelLimits;
    this.#clock = clock;
    this.startedAtMs = wallMs(clock);
    this.#nats = {
      isConnected: false,
      server: '',
      sinceMs: this.startedAtMs,
      losses: 0,
      refusals: this.#refusals,
    };
  }

  get broker(): Broker | undefined {
    return this.#broker;
  }

  get nats(): NatsStatus {
    return this.#nats;
  }

  get serviceProblem(): ServiceProblem | undefined {
    return this.askProblem();
  }

  get state(): ServerState {
    if (this.#phase === 'failed') return 'FAILED';
    return this.#phase === 'stopping' ? 'SHUTDOWN' : 'STANDALONE';
  }

  get believed(): BelievedTime | undefined {
    return this.#broker?.store.believed;
  }

  get health(): Health {
    const reasons = storeProblems(this.#broker);
    const clockProblem = this.believed?.problem;
    if (clockProblem !== undefined) reasons.push(clockProblem);
    const problem = this.#nats.isConnected ? this.serviceProblem : undefined;
    const isRunning = this.#phase !== 'stopping' && this.#phase !== 'failed';
    if (problem !== undefined && isRunning && (this.#phase === 'serving' || problem.isOwn)) {
      return problemHealth(problem, reasons);
    }
    switch (this.#phase) {
      case 'serving':
        return { isHealthy: true, isReady: true, reasons };
      case 'starting':
        if (this.#broker === undefined) {
          return { isHealthy: true, isReady: false, reasons: ['starting: opening the store'] };
        }
        if (!this.#nats.isConnected) break;
        return { isHealthy: true, isReady: false, reasons: ['starting: subscribing in NATS', ...reasons] };
      case 'stopping':
        return { isHealthy: false, isReady: false, reasons: ['stopping: it has been asked to'] };
      case 'failed':
        return { isHealthy: false, isReady: false, reasons: [`failed: ${this.#failure}`] };
      case 'cut off':
        if (!this.#nats.isConnected) break;
        return { isHealthy: true, isReady: false, reasons: ['subscribing in NATS again', ...reasons] };
    }
    return { isHealthy: false, isReady: false, reasons: [this.#natsProblem(), ...reasons] };
  }

  /** The store is open and what it held is recovered. */
  recovered(broker: Broker): void {
    this.#broker = broker;
  }

  linkUp(server: string): void {
    this.#nats = { ...this.#nats, isConnected: true, server, sinceMs: wallMs(this.#clock) };
  }

  linkDown(reason: string): void {
    const { server, losses } = this.#nats;
    const refusals = this.#refusals;
    this.#nats = { isConnected: false, server, sinceMs: wallMs(this.#clock), losses: losses + 1, refusals };
    this.#natsLostBecause = reason;
    if (this.#phase === 'serving') this.#phase = 'cut off';
  }

  /** Clients can come. */
  serving(): void {
    this.#phase = 'serving';
    this.isStarted = true;
  }

  stopping(): void {
    if (this.#phase !== 'failed') this.#phase = 'stopping';
  }

  refused({ operation }: NatsRefusal): void {
    this.#refusals[operation]++;
  }

  failed(error: Error): void {
    this.#phase = 'failed';
    this.#failure = error.message;
  }

  #natsProblem(): string {
    const since = new Date(this.#nats.sinceMs).toISOString();
    const why = this.#natsLostBecause === '' ? '' : `: ${this.#natsLostBecause}`;
    return `no connection to NATS since ${since}${why}`;
  }
}

/** A restart does not help against another server; it may end what is wrong with this one. */
export function problemHealth(problem: ServiceProblem, reasons: readonly string[]): Health {
  return { isHealthy: !problem.isOwn, isReady: false, reasons: [problem.text, ...reasons] };
}

/** What is not as it should be with a store, for people. */
export function storeProblems(broker: Broker | undefined): string[] {
  if (broker === undefined) return [];
  const { fullReason, pendingBytes } = broker.store;
  const problems: string[] = [];
  if (fullReason !== undefined) problems.push(`store full, publishers get an error: ${fullReason}`);
  if (pendingBytes > broker.maxPendingBytes) {
    problems.push(`the disk is slow, publishers get an error: ${pendingBytes} bytes wait for it`);
  }
  if (broker.store.timeProblem !== undefined) problems.push(broker.store.timeProblem);
  const damage = damageProblem(broker.store.unreadable);
  if (damage !== undefined) problems.push(damage);
  return problems;
}

/** Health tells of so many places; the log and `stanchion store verify` have them all. */
const MAX_PLACES_TOLD = 3;

/** Messages that cannot be read: who is to get them stands still there. */
function damageProblem(unreadable: Unreadable): string | undefined {
  const places = unreadable.list();
  if (places.length === 0) return undefined;
  const told = places.slice(0, MAX_PLACES_TOLD).map((place) => `${namesOf(place)} (${place.why})`);
  const more = places.length - told.length;
  return (
    `messages cannot be read, and delivery stands still before them: ${told.join('; ')}${more > 0 ? `; and ${more} more` : ''}. ` +
    'See docs/damage.md'
  );
}

function wallMs(clock: Clock): number {
  return Number(clock.wallNs() / 1_000_000n);
}
