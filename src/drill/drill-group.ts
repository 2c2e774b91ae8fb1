import type { NodeConnectionOptions } from '@nats-io/transport-node';
import type { GroupProcesses } from './faults.js';

/** The group that a drill tests. */
export interface DrillGroup extends GroupProcesses {
  readonly clusterId: string;
  readonly discoverPrefix: string;
  readonly name: string;
  /** How many members the group has. */
  readonly memberCount: number;
  /** The key that proves what members answer; undefined while there is no store, and where none was given. */
  groupKey(): Promise<Buffer | undefined>;
  /** How clients connect to NATS. */
  readonly nats: NodeConnectionOptions;
  /**
   * Stops the processes that the drill has started.
   *
   * @param last node of the member to stop last: the active
   * @returns the folder of the files that may show why the drill failed
   */
  close(last: string | undefined, hasFailed: boolean): Promise<string | undefined>;
}
