import type { NodeConnectionOptions } from '@nats-io/transport-node';

/** The faults of the active, in their default order. */
export const FAULTS = ['term', 'kill', 'pause', 'handover', 'cut'] as const;
export type FaultKind = (typeof FAULTS)[number];

/** A fault, and how many takeovers it shall cause. */
export interface PlannedFault {
  readonly kind: FaultKind;
  readonly takeovers: number;
}

/** A group that the drill starts and stops. */
export interface LocalTarget {
  readonly kind: 'local';
  readonly nodes: number;
  /** Undefined for a temporary folder, which is removed if the drill passes. */
  readonly dir: string | undefined;
}

/** A running group. */
export interface RunningTarget {
  readonly kind: 'running';
  /** Servers and credentials for NATS. */
  readonly nats: NodeConnectionOptions;
  readonly clusterId: string;
  /** The subject of connect requests, without the cluster id. */
  readonly discoverPrefix: string;
  /** Undefined for the only group of the cluster id. */
  readonly group: string | undefined;
  /** The group's key, if it was given. */
  readonly key: Buffer | undefined;
  /** Why there is none, though a folder was given. */
  readonly problem: string | undefined;
  /** Whether the drill may stop, kill and pause members on this host. */
  readonly allowSignals: boolean;
}

export interface DrillOptions {
  readonly target: LocalTarget | RunningTarget;
  readonly plan: readonly PlannedFault[];
  /** How many messages to store before the first fault. */
  readonly messages: number;
  /** Messages per second during the faults. */
  readonly rate: number;
  /** How long the fault `pause` stops a process. */
  readonly pauseMs: number;
  /** Time without a fault between two faults. */
  readonly settleMs: number;
  /** Limit of each takeover, and of the return of the faulted member. */
  readonly timeoutMs: number;
}
