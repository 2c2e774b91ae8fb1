import type { Broker } from '../../src/broker/broker.js';
import { testFileSystem } from '../../src/files/self-test.js';
import { type ActiveServiceOptions, activeService } from '../../src/group/roles/active-service.js';
import { HandoverRequests } from '../../src/group/roles/handover-requests.js';
import { Member } from '../../src/group/roles/member.js';
import type { OpenService } from '../../src/group/roles/service.js';
import { GroupClocks } from '../../src/group/talk/group-clocks.js';
import { decodeGroupMessage, type MemberRole } from '../../src/group/talk/group-messages.js';
import { groupSubjects } from '../../src/group/talk/group-subjects.js';
import { GroupTalk } from '../../src/group/talk/group-talk.js';
import { startRenewer } from '../../src/lease/lease-renewer.js';
import { stanSubjects } from '../../src/protocol/stan-subjects.js';
import { checkIdentity } from '../../src/store/file/identity.js';
import {
  BROKER_OPTIONS,
  CLUSTER_ID,
  DIR,
  Machine,
  Machines,
  type MachinesOptions,
  SMALL_STORE,
} from './machine.js';
import type { Host } from './mount.js';
import type { SimProcess } from './process.js';
import { SimTransport } from './transport.js';
import type { World } from './world.js';

const GROUP = 'g';

export interface ClusterOptions extends MachinesOptions {
  nodes: number;
  leaseMs: number;
  /** A member starts when it is connected, as the real one does, and so hears the others first. Default: it does not wait. */
  waitsForNats?: boolean;
}

/** A group: a member on each machine. */
export class Cluster extends Machines {
  declare readonly options: ClusterOptions;
  readonly nodes: readonly SimNode[];
  /** Who has said that it is active, by epoch. */
  readonly #holders = new Map<number, string>();

  constructor(world: World, options: ClusterOptions) {
    super(world, options);
    const host = this.hosts();
    this.nodes = Array.from(
      { length: options.nodes },
      (_, i) => new SimNode(this, `${options.prefix ?? 'n'}${i}`, host()),
    );
  }

  override get groupName(): string {
    return GROUP;
  }

  get active(): SimNode | undefined {
    return this.nodes.find(
      ({ isStarted, process, member }) => isStarted && !process.isDead && member.role === 'active',
    );
  }

  /** A member says something to the others: no two may say that they are active in one epoch. */
  said(payload: Uint8Array): void {
    const message = decodeGroupMessage(payload);
    if (message?.kind !== 'heartbeat' || message.role !== 'active') return;
    const { epoch, member } = message;
    const holder = this.#holders.get(epoch) ?? member;
    this.#holders.set(epoch, holder);
    if (holder !== member) this.problem(`${holder} and ${member} say that they are active in epoch ${epoch}`);
  }
}

/** A machine that runs a member. */
export class SimNode extends Machine {
  readonly cluster: Cluster;
  member!: Member;

  constructor(cluster: Cluster, name: string, host: Host) {
    super(name, host);
    this.cluster = cluster;
  }

  get broker(): Broker | undefined {
    return this.member.broker;
  }

  get state(): string {
    const { name, member, process, transport } = this;
    const role = process.isDead ? 'dead' : `${member.role}, epoch ${member.epoch}`;
    return `${name}: ${role}${transport.link === undefined ? ', no NATS' : ''}${member.health.problem === undefined ? '' : `, ${member.health.problem}`}`;
  }

  start(): void {
    const { cluster } = this;
    const { world, options } = cluster;
    const { process, fs } = this.boot();
    const holder = process.name;
    const { clock } = process;
    const log = this.logger();
    const subjects = groupSubjects(CLUSTER_ID, GROUP);
    const boot = this.random(8).toString('hex');
    const talk = new GroupTalk({ subjects, holder, boot, clock, log });
    const handovers = new HandoverRequests(talk, subjects.handover, holder, this);
    this.transport = new SimTransport({
      nats: cluster.nats,
      process,
      subjects,
      servers: options.serversOf?.(this.name),
      handler: () => this.member.handler,
      onHandOver: (payload) => void handovers.answer(payload),
      onSay: (payload) => cluster.said(payload),
    });
    const clocks = new GroupClocks(clock, log);
    this.member = new Member(
      {
        options: { name: GROUP, nodeName: this.name, leaseMs: options.leaseMs },
        holder,
        dir: DIR,
        clock,
        clocks,
        talk,
        log,
        lease: this.lease(fs),
        lock: this.lock(fs, log),
        startRenewer: this.renewer(startRenewer),
        isDead: (other) => this.isDeadHere(other),
        lookAtPlace: () => this.placeOfStore(),
        readIdentity: () => checkIdentity(fs, DIR, CLUSTER_ID),
        testStore: (epoch) => testFileSystem(fs, DIR, epoch, this.random(6).toString('hex')),
        transport: this.transport,
        openService: this.#opening({
          store: {
            ...SMALL_STORE,
            fs,
            clock,
            random: (size) => this.random(size),
            isTested: true,
            believed: clocks.believed,
            continued: () => clocks.continued(),
            warn: (message) => world.note(() => `${holder} warns: ${message}`),
          },
          broker: {
            options: { ...BROKER_OPTIONS, limitsFor: (channel) => options.limitsFor(channel) },
            clock,
            log,
            pinger: this.transport.pinger,
            hashSeed: world.random.below(2 ** 32),
            random: (size) => world.nameBytes(size),
            defer: (callback) => process.after(0, callback),
          },
        }),
      },
      stanSubjects(CLUSTER_ID),
    );
    const { member } = this;
    process.origin = () => `${holder} in epoch ${member.epoch}`;
    member.onFatal = (error) => this.ended(process, error);
    let role = member.role;
    member.onChanged = () => {
      world.note(() => `${holder} is ${member.role}, epoch ${member.epoch}`);
      if (member.role === 'active' && role !== 'active') cluster.takeovers++;
      role = member.role;
    };
    this.transport.start();
    const begin = (): void => {
      member.start().catch((error: Error) => this.ended(process, error));
    };
    if (options.waitsForNats) this.#whenConnected(process, this.transport, begin);
    else begin();
  }

  get role(): MemberRole {
    return this.member.role;
  }

  get epoch(): number {
    return this.member.epoch;
  }

  override handOver(): string | undefined {
    return this.member.handOver();
  }

  protected stopInOrder(): Promise<void> {
    return this.member.stop();
  }

  #whenConnected(process: SimProcess, transport: SimTransport, begin: () => void): void {
    if (transport.link !== undefined) begin();
    else process.after(10, () => this.#whenConnected(process, transport, begin));
  }

  #opening(options: ActiveServiceOptions): OpenService {
    const open = activeService(options);
    const { mutation } = this.cluster.options;
    return async (term) => {
      const service = await open(term);
      mutation.broker?.(service.broker);
      return service;
    };
  }
}
