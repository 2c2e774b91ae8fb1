import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeConnectionOptions } from '@nats-io/transport-node';
import { ConfigError } from '../config/config-error.js';
import { nodeFs } from '../files/fs.js';
import { statusAnswers } from '../group/report/ask-status.js';
import type { MemberStatus } from '../group/report/member-status.js';
import { machineProcesses, parseHolder } from '../lease/process-identity.js';
import { reachNats } from '../nats/reach.js';
import type { DrillGroup } from './drill-group.js';
import type { FaultKind, PlannedFault, RunningTarget } from './drill-options.js';
import { GroupError } from './watched-group.js';

/** The faults that are signals to the processes of members. */
const SIGNALS: ReadonlySet<FaultKind> = new Set(['term', 'kill', 'pause']);

/** How long a drill waits for two members to answer. */
const MEMBERS_WAIT_MS = 3_000;
const ASK_AGAIN_MS = 200;

/** A running group. The drill asks its members, and signals only those that it may. */
export class RunningDrillGroup implements DrillGroup {
  readonly clusterId: string;
  readonly discoverPrefix: string;
  readonly name: string;
  readonly memberCount: number;
  readonly nats: NodeConnectionOptions;
  readonly #key: Buffer | undefined;

  private constructor(target: RunningTarget, name: string, memberCount: number) {
    this.clusterId = target.clusterId;
    this.name = name;
    this.memberCount = memberCount;
    this.discoverPrefix = target.discoverPrefix;
    this.nats = target.nats;
    this.#key = target.key;
  }

  async groupKey(): Promise<Buffer | undefined> {
    return this.#key;
  }

  /**
   * Finds the group and its members, and changes nothing.
   *
   * @throws ConfigError if the plan is impossible for this group; Error if there is no group, or no standby
   */
  static async find(target: RunningTarget, plan: readonly PlannedFault[]): Promise<RunningDrillGroup> {
    const members = await askForTwo(target);
    const where = `cluster "${target.clusterId}"${target.group === undefined ? '' : `, group "${target.group}"`}`;
    if (members.length === 0)
      throw new Error(
        `no member of ${where} answers at ${[target.nats.servers].flat().join(', ')}${target.key === undefined ? '' : ', and proves to have the key that was given'}`,
      );
    const groups = [...new Set(members.map(({ group }) => group))];
    if (groups.length > 1)
      throw new ConfigError(`${where} has the groups ${groups.join(', ')}: choose one with --ft-group`);
    if (members.length === 1)
      throw new Error(`${where} has only one member, ${members[0].node}: there is no standby to take over`);
    if (target.key === undefined && members.some(({ needsProof }) => needsProof === true))
      throw new ConfigError(
        `${where} follows only who proves to have the key of its store: give the folder of the store with --dir, or its key file with --group-key${target.problem === undefined ? '' : ` (${target.problem})`}`,
      );
    const signals = plan.filter(({ kind }) => SIGNALS.has(kind));
    if (signals.length > 0) {
      if (target.key === undefined)
        throw new ConfigError(
          `--faults ${signals[0].kind} signals the processes that members name, and nothing proves that they are members: give --dir or --group-key`,
        );
      await checkAllAreHere(members, signals[0].kind);
    }
    return new RunningDrillGroup(target, groups[0], members.length);
  }

  /** Members come and go: the active may have joined after the beginning. */
  async checkReach(member: MemberStatus): Promise<void> {
    if (!(await isHere(member)))
      throw new GroupError(`the active, ${member.node} on ${member.host}, is not a process of this machine`);
  }

  signal(member: MemberStatus, signal: NodeJS.Signals): void {
    try {
      process.kill(member.pid, signal);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new GroupError(`${signal} to ${member.node} (pid ${member.pid}) is not possible: ${code}`);
    }
  }

  signalServer(): void {
    throw new GroupError('the nats-servers of a running group are left alone');
  }

  async close(): Promise<undefined> {}
}

/** The members. In a group that has just started, one may not have seen the store yet, and prove nothing; on a busy machine, one may answer late. */
async function askForTwo(target: RunningTarget): Promise<MemberStatus[]> {
  const untilMs = performance.now() + MEMBERS_WAIT_MS;
  for (;;) {
    const members = await ask(target);
    if (members.length > 1 || performance.now() >= untilMs) return members;
    // Where no member is, NATS says so at once.
    await sleep(ASK_AGAIN_MS);
  }
}

async function ask({ nats, clusterId, group, key }: RunningTarget): Promise<MemberStatus[]> {
  const connection = await reachNats(nats);
  try {
    return (await statusAnswers(connection, { clusterId, group, key })).members;
  } finally {
    await connection.close();
  }
}

async function checkAllAreHere(members: readonly MemberStatus[], kind: FaultKind): Promise<void> {
  const elsewhere: string[] = [];
  for (const member of members)
    if (!(await isHere(member))) elsewhere.push(`${member.node} (${member.host})`);
  if (elsewhere.length === 0) return;
  throw new ConfigError(
    `--faults ${kind} signals processes of this machine and container, and ${elsewhere.join(', ')} cannot be seen here. ` +
      'Run the drill there, or with --faults handover',
  );
}

/** Whether the member is a process of this machine and container. Elsewhere its process id would name another process here. */
async function isHere({ host, pid, member }: MemberStatus): Promise<boolean> {
  const processes = machineProcesses(nodeFs, hostname(), process.pid);
  const { start } = await processes.self();
  // The text has boot and container, then the start of the process.
  const world = start.slice(0, start.lastIndexOf('-') + 1);
  const identity = parseHolder(member)?.identity;
  return (
    host === hostname() &&
    world !== '' &&
    identity?.pid === pid &&
    identity.start.startsWith(world) &&
    !(await processes.isDead({ ...identity, host }))
  );
}
