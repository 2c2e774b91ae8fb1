import type { Broker } from '../../src/broker/broker.js';
import type { ChannelLimits } from '../../src/config/channel-limits.js';
import type { StoreFs } from '../../src/files/fs.js';
import { testFileSystem } from '../../src/files/self-test.js';
import { LOCKS_DIRECTORY } from '../../src/files/store-folder.js';
import { type ActiveServiceOptions, activeService } from '../../src/group/roles/active-service.js';
import { Member } from '../../src/group/roles/member.js';
import type { OpenService } from '../../src/group/roles/service.js';
import { GroupClocks } from '../../src/group/talk/group-clocks.js';
import { decodeGroupMessage } from '../../src/group/talk/group-messages.js';
import { groupSubjects } from '../../src/group/talk/group-subjects.js';
import { type CandidateLock, lockWherePossible } from '../../src/lease/candidate-lock.js';
import { Lease } from '../../src/lease/lease.js';
import { type StartRenewer, startRenewer } from '../../src/lease/lease-renewer.js';
import type { StorePlace } from '../../src/lease/store-anchor.js';
import type { Logger } from '../../src/log/logger.js';
import { stanSubjects } from '../../src/protocol/stan-subjects.js';
import { checkIdentity } from '../../src/store/file/identity.js';
import { Disk } from './disk.js';
import { Host, SimMount, type StorageKind } from './mount.js';
import { SimNats } from './nats.js';
import { SimProcess } from './process.js';
import { SimTransport } from './transport.js';
import type { World } from './world.js';

export const CLUSTER_ID = 'sim';
export const DIR = '/store';
const GROUP = 'g';

/** How the real thing is made wrong on purpose, to see whether the checks notice. */
export interface Mutation {
  fs?(real: StoreFs, node: SimNode): StoreFs;
  startRenewer?(real: StartRenewer, node: SimNode): StartRenewer;
  lease?(real: Lease, node: SimNode): Lease;
  /** Called for each broker that is about to serve. */
  broker?(broker: Broker): void;
  lock?(real: CandidateLock, node: SimNode): CandidateLock;
  /** Where the path of the store leads, on this machine. */
  placeOfStore?(node: SimNode): StorePlace;
  /** It uses the global clock and timers. */
  ownsTime?: boolean;
}

export interface ClusterOptions {
  nodes: number;
  leaseMs: number;
  storage: StorageKind;
  /** The NATS servers that a node connects to. Default: all. */
  serversOf?(node: string): readonly number[];
  limitsFor(channel: string): ChannelLimits;
  /** A member starts when it is connected, as the real one does, and so hears the others first. Default: it does not wait. */
  waitsForNats?: boolean;
  mutation: Mutation;
}

/** The machines, the disk and the network of a run, with a member on each machine. */
export class Cluster {
  readonly world: World;
  readonly options: ClusterOptions;
  readonly disk = new Disk();
  readonly nats: SimNats;
  readonly nodes: SimNode[] = [];
  /** Processes by the name they hold the lease under. */
  readonly processes = new Map<string, SimProcess>();
  /** What no fault explains. */
  readonly problems: string[] = [];
  takeovers = 0;
  /** Who has said that it is active, by epoch. */
  readonly #holders = new Map<number, string>();

  constructor(world: World, options: ClusterOptions) {
    this.world = world;
    this.options = options;
    this.nats = new SimNats(world);
    const shared = options.storage.isNetwork ? undefined : new Host(world, this.disk, options.storage);
    for (let i = 0; i < options.nodes; i++) {
      this.nodes.push(new SimNode(this, `n${i}`, shared ?? new Host(world, this.disk, options.storage)));
    }
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
    const problem = `${holder} and ${member} say that they are active in epoch ${epoch}`;
    if (holder !== member && !this.problems.includes(problem)) this.problems.push(problem);
  }

  /** The one machine that all are on loses its power. */
  powerLoss(): void {
    const { world, disk, options } = this;
    for (const node of this.nodes) node.process.kill();
    this.nodes[0]!.host.crash();
    disk.crash(() => world.chance(0.5));
    const host = new Host(world, disk, options.storage);
    for (const node of this.nodes) node.host = host;
  }
}

