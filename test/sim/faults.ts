import { Forger } from './forger.js';
import type { Machine, Machines } from './machine.js';
import { SERVERS } from './nats.js';
import type { World } from './world.js';

/** How often faults of each kind are, in a run: whole weights. */
export type FaultWeights = Record<FaultKind, number>;

export type FaultKind =
  | 'kill'
  | 'machine dies'
  | 'pause'
  | 'freeze'
  | 'strike'
  | 'terminate'
  | 'hand over'
  | 'nats reset'
  | 'nats silent'
  | 'one way'
  | 'nats server stops'
  | 'route cut'
  | 'storage hangs'
  | 'storage slow'
  | 'data slow'
  | 'data hangs'
  | 'write error'
  | 'disk full'
  | 'wall clock jumps'
  | 'clock wrong'
  | 'power loss'
  | 'forged talk';

/** Shorter than a lease, about as long, and much longer. */
const PAUSES_MS = [
  [1, 500],
  [500, 2_000],
  [2_000, 9_000],
] as const;
const RESTART_MS = [100, 3_000] as const;
const HOUR_MS = 3_600_000;

/** Brings one fault after the other upon a cluster, and undoes what can be undone. */
export class Faults {
  isOver = false;
  readonly #world: World;
  readonly #cluster: Machines;
  readonly #weights: FaultWeights;
  readonly #everyMs: number;
  #forger: Forger | undefined;

  constructor(cluster: Machines, weights: FaultWeights, everyMs: number) {
    this.#world = cluster.world;
    this.#cluster = cluster;
    this.#weights = weights;
    this.#everyMs = everyMs;
    this.#next();
  }

  /** Everything works again, and keeps working. */
  heal(): void {
    this.isOver = true;
    const { nats, nodes } = this.#cluster;
    nats.healRoutes();
    nats.startServers();
    for (const node of nodes) {
      node.process.strike = () => {};
      node.process.resume();
      node.transport.heal();
      Object.assign(node.host, { failNext: undefined, isFull: false, slowness: 1, dataDelayMs: 0 });
      node.host.heal();
      node.host.healData();
      this.#keepAlive(node);
    }
  }

