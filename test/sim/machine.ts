import type { Broker } from '../../src/broker/broker.js';
import type { ChannelLimits } from '../../src/config/channel-limits.js';
import type { StoreFs } from '../../src/files/fs.js';
import { LOCKS_DIRECTORY } from '../../src/files/store-folder.js';
import { type CandidateLock, lockWherePossible } from '../../src/lease/candidate-lock.js';
import { Lease } from '../../src/lease/lease.js';
import type { StartRenewer } from '../../src/lease/lease-renewer.js';
import type { StorePlace } from '../../src/lease/store-anchor.js';
import type { Logger } from '../../src/log/logger.js';
import { Disk } from './disk.js';
import { Host, SimMount, type StorageKind } from './mount.js';
import { SimNats } from './nats.js';
import { SimProcess } from './process.js';
import type { SimTransport } from './transport.js';
import type { World } from './world.js';

export const CLUSTER_ID = 'sim';
export const DIR = '/store';

/** How the real thing is made wrong on purpose, to see whether the checks notice. */
export interface Mutation {
  fs?(real: StoreFs, node: Machine): StoreFs;
  startRenewer?(real: StartRenewer, node: Machine): StartRenewer;
  lease?(real: Lease, node: Machine): Lease;
  /** Called for each broker that is about to serve. */
  broker?(broker: Broker): void;
  lock?(real: CandidateLock, node: Machine): CandidateLock;
  /** Where the path of the store leads, on this machine. */
  placeOfStore?(node: Machine): StorePlace;
  /** It uses the global clock and timers. */
  ownsTime?: boolean;
}

export interface MachinesOptions {
  storage: StorageKind;
  /** The NATS servers that a node connects to. Default: all. */
  serversOf?(node: string): readonly number[];
  limitsFor(channel: string): ChannelLimits;
  mutation: Mutation;
  /** Other machines with the same disk and network. */
  beside?: Machines;
  /** How the names of machines begin. Default n. */
  prefix?: string;
}

/** The machines, the disk and the network of a run, with brokers of one cluster id on one store. */
export abstract class Machines {
  readonly world: World;
  readonly options: MachinesOptions;
  readonly disk: Disk;
  readonly nats: SimNats;
  abstract readonly nodes: readonly Machine[];
  /** Processes by the name they hold the lease under. */
  readonly processes: Map<string, SimProcess>;
  /** What no fault explains. */
  readonly problems: string[] = [];
  /** How often a broker has begun to serve. */
  takeovers = 0;

  constructor(world: World, options: MachinesOptions) {
    this.world = world;
    this.options = options;
    const { beside } = options;
    this.disk = beside?.disk ?? new Disk();
    this.processes = beside?.processes ?? new Map();
    this.nats = beside?.nats ?? new SimNats(world);
  }

  /** The name of their group; undefined without one. */
  get groupName(): string | undefined {
    return undefined;
  }

  /** The one whose broker serves. */
  abstract get active(): Machine | undefined;

  /** @returns what makes hosts: with a local disk, all processes are on one */
  protected hosts(): () => Host {
    const { world, disk, options } = this;
    const shared = options.storage.isNetwork ? undefined : new Host(world, disk, options.storage);
    return () => shared ?? new Host(world, disk, options.storage);
  }