/** A machine that runs a member: what dies on it is started again. */
export class SimNode {
  readonly cluster: Cluster;
  readonly name: string;
  host: Host;
  process!: SimProcess;
  mount!: SimMount;
  transport!: SimTransport;
  member!: Member;
  /** It has begun and not ended by itself. */
  isStarted = false;
  isStopping = false;
  /** The machine's wall clock is wrong by so much, also for processes to come. */
  #wrongMs = 0;
  #incarnation = 0;

  constructor(cluster: Cluster, name: string, host: Host) {
    this.cluster = cluster;
    this.name = name;
    this.host = host;
  }

  start(): void {
    const { cluster } = this;
    const { world, options } = cluster;
    const holder = `${this.name}@host-${this.name}@${++this.#incarnation}@boot`;
    const process = new SimProcess(world, holder, {
      rate: world.chance(0.5) ? 1 : world.between(0.98, 1.02),
      wallSkewMs: world.chance(0.5) ? 0 : world.between(-60_000, 60_000),
    });
    process.wallSkewMs += this.#wrongMs;
    this.process = process;
    cluster.processes.set(holder, process);
    this.mount = new SimMount(this.host, process);
    const { mutation } = options;
    const fs = mutation.fs?.(this.mount, this) ?? this.mount;
    const subjects = groupSubjects(CLUSTER_ID, GROUP);
    this.transport = new SimTransport({
      nats: cluster.nats,
      process,
      subjects,
      servers: options.serversOf?.(this.name),
      handler: () => this.member.handler,
      onHandOver: () => void this.member.handOver(),
      onSay: (payload) => cluster.said(payload),
    });
    const { clock } = process;
    const log = this.#logger();
    const clocks = new GroupClocks(clock, log);
    const lease = new Lease(fs, DIR);
    const lock = lockWherePossible(this.#lock(fs), fs, DIR, (message) => log.warn({}, message));
    this.member = new Member(
      {
        options: { name: GROUP, nodeName: this.name, leaseMs: options.leaseMs },
        holder,
        dir: DIR,
        clock,
        clocks,
        log,
        lease: mutation.lease?.(lease, this) ?? lease,
        lock: mutation.lock?.(lock, this) ?? lock,
        startRenewer: mutation.startRenewer?.(startRenewer, this) ?? startRenewer,
        isDead: async (other) => this.#isDeadHere(other),
        lookAtPlace: async () => mutation.placeOfStore?.(this) ?? 'same',
        readIdentity: () => checkIdentity(fs, DIR, CLUSTER_ID),
        testStore: (epoch) => testFileSystem(fs, DIR, epoch, this.#random(6).toString('hex')),
        transport: this.transport,
        openService: this.#opening({
          store: {
            fs,
            clock,
            random: (size) => this.#random(size),
            dir: DIR,
            clusterId: CLUSTER_ID,
            isTested: true,
            believed: clocks.believed,
            continued: () => clocks.continued(),
            warn: (message) => world.note(() => `${holder} warns: ${message}`),
            journalBytes: 1024 * 1024,
            blockBytes: 256 * 1024,
            cacheBytes: 64 * 1024,
            loadedBytes: 256 * 1024,
            maxOpenSegments: 4,
          },
          broker: {
            options: {
              clusterId: CLUSTER_ID,
              discoverPrefix: '_STAN.discover',
              heartbeatIntervalMs: 5_000,
              heartbeatTimeoutMs: 1_000,
              heartbeatFailCount: 20,
              maxChannels: 100,
              limitsFor: (channel) => options.limitsFor(channel),
              maxPendingBytes: 64 * 1024 * 1024,
              replaceDurable: false,
            },
            clock,
            log,
            pinger: this.transport.pinger,
            hashSeed: world.random.below(2 ** 32),
            defer: (callback) => process.after(0, callback),
          },
        }),
      },
      stanSubjects(CLUSTER_ID),
    );
    const { member } = this;
    process.origin = () => `${holder} in epoch ${member.epoch}`;
    member.onFatal = (error) => this.#ended(process, error);
    let role = member.role;
    member.onChanged = () => {
      world.note(() => `${holder} is ${member.role}, epoch ${member.epoch}`);
      if (member.role === 'active' && role !== 'active') cluster.takeovers++;
      role = member.role;
    };
    this.isStarted = true;
    this.isStopping = false;
    this.transport.start();
    const begin = (): void => {
      member.start().catch((error: Error) => this.#ended(process, error));
    };
    if (options.waitsForNats) this.#whenConnected(process, this.transport, begin);
    else begin();
  }

  get isClockWrong(): boolean {
    return this.#wrongMs !== 0;
  }

  /** Sets the machine's wall clock: off by so much from what it should be. */
  setClockWrong(byMs: number): void {
    this.process.wallSkewMs += byMs - this.#wrongMs;
    this.#wrongMs = byMs;
  }

  #whenConnected(process: SimProcess, transport: SimTransport, begin: () => void): void {
    if (transport.link !== undefined) begin();
    else process.after(10, () => this.#whenConnected(process, transport, begin));
  }

  /** SIGTERM. */
  stop(): void {
    if (this.isStopping || this.process.isDead) return;
    this.isStopping = true;
    const { process, member } = this;
    process.deliver(() => {
      member.stop().then(
        () => this.#ended(process, undefined),
        (error: Error) => this.#ended(process, error),
      );
    });
  }

  /** SIGKILL, or the machine with it. */
  kill(isMachine: boolean): void {
    if (this.process.isDead) return;
    this.process.kill();
    this.transport.isolate('reset');
    if (!isMachine) {
      this.host.writeBackLater();
      return;
    }
    this.host.crash();
    this.host = new Host(this.cluster.world, this.cluster.disk, this.cluster.options.storage);
  }

  /** It exits, as a program does that cannot go on. */
  #ended(process: SimProcess, error: Error | undefined): void {
    if (process.isDead) return;
    this.cluster.world.note(() => `${process.name} ends: ${error?.message ?? 'stopped'}`);
    process.kill();
    this.transport.isolate('reset');
    this.isStarted = false;
    if (process === this.process) this.host.writeBackLater();
  }

