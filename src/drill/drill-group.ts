import type { NodeConnectionOptions } from '@nats-io/transport-node';
import type { GroupProcesses } from './faults.js';

/** The group that a drill is about. */
export interface DrillGroup extends GroupProcesses {
  readonly clusterId: string;
  readonly discoverPrefix: string;
  readonly name: string;
  /** Members that there should be. */
  readonly memberCount: number;
  /** How clients connect to NATS. */
  readonly nats: NodeConnectionOptions;
  /**
   * Ends what the drill has started.
   *
   * @param last node of the member that goes last: the active
   * @returns where files are that may tell why the drill failed
   */
  close(last: string | undefined, hasFailed: boolean): Promise<string | undefined>;
}
