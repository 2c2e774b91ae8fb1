import type { ServiceProblem } from '../../broker/check/service-problem.js';
import type { Clock } from '../../clock/clock.js';
import type { CandidateLock } from '../../lease/candidate-lock.js';
import type { Lease } from '../../lease/lease.js';
import type { StartRenewer } from '../../lease/lease-renewer.js';
import type { StorePlace } from '../../lease/store-anchor.js';
import type { Logger } from '../../log/logger.js';
import type { Measures } from '../../measures/measures.js';
import type { MemberStatus } from '../report/member-status.js';
import type { GroupClocks } from '../talk/group-clocks.js';
import type { GroupTalk, ProvingStore } from '../talk/group-talk.js';
import type { NatsTransport } from '../talk/nats-transport.js';
import type { OpenService } from './service.js';

/** The needed fields of the status of an active. */
export type OtherActive = Pick<
  MemberStatus,
  'group' | 'node' | 'host' | 'member' | 'epoch' | 'leaseMs' | 'store'
>;

export interface GroupOptions {
  /** Name of the group: with the cluster id it determines the subject on which members talk. */
  name: string;
  nodeName: string;
  /** How long an active may be silent before a standby takes over [600]. */
  leaseMs: number;
}

/** The parts of a member. It acts on the world only through these, so that a simulator can provide the world. */
export interface MemberParts {
  options: GroupOptions;
  /** Unique for ever: node@host@pid@start, see process-identity.ts. */
  holder: string;
  /** Folder of the store, for people. */
  dir: string;
  clock: Clock;
  /** The clocks of the members. */
  clocks: GroupClocks;
  /** The messages between members, and the check of their proofs. */
  talk: GroupTalk;
  log: Logger;
  /** Measurements of renewals. */
  measures?: Measures;
  lease: Lease;
  lock: CandidateLock;
  startRenewer: StartRenewer;
  /** Whether the process of a holder is certainly gone; false in doubt. */
  isDead: (holder: string) => Promise<boolean>;
  /** Whether `dir` still leads to the files to which it led when this member first saw a store there. Without it, it always does. */
  lookAtPlace?: () => Promise<StorePlace>;
  /**
   * Reads the identity of the store; undefined while it is empty.
   *
   * @param isFresh past what a mount remembers of the folder
   * @throws StoreError if it is no store, or another cluster's
   */
  readIdentity: (isFresh: boolean) => Promise<ProvingStore | undefined>;
  /** Tests that the file system can do what a takeover needs. @throws StoreError if not */
  testStore: (epoch: number) => Promise<void>;
  transport: NatsTransport;
  /** Why clients cannot be served through this transport, from `SelfCheck`. Without it there is never a reason. */
  serviceProblem?: () => ServiceProblem | undefined;
  /** Whether any streaming server answers for the cluster id. Without it, the member does not ask. */
  findServer?: () => Promise<boolean>;
  /** Finds the actives of all groups of the cluster id, as far as they are believed. Without it, the member does not ask. */
  findActives?: () => Promise<readonly OtherActive[]>;
  openService: OpenService;
  /** Called when this member is about to contend for the lease. Without it, nothing has to know. */
  onContend?: () => void;
}
