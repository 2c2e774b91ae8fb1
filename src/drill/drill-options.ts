import type { NodeConnectionOptions } from '@nats-io/transport-node';

/** What a drill does to the active, in the order in which it does it if nobody says otherwise. */
export const FAULTS = ['term', 'kill', 'pause', 'handover', 'cut'] as const;
export type FaultKind = (typeof FAULTS)[number];

/** A fault, and how many takeovers are to come of it. */
export interface PlannedFault {
  readonly kind: FaultKind;
  readonly takeovers: number;
}

/** A group that the drill starts, and stops. */
export interface LocalTarget {
  readonly kind: 'local';
  readonly nodes: number;
  /** Undefined: a fresh one, which is removed if all went well. */
  readonly dir: string | undefined;
}

/** A group that serves already. */
export interface RunningTarget {
  readonly kind: 'running';
  /** How to connect to NATS: which servers, and who one is. */
  readonly nats: NodeConnectionOptions;
  readonly clusterId: string;
  /** Of the subject of connect requests, without the cluster id. */
  readonly discoverPrefix: string;
  /** Undefined: the only one of the cluster id. */
  readonly group: string | undefined;
  /** Whether members on this host may be stopped, killed and paused. */
  readonly allowSignals: boolean;
}

export interface DrillOptions {
  readonly target: LocalTarget | RunningTarget;
  readonly plan: readonly PlannedFault[];
  /** Stored before the first fault. */
  readonly messages: number;
  /** Messages a second, while faults come and go. */
  readonly rate: number;
  /** How long a paused process is paused. */
  readonly pauseMs: number;
  /** Undisturbed work between two faults. */
  readonly settleMs: number;
  /** For each takeover, and for a member that was struck to come back. */
  readonly timeoutMs: number;
}