  #opening(options: ActiveServiceOptions): OpenService {
    const open = activeService(options);
    const { mutation } = this.cluster.options;
    return async (lease) => {
      const service = await open(lease);
      mutation.broker?.(service.broker);
      return service;
    };
  }

  #isDeadHere(holder: string): boolean {
    const process = this.cluster.processes.get(holder);
    if (process === undefined) return false;
    const isHere = !this.cluster.options.storage.isNetwork || holder.startsWith(`${this.name}@`);
    return isHere && process.isDead;
  }

  /** As that of `candidateLock`, over the simulated file system. */
  #lock(fs: StoreFs): CandidateLock {
    const directory = `${DIR}/${LOCKS_DIRECTORY}`;
    return async (epoch) => {
      await fs.makeDirectory(directory);
      const path = `${directory}/${epoch}`;
      try {
        await (await fs.open(path, 'create')).close();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
        throw error;
      }
      return { removeOlder: async () => {}, release: () => fs.unlink(path).catch(() => {}) };
    };
  }

  #random(size: number): Buffer {
    const bytes = Buffer.alloc(size);
    for (let i = 0; i < size; i++) bytes[i] = this.cluster.world.random.below(256);
    return bytes;
  }

  #logger(): Logger {
    const { world } = this.cluster;
    const { process } = this;
    const say =
      (level: string) =>
      (fields: Record<string, unknown>, message: string): void => {
        world.note(() => `${process.name} ${level}: ${message} ${JSON.stringify(fields)}`);
        // What the code itself calls a bug.
        if (message.startsWith('a bug'))
          this.cluster.problems.push(`${process.name}: ${message} ${String(fields.err)}`);
      };
    const logger: Logger = {
      debug: () => {},
      info: say('info'),
      warn: say('warn'),
      error: say('error'),
      child: () => logger,
    };
    return logger;
  }
}
