import type { Broker } from '../broker/broker.js';
import type { ServiceProblem } from '../broker/check/service-problem.js';
import type { BelievedTime } from '../clock/believed-time.js';
import type { Clock } from '../clock/clock.js';
import type { ChannelLimitsTable } from '../config/limits-table.js';
import type { ServeConfig } from '../config/serve-config.js';
import type { Member } from '../group/roles/member.js';
import { disputeReason } from '../group/watch/dispute-status.js';
import { Measures } from '../measures/measures.js';
import type {
  GroupStatus,
  Health,
  MonitoredNode,
  NatsStatus,
  ServerState,
} from '../monitor/monitored-node.js';
import type { NatsRefusal } from '../nats/refusal.js';
import { storeProblems } from './broker-node.js';
import { NatsRecord, wallMs } from './nats-record.js';

/** The configuration of a member of a group. */
export type MemberConfig = ServeConfig & {
  readonly group: NonNullable<ServeConfig['group']>;
  readonly store: Extract<ServeConfig['store'], { kind: 'file' }>;
};

/** A member of a group, as HTTP and metrics see it. The same paths answer on an active and on a standby. */
export class MemberNode implements MonitoredNode {
  readonly clusterId: string;
  readonly name: string;
  readonly serverId: string;
  readonly startedAtMs: number;
  readonly storeKind = 'file';
  readonly storeDir: string;
  readonly measures = new Measures();
  readonly maxChannels: number;
  readonly channelLimits: ChannelLimitsTable;
  /** Whether it was once a standby or active. */
  isStarted = false;
  /** Undefined before the member is made. */
  member: Member | undefined;
  ownStatus: GroupStatus['ownStatus'];
  askMembers: GroupStatus['askMembers'];
  askActive: GroupStatus['askActive'];

  readonly #group: MemberConfig['group'];
  readonly #nats: NatsRecord;
  #failure: string | undefined;

  constructor(config: MemberConfig, serverId: string, clock: Clock) {
    this.clusterId = config.clusterId;
    this.name = config.nodeName;
    this.serverId = serverId;
    this.storeDir = config.store.dir;
    this.#group = config.group;
    this.maxChannels = config.maxChannels;
    this.channelLimits = config.channelLimits;
    this.startedAtMs = wallMs(clock);
    this.#nats = new NatsRecord(clock);
  }

  get group(): GroupStatus {
    const { name, leaseMs } = this.#group;
    const { member, ownStatus, askMembers, askActive } = this;
    return { name, leaseMs, member, ownStatus, askMembers, askActive };
  }

  get broker(): Broker | undefined {
    return this.member?.broker;
  }

  get nats(): NatsStatus {
    return this.#nats.status;
  }

  get serviceProblem(): ServiceProblem | undefined {
    return this.member?.health.serviceProblem;
  }

  get state(): ServerState {
    if (this.#failure !== undefined) return 'FAILED';
    const role = this.member?.role;
    if (role === 'stopping') return 'SHUTDOWN';
    return role === 'active' ? 'FT_ACTIVE' : 'FT_STANDBY';
  }

  get believed(): BelievedTime | undefined {
    return this.member?.clocks.believed;
  }

  get health(): Health {
    if (this.#failure !== undefined) {
      return { isHealthy: false, isReady: false, reasons: [`failed: ${this.#failure}`] };
    }
    const role = this.member?.role ?? 'starting';
    if (role === 'stopping') {
      return { isHealthy: false, isReady: false, reasons: ['stopping: it has been asked to'] };
    }
    const reasons = storeProblems(this.broker);
    const dispute = this.member?.dispute;
    // In a dispute the member still does its part, in turns.
    if (dispute !== undefined) reasons.push(disputeReason(dispute));
    reasons.push(...(this.member?.health.impairments ?? []));
    const problem = this.#nats.isConnected ? this.member?.health.problem : this.#nats.problem;
    if (problem !== undefined) return { isHealthy: false, isReady: false, reasons: [problem, ...reasons] };
    if (role === 'starting')
      return { isHealthy: true, isReady: false, reasons: ['starting: joining the group'] };
    if (role === 'recovering') {
      return { isHealthy: true, isReady: false, reasons: ['taking over: recovering the store', ...reasons] };
    }
    // A problem that is not this member's own is another server that answers clients: a restart does not help.
    return { isHealthy: true, isReady: role === 'standby' || this.serviceProblem === undefined, reasons };
  }

  linkUp(server: string): void {
    this.#nats.linkUp(server);
  }

  linkDown(reason: string): void {
    this.#nats.linkDown(reason);
  }

  refused(refusal: NatsRefusal): void {
    this.#nats.refused(refusal);
  }

  failed(error: Error): void {
    this.#failure = error.message;
  }
}
