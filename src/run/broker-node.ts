import type { Broker } from '../broker/broker.js';
import type { ServiceProblem } from '../broker/check/service-problem.js';
import type { BelievedTime } from '../clock/believed-time.js';
import type { Clock } from '../clock/clock.js';
import type { ChannelLimitsTable } from '../config/limits-table.js';
import type { ServeConfig } from '../config/serve-config.js';
import { Measures } from '../measures/measures.js';
import type { Health, MonitoredNode, NatsStatus, ServerState } from '../monitor/monitored-node.js';
import type { NatsRefusal } from '../nats/refusal.js';
import { namesOf, type Unreadable } from '../store/types/unreadable.js';
import { NatsRecord, wallMs } from './nats-record.js';

type Phase = 'starting' | 'serving' | 'cut off' | 'stopping' | 'failed';

/** A lone broker, as HTTP and metrics see it. Its owner reports each change. */
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
  /** The problem that `SelfCheck` has found. */
  askProblem: () => ServiceProblem | undefined = () => undefined;

  /** Whether clients could once connect. */
  isStarted = false;

  #phase: Phase = 'starting';
  #broker: Broker | undefined;
  readonly #nats: NatsRecord;
  #failure = '';

  constructor(config: ServeConfig, serverId: string, clock: Clock) {
    this.clusterId = config.clusterId;
    this.name = config.nodeName;
    this.serverId = serverId;
    this.storeKind = config.store.kind;
    this.storeDir = config.store.kind === 'file' ? config.store.dir : undefined;
    this.maxChannels = config.maxChannels;
    this.channelLimits = config.channelLimits;
    this.startedAtMs = wallMs(clock);
    this.#nats = new NatsRecord(clock);
  }

  get broker(): Broker | undefined {
    return this.#broker;
  }

  get nats(): NatsStatus {
    return this.#nats.status;
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
    return { isHealthy: false, isReady: false, reasons: [this.#nats.problem, ...reasons] };
  }

  /** The store is open and recovered. */
  recovered(broker: Broker): void {
    this.#broker = broker;
  }

  linkUp(server: string): void {
    this.#nats.linkUp(server);
  }

  linkDown(reason: string): void {
    this.#nats.linkDown(reason);
    if (this.#phase === 'serving') this.#phase = 'cut off';
  }

  /** Clients can connect. */
  serving(): void {
    this.#phase = 'serving';
    this.isStarted = true;
  }

  stopping(): void {
    if (this.#phase !== 'failed') this.#phase = 'stopping';
  }

  refused(refusal: NatsRefusal): void {
    this.#nats.refused(refusal);
  }

  failed(error: Error): void {
    this.#phase = 'failed';
    this.#failure = error.message;
  }
}

/** The health of a node with a problem. A restart may end a problem of this node, but not one of another server. */
export function problemHealth(problem: ServiceProblem, reasons: readonly string[]): Health {
  return { isHealthy: !problem.isOwn, isReady: false, reasons: [problem.text, ...reasons] };
}

/** The problems of a store, for people. */
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
  const { segmentProblems, shortage } = broker.store;
  if (segmentProblems.length > 0) {
    const shown = shownOf(segmentProblems);
    problems.push(
      `segments are missing or damaged, and nothing that they replace is deleted: ${shown}. See docs/damage.md`,
    );
  }
  if (shortage !== undefined && shortage !== fullReason) problems.push(`files cannot be opened: ${shortage}`);
  return problems;
}

/** Limit of damaged places in the health. The log and `stanchion store verify` have them all. */
const MAX_SHOWN_PLACES = 3;

/** The problem of messages that cannot be read, at which delivery stops. */
function damageProblem(unreadable: Unreadable): string | undefined {
  const places = unreadable.list();
  if (places.length === 0) return undefined;
  const shown = shownOf(places.map((place) => `${namesOf(place)} (${place.why})`));
  return `messages cannot be read, and delivery stops before them: ${shown}. See docs/damage.md`;
}

function shownOf(texts: readonly string[]): string {
  const more = texts.length - MAX_SHOWN_PLACES;
  return `${texts.slice(0, MAX_SHOWN_PLACES).join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}