  problem(text: string): void {
    if (!this.problems.includes(text)) this.problems.push(text);
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

/** A machine that runs a broker: what dies on it is started again. */
export abstract class Machine {
  abstract readonly cluster: Machines;
  readonly name: string;
  host: Host;
  process!: SimProcess;
  mount!: SimMount;
  transport!: SimTransport;
  /** It has begun and not ended by itself. */
  isStarted = false;
  isStopping = false;
  /** The machine's wall clock is wrong by so much, also for processes to come. */
  #wrongMs = 0;
  #incarnation = 0;

  constructor(name: string, host: Host) {
    this.name = name;
    this.host = host;
  }

  abstract get broker(): Broker | undefined;

  /** For people. */
  abstract get state(): string;

  abstract start(): void;

  /** Ends when the broker has been stopped in order. */
  protected abstract stopInOrder(): Promise<void>;

  /** A request to give the lease to another member. */
  handOver(): string | undefined {
    return 'it is in no group';
  }

  /** The next process, with the file system as it sees it. */
  protected boot(): { process: SimProcess; fs: StoreFs } {
    const { world, options, processes } = this.cluster;
    const holder = `${this.name}@host-${this.name}@${++this.#incarnation}@boot`;
    const process = new SimProcess(world, holder, {
      rate: world.chance(0.5) ? 1 : world.between(0.98, 1.02),
      wallSkewMs: world.chance(0.5) ? 0 : world.between(-60_000, 60_000),
    });
    process.wallSkewMs += this.#wrongMs;
    this.process = process;
    processes.set(holder, process);
    this.mount = new SimMount(this.host, process);
    this.isStarted = true;
    this.isStopping = false;
    return { process, fs: options.mutation.fs?.(this.mount, this) ?? this.mount };
  }

  get isClockWrong(): boolean {
    return this.#wrongMs !== 0;
  }

  /** Sets the machine's wall clock: off by so much from what it should be. */
  setClockWrong(byMs: number): void {
    this.process.wallSkewMs += byMs - this.#wrongMs;
    this.#wrongMs = byMs;
  }

  /** SIGTERM. */
  stop(): void {
    if (this.isStopping || this.process.isDead) return;
    this.isStopping = true;
    const { process } = this;
    process.deliver(() => {
      this.stopInOrder().then(
        () => this.ended(process, undefined),
        (error: Error) => this.ended(process, error),
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
  protected ended(process: SimProcess, error: Error | undefined): void {
    if (process.isDead) return;
    this.cluster.world.note(() => `${process.name} ends: ${error?.message ?? 'stopped'}`);
    process.kill();
    this.transport.isolate('reset');
    this.isStarted = false;
    if (process === this.process) this.host.writeBackLater();
  }

  /** Whether the process of a holder is known to be dead on this machine. */
  protected async isDeadHere(holder: string): Promise<boolean> {
    const process = this.cluster.processes.get(holder);
    if (process === undefined) return false;
    const isHere = !this.cluster.options.storage.isNetwork || holder.startsWith(`${this.name}@`);
    return isHere && process.isDead;
  }

  protected lease(fs: StoreFs): Lease {
    const lease = new Lease(fs, DIR);
    return this.cluster.options.mutation.lease?.(lease, this) ?? lease;
  }

  protected renewer(real: StartRenewer): StartRenewer {
    return this.cluster.options.mutation.startRenewer?.(real, this) ?? real;
  }

  /** As that of `candidateLock`, over the simulated file system. */
  protected lock(fs: StoreFs, log: Logger): CandidateLock {
    const directory = `${DIR}/${LOCKS_DIRECTORY}`;
    const file: CandidateLock = async (epoch) => {
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
    const lock = lockWherePossible(file, fs, DIR, (message) => log.warn({}, message));
    return this.cluster.options.mutation.lock?.(lock, this) ?? lock;
  }

  protected async placeOfStore(): Promise<StorePlace> {
    return this.cluster.options.mutation.placeOfStore?.(this) ?? 'same';
  }

  protected random(size: number): Buffer {
    const bytes = Buffer.alloc(size);
    for (let i = 0; i < size; i++) bytes[i] = this.cluster.world.random.below(256);
    return bytes;
  }

  protected logger(): Logger {
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

/** How a store is opened in a run, but for what belongs to a process: small, so that files follow each other soon. */
export const SMALL_STORE = {
  dir: DIR,
  clusterId: CLUSTER_ID,
  journalBytes: 1024 * 1024,
  // Two files, most often.
  checkpointBytes: 1024 * 1024,
  blockBytes: 256 * 1024,
  cacheBytes: 64 * 1024,
  loadedBytes: 256 * 1024,
  maxOpenSegments: 4,
} as const;

/** How brokers of a run behave, but for the limits of channels. */
export const BROKER_OPTIONS = {
  clusterId: CLUSTER_ID,
  discoverPrefix: '_STAN.discover',
  heartbeatIntervalMs: 5_000,
  heartbeatTimeoutMs: 1_000,
  heartbeatFailCount: 20,
  maxChannels: 100,
  maxPendingBytes: 64 * 1024 * 1024,
  replaceDurable: false,
} as const;
