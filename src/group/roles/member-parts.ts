import type { ServiceProblem } from '../../broker/check/service-problem.js';
import type { Clock } from '../../clock/clock.js';
import type { CandidateLock } from '../../lease/candidate-lock.js';
import type { Lease } from '../../lease/lease.js';
import type { StartRenewer } from '../../lease/lease-renewer.js';
import type { StorePlace } from '../../lease/store-anchor.js';
import type { Logger } from '../../log/logger.js';
import type { Measures } from '../../measures/measures.js';
import type { StoreIdentity } from '../../store/file/identity.js';
import type { MemberStatus } from '../report/member-status.js';
import type { GroupClocks } from '../talk/group-clocks.js';
import type { NatsTransport } from '../talk/nats-transport.js';
import type { OpenService } from './service.js';

/** What is needed of the status of a member that says it is active. */
export type OtherActive = Pick<
  MemberStatus,
  'group' | 'node' | 'host' | 'member' | 'epoch' | 'leaseMs' | 'store'
>;

export interface GroupOptions {
  /** Of the group: with the cluster id, it names the subject on which members talk. */
  name: string;
  nodeName: string;
  /** How long an active may be silent before it is replaced. Default 600. */
  leaseMs: number;
}

/** What a member is made of. All that it does to the world goes through these, so that a simulator can own the world. */
export interface MemberParts {
  options: GroupOptions;
  /** Unique for ever: node@host@pid@start, see process-identity.ts. */
  holder: string;
  /** Of the store, for people. */
  dir: string;
  clock: Clock;
  /** What is known of other members' clocks. */
  clocks: GroupClocks;
  log: Logger;
  /** Where renewals are noted. Default: nowhere. */
  measures?: Measures;
  lease: Lease;
  lock: CandidateLock;
  startRenewer: StartRenewer;
  /** Whether the process of a holder is certainly gone. False when in doubt. */
  isDead: (holder: string) => Promise<boolean>;
  /** Whether `dir` leads to the files that it led to when this member first saw a store there. Default: it always does. */
  lookAtPlace?: () => Promise<StorePlace>;
  /** Whose store it is; undefined while it is empty. @throws StoreError if it is none, or another cluster's */
  readIdentity: () => Promise<StoreIdentity | undefined>;
  /** Tries whether the file system can do what a takeover needs. @throws StoreError if not */
  testStore: (epoch: number) => Promise<void>;
  transport: NatsTransport;
  /** Why clients cannot be served through this transport, as `SelfCheck` has it. Default: nothing is known of that. */
  serviceProblem?: () => ServiceProblem | undefined;
  /** Whether any streaming server answers for the cluster id. Default: none is looked for. */
  findServer?: () => Promise<boolean>;
  /** Asks who is active, in all groups of the cluster id. Default: nobody is asked. */
  findActives?: () => Promise<readonly OtherActive[]>;
  openService: OpenService;
}
