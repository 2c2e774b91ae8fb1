import type { Broker } from '../broker/broker.js';
import type { ServiceProblem } from '../broker/check/service-problem.js';
import type { BelievedTime } from '../clock/believed-time.js';
import type { ChannelLimitsTable } from '../config/limits-table.js';
import type { MemberStatus } from '../group/report/member-status.js';
import type { Member } from '../group/roles/member.js';
import type { Measures } from '../measures/measures.js';
import type { NatsRefusal } from '../nats/refusal.js';
import type { ViewAnswer, ViewRequest } from './view.js';

/** As the Go server calls them. A broker without a group is STANDALONE. */
export type ServerState = 'STANDALONE' | 'FT_ACTIVE' | 'FT_STANDBY' | 'FAILED' | 'SHUTDOWN';

/** What is told over HTTP and in metrics: of a broker alone, or of a member of a group. Read when somebody asks. */
export interface MonitoredNode {
  readonly clusterId: string;
  readonly name: string;
  /** 22 characters, new with each start of the process. */
  readonly serverId: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly state: ServerState;
  /** The start is complete: it has served clients, or watched as a standby. True from then on. */
  readonly isStarted: boolean;
  readonly storeKind: 'memory' | 'file';
  /** 0 is unlimited. */
  readonly maxChannels: number;
  readonly channelLimits: ChannelLimitsTable;
  /** Undefined while there is none: before it has recovered, and on a standby. */
  readonly broker: Broker | undefined;
  readonly nats: NatsStatus;
  readonly health: Health;
  /** Why clients are not served through NATS, or not as they should be: see `SelfCheck`. */
  readonly serviceProblem: ServiceProblem | undefined;
  /** What it believes of its machine's clock. Undefined before there is a store, or a group. */
  readonly believed: BelievedTime | undefined;
  readonly measures: Measures;
  /** Of the file store; undefined without one. */
  readonly storeDir: string | undefined;
  /** Undefined for a broker without a group. */
  readonly group: GroupStatus | undefined;
}

/** What a member of a group tells of it. */
export interface GroupStatus {
  readonly name: string;
  readonly leaseMs: number;
  /** Undefined before it has joined. */
  readonly member: Member | undefined;
  /** What this member answers when it is asked how it is. Undefined before it has joined. */
  readonly ownStatus: (() => MemberStatus) | undefined;
  /** Asks all members how they are. Undefined before there is a place in NATS. */
  readonly askMembers: (() => Promise<MemberStatus[]>) | undefined;
  /** Asks the active one, for the dashboard. Ends with undefined if it has not answered. */
  readonly askActive: ((request: ViewRequest) => Promise<ViewAnswer | undefined>) | undefined;
}

export interface NatsStatus {
  readonly isConnected: boolean;
  /** `host:port`, '' if there was none yet. */
  readonly server: string;
  /** Since when it is, or is not, connected: milliseconds since 1970. */
  readonly sinceMs: number;
  /** Connections lost since the start. */
  readonly losses: number;
  /** What NATS has refused since the start, by operation. */
  readonly refusals: Readonly<Record<NatsRefusal['operation'], number>>;
}

export interface Health {
  /** It does its part, or is about to: a restart would help nobody. */
  readonly isHealthy: boolean;
  /** It does its part now. */
  readonly isReady: boolean;
  /** What is not as it should be, for people. A healthy node may have reasons too, as a store without room. */
  readonly reasons: readonly string[];
}