  /** Starts what has ended, as whoever runs the machines would. */
  #keepAlive(node: Machine): void {
    if (node.process.isDead) node.start();
    this.#world.after(1_000, () => this.#keepAlive(node));
  }

  #next(): void {
    const world = this.#world;
    world.after(world.between(0.1, 1.9) * this.#everyMs, () => {
      if (this.isOver) return;
      this.#strike(world.random.weighted(this.#weights));
      this.#next();
    });
  }

  /** The active more often than the others: there it hurts. */
  #victim(): Machine {
    const world = this.#world;
    const { nodes, active } = this.#cluster;
    if (active !== undefined && world.chance(0.7)) return active;
    return world.random.pick(nodes)!;
  }

  #strike(kind: FaultKind): void {
    const world = this.#world;
    const node = this.#victim();
    const done = (): void => {
      world.count(kind);
      world.note(() => `FAULT ${kind}: ${node.process.name}`);
    };
    if (this.#acts[kind](node)) done();
  }

  /** Each says whether it did something. */
  readonly #acts: Record<FaultKind, (node: Machine) => boolean> = {
    kill: (node) => this.#kill(node, false),
    'machine dies': (node) => this.#cluster.options.storage.isNetwork && this.#kill(node, true),
    pause: (node) => this.#pause(node, 'stopped'),
    freeze: (node) => this.#pause(node, 'frozen'),
    // Whatever it is doing some steps from now: it is killed or paused in the middle of it.
    strike: (node) => {
      const { process } = node;
      let left = this.#world.random.below(200);
      const isKill = this.#world.chance(0.4);
      process.strike = () => {
        if (left-- > 0) return;
        process.strike = () => {};
        if (isKill) this.#world.after(0, () => process === node.process && this.#kill(node, false));
        process.pauseNow(this.#world.chance(0.5) ? 'stopped' : 'frozen');
        this.#world.after(this.#pauseMs(), () => process.resume());
      };
      return true;
    },
    terminate: (node) => {
      if (node.process.isDead) return false;
      node.stop();
      this.#restartLater(node);
      return true;
    },
    'hand over': () => {
      const active = this.#cluster.active;
      if (active === undefined) return false;
      active.process.deliver(() => active.handOver());
      return true;
    },
    'nats reset': (node) => this.#isolate(node, 'reset'),
    'nats silent': (node) => this.#isolate(node, 'silent'),
    'one way': ({ transport }) => {
      const { random } = this.#world;
      const on = random.pick(['data', 'talk'] as const)!;
      const way = random.pick(['send', 'receive'] as const)!;
      transport.breakOneWay({ on, way, isForNew: this.#world.chance(0.5) });
      this.#undoLater([1_000, 8_000], () => transport.heal());
      return true;
    },
    'nats server stops': () => {
      const { nats } = this.#cluster;
      nats.stopServer(this.#world.random.below(SERVERS));
      this.#undoLater([100, 3_000], () => nats.startServers());
      return true;
    },
    'route cut': () => {
      const { nats } = this.#cluster;
      // One server from the others, or one pair.
      const server = this.#world.random.below(SERVERS);
      nats.cutRoute(server, (server + 1) % SERVERS);
      if (this.#world.chance(0.7)) nats.cutRoute(server, (server + 2) % SERVERS);
      this.#undoLater([100, 6_000], () => nats.healRoutes());
      return true;
    },
    'storage hangs': ({ host }) => {
      if (!this.#cluster.options.storage.isNetwork || host.isCut) return false;
      host.cut();
      this.#undoLater([100, 6_000], () => host.heal());
      return true;
    },
    'storage slow': ({ host }) => {
      host.slowness = this.#world.between(5, 60);
      this.#undoLater([500, 4_000], () => {
        host.slowness = 1;
      });
      return true;
    },
    'data slow': ({ host }) => {
      host.dataDelayMs = this.#world.between(300, 5_000);
      this.#undoLater([3_000, 12_000], () => {
        host.dataDelayMs = 0;
      });
      return true;
    },
    // Of any, also of all: it is the one that takes over who reads.
    'data hangs': () => {
      const { nodes, options } = this.#cluster;
      const { host } = this.#world.random.pick(nodes)!;
      if (!options.storage.isNetwork || host.isDataCut) return false;
      host.cutData();
      this.#undoLater([5_000, 40_000], () => host.healData());
      return true;
    },
    'write error': ({ host }) => {
      host.failNext = 'EIO';
      return true;
    },
    'disk full': () => {
      const hosts = this.#cluster.nodes.map(({ host }) => host);
      for (const host of hosts) host.isFull = true;
      this.#undoLater([500, 4_000], () => {
        for (const host of hosts) host.isFull = false;
      });
      return true;
    },
    'wall clock jumps': ({ process }) => {
      process.wallSkewMs += this.#world.between(-30_000, 30_000);
      return true;
    },
    // By hours, also over restarts; then it is put right.
    'clock wrong': (node) => {
      if (node.isClockWrong) return false;
      const byMs = this.#world.between(1, 5) * HOUR_MS;
      node.setClockWrong(this.#world.chance(0.7) ? byMs : -byMs);
      this.#undoLater([5_000, 300_000], () => node.setClockWrong(0));
      return true;
    },
    'power loss': () => {
      const { options, nodes } = this.#cluster;
      if (options.storage.isNetwork) return false;
      this.#cluster.powerLoss();
      for (const node of nodes) {
        node.transport.isolate('reset');
        this.#restartLater(node);
      }
      return true;
    },
    // For the rest of the run, also when all else is well again. A group on an empty folder makes no store while it hears of one.
    'forged talk': () => {
      const group = this.#cluster.groupName;
      if (group === undefined || this.#forger !== undefined || this.#cluster.active === undefined)
        return false;
      this.#forger = new Forger(this.#cluster, group).forge();
      return true;
    },
  };

  #kill(node: Machine, isMachine: boolean): boolean {
    if (node.process.isDead) return false;
    node.kill(isMachine);
    this.#restartLater(node);
    return true;
  }

  #restartLater(node: Machine): void {
    const world = this.#world;
    const look = (): void => {
      if (node.process.isDead) node.start();
      // It is being stopped, and takes its time.
      else if (node.isStopping) world.after(200, look);
    };
    world.after(world.between(...RESTART_MS), look);
  }

  #pause(node: Machine, kind: 'stopped' | 'frozen'): boolean {
    const { process } = node;
    if (process.isDead || process.isPaused) return false;
    process.pauseNow(kind);
    this.#world.after(this.#pauseMs(), () => process.resume());
    return true;
  }

  #pauseMs(): number {
    const [min, max] = this.#world.random.pick(PAUSES_MS)!;
    return this.#world.between(min, max);
  }

  #isolate({ transport }: Machine, kind: 'reset' | 'silent'): boolean {
    transport.isolate(kind);
    this.#undoLater([50, 5_000], () => transport.heal());
    return true;
  }

  #undoLater([min, max]: readonly [number, number], undo: () => void): void {
    this.#world.after(this.#world.between(min, max), undo);
  }
}
