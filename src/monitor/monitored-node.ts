import type { Broker } from '../broker/broker.js';
import type { ServiceProblem } from '../broker/check/service-problem.js';
import type { BelievedTime } from '../clock/believed-time.js';
import type { ChannelLimitsTable } from '../config/limits-table.js';
import type { MemberStatus } from '../group/report/member-status.js';
import type { Member } from '../group/roles/member.js';
import type { Measures } from '../measures/measures.js';
import type { NatsRefusal } from '../nats/refusal.js';
import type { ViewAnswer, ViewRequest } from './view.js';

/** The states in the names of the Go server. A lone broker is STANDALONE. */
export type ServerState = 'STANDALONE' | 'FT_ACTIVE' | 'FT_STANDBY' | 'FAILED' | 'SHUTDOWN';

/** A lone broker, or a member of a group, as HTTP and metrics show it. It is read at each request. */
export interface MonitoredNode {
  readonly clusterId: string;
  readonly name: string;
  /** 22 characters; each start of the process has new ones. */
  readonly serverId: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly state: ServerState;
  /** Whether the start is complete: the node has once been active, or watched as a standby. */
  readonly isStarted: boolean;
  readonly storeKind: 'memory' | 'file';
  /** 0 is unlimited. */
  readonly maxChannels: number;
  readonly channelLimits: ChannelLimitsTable;
  /** Undefined before recovery, and on a standby. */
  readonly broker: Broker | undefined;
  readonly nats: NatsStatus;
  readonly health: Health;
  /** Why clients are not served through NATS, or not as they should be: see `SelfCheck`. */
  readonly serviceProblem: ServiceProblem | undefined;
  /** What the node believes of its machine's clock. Undefined before there is a store, or a group. */
  readonly believed: BelievedTime | undefined;
  readonly measures: Measures;
  /** Folder of the file store; undefined without one. */
  readonly storeDir: string | undefined;
  /** Undefined for a lone broker. */
  readonly group: GroupStatus | undefined;
}

/** A group as one of its members sees it. */
export interface GroupStatus {
  readonly name: string;
  readonly leaseMs: number;
  /** Undefined before the node has joined. */
  readonly member: Member | undefined;
  /** The status of this member. Undefined before the node has joined. */
  readonly ownStatus: (() => MemberStatus) | undefined;
  /** Asks all members for their status. Undefined before there is a NATS transport. */
  readonly askMembers: (() => Promise<MemberStatus[]>) | undefined;
  /** Asks the active, for the dashboard. Resolves to undefined if it has not answered. */
  readonly askActive: ((request: ViewRequest) => Promise<ViewAnswer | undefined>) | undefined;
}

export interface NatsStatus {
  readonly isConnected: boolean;
  /** `host:port` of the server, or of the last one; '' before the first. */
  readonly server: string;
  /** Since when it is connected, or not: milliseconds since 1970. */
  readonly sinceMs: number;
  /** Connections lost since the start. */
  readonly losses: number;
  /** Refusals of NATS since the start, by operation. */
  readonly refusals: Readonly<Record<NatsRefusal['operation'], number>>;
}

export interface Health {
  /** Whether the node does its part, or is about to, so that a restart would not help. */
  readonly isHealthy: boolean;
  /** Whether the node does its part now. */
  readonly isReady: boolean;
  /** What is wrong, for people. A healthy node may have reasons too, such as a full store. */
  readonly reasons: readonly string[];
}
