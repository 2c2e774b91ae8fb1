import type { StoreFs } from '../../src/files/fs.js';
import { Lease } from '../../src/lease/lease.js';
import { type LeaseState, NO_LENGTH } from '../../src/lease/lease-state.js';
import { NO_LIMITS } from '../broker/in-memory.js';
import { SimClient, SimPublisher, SimSubscriber } from './clients.js';
import { Cluster } from './cluster.js';
import { Ledger, type StoredMessage } from './ledger.js';
import { LoneBrokers } from './lone.js';
import { DIR, type Machine, type Mutation } from './machine.js';
import type { SimulationResult } from './simulation.js';
import { World } from './world.js';

const LEASE_MS = 600;
const CHANNEL = 'a';
/** A rename and a pause together are shorter than the lease of a lone broker, 3 s, and longer than that of the group. */
const RENAME_MS = [600, 1_300] as const;
const PAUSE_MS = [500, 1_200] as const;
const FAULTS_MS = 8_000;
const RESTART_MS = 500;
const STANDS_STILL_MS = 6_000;
const SETTLE_MS = 30_000;

export interface LoneToGroupResult extends SimulationResult {
  /** Why the lone broker has ended before it was stopped. */
  loneEnds: string[];
  /** How often a member was refused, as the lone broker had the store. */
  refusals: number;
  /** The newest epoch. */
  epoch: number;
}

export interface LoneToGroupOptions {
  /** How a member's lease is made wrong on purpose. */
  member?: Mutation;
  isTraced?: boolean;
}

/**
 * A lone broker on one NATS cluster that is slow and stands still now and then, and two members of a group on another one that are started on
 * its store. With an odd seed the members were there before it: it has found their lease unused, as they stood still. In the end the broker is
 * stopped, and the group goes on.
 */
export async function simulateLoneToGroup(
  seed: number,
  { member = {}, isTraced = false }: LoneToGroupOptions = {},
): Promise<LoneToGroupResult> {
  const world = new World(seed, true);
  const ledger = new Ledger(world);
  let isSlow = false;
  const slowed: Mutation = {
    fs: (real, node) => slowRenames(real, node, () => (isSlow ? world.between(...RENAME_MS) : 0)),
  };
  const storage = {
    isNetwork: true,
    cacheMs: world.random.pick([0, 1_000]) ?? 0,
    lostAnswers: 0,
    slowTails: 0,
  };
  const common = { storage, limitsFor: () => NO_LIMITS };
  const lone = new LoneBrokers(
    world,
    { ...common, mutation: slowed, serversOf: () => [0], prefix: 'lone' },
    1,
  );
  const group = new Cluster(world, {
    ...{ ...common, mutation: member, serversOf: () => [1], prefix: 'm' },
    ...{ nodes: 2, leaseMs: LEASE_MS, beside: lone },
  });
  const broker = lone.nodes[0] as Machine;
  lone.nats.cutRoute(0, 1);
  if (seed % 2 === 1) await standStill(world, group, broker);
  else broker.start();
  await world.run(world.nowMs + SETTLE_MS, () => lone.active !== undefined);
  const publisher = new SimPublisher(new SimClient(lone.nats, ledger, 'p', [0]), {
    channels: [CHANNEL],
    everyMs: 10,
    retryForMs: 20_000,
    payloadBytes: 50,
  });
  await world.run(world.nowMs + 500);
  if (seed % 2 === 0) keepUp(world, group);
  const healsMs = world.nowMs + FAULTS_MS;
  while (world.nowMs < healsMs) {
    isSlow = world.chance(0.6);
    if (world.chance(0.6)) {
      const { process } = broker;
      world.count('pause');
      process.pauseNow(world.chance(0.5) ? 'stopped' : 'frozen');
      await world.run(world.nowMs + world.between(...PAUSE_MS));
      process.resume();
    }
    await world.run(world.nowMs + world.between(500, 2_000));
  }
  isSlow = false;
  await world.run(world.nowMs + 1_000);
  const loneEnds = lone.ends.map(({ error }) => error.message);
  lone.nats.healRoutes();
  if (loneEnds.length === 0) broker.stop();
  await world.run(world.nowMs + SETTLE_MS, () => group.active !== undefined);
  const { acks } = publisher;
  await world.run(world.nowMs + SETTLE_MS, () => publisher.acks > acks + 3);
  if (publisher.acks <= acks + 3) ledger.violation('the group does not go on where the broker has stopped');
  publisher.isStopped = true;
  await world.run(world.nowMs + SETTLE_MS, () => publisher.pendingCount === 0);
  await checkStored(world, group, ledger);
  for (const problem of [...lone.problems, ...group.problems]) ledger.violation(problem);
  for (const end of loneEnds) ledger.violation(`the broker has ended before it was stopped: ${end}`);
  return {
    seed,
    violations: ledger.violations,
    takeovers: lone.takeovers + group.takeovers,
    faults: world.faults,
    eventCount: world.eventCount,
    ms: world.nowMs,
    trace: isTraced ? world.trace : [],
    acked: [...ledger.acked.values()].reduce((sum, { size }) => sum + size, 0),
    loneEnds,
    refusals: world.trace.filter((line) => /\bm\d@\S+ ends: .* is held by node "lone0"/.test(line)).length,
    epoch: group.active?.member.epoch ?? 0,
  };
}

/** A lease of which only the name of its holder counts, as it was once. */
export const goesByItsOwnLease: Mutation = { lease: (_, { mount }) => new LengthlessLease(mount, DIR) };

class LengthlessLease extends Lease {
  override async read(): Promise<LeaseState> {
    return { ...(await super.read()), ...NO_LENGTH };
  }

  override async takeOver(...[known, term]: Parameters<Lease['takeOver']>): Promise<LeaseState | 'lost'> {
    // The name is the one that there is.
    const named = await super.read();
    return super.takeOver(named.counter === known.counter ? named : known, term);
  }
}

/** The group serves, and all its members stand still until the broker has found its lease unused. */
async function standStill(world: World, group: Cluster, broker: Machine): Promise<void> {
  for (const node of group.nodes) node.start();
  await world.run(SETTLE_MS, () => group.active !== undefined);
  await world.run(world.nowMs + 1_000);
  for (const { process } of group.nodes) process.pauseNow('stopped');
  broker.start();
  await world.run(world.nowMs + STANDS_STILL_MS);
  for (const { process } of group.nodes) process.resume();
}

/** Starts the members, and each one that has ended again, as a supervisor does. */
function keepUp(world: World, group: Cluster): void {
  const look = (): void => {
    for (const node of group.nodes) if (!node.isStarted) node.start();
    world.after(RESTART_MS, look);
  };
  look();
}

function slowRenames(
  real: StoreFs,
  { process, cluster: { world } }: Machine,
  delayMs: () => number,
): StoreFs {
  const rename: StoreFs['rename'] = async (from, to) => {
    const ms = delayMs();
    if (ms > 0) {
      world.count('slow rename');
      await new Promise<void>((resolve) => process.after(ms, resolve));
    }
    return await real.rename(from, to);
  };
  return new Proxy(real, {
    get: (target, name) => {
      if (name === 'rename') return rename;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

async function checkStored(world: World, group: Cluster, ledger: Ledger): Promise<void> {
  const stored = new Map<number, StoredMessage>();
  const end = (): number =>
    [...(group.active?.broker?.channels.all() ?? [])].find(({ name }) => name === CHANNEL)?.log
      .lastSequence ?? 0;
  const reader = new SimSubscriber(new SimClient(group.nats, ledger, 'reader'), {
    ...{ channel: CHANNEL, queueGroup: '', durableName: '' },
    ...{ maxInFlight: 1_000, ackShare: 1 },
  });
  reader.onMessage = ({ sequence, timestamp }, guid) => stored.set(sequence, { sequence, guid, timestamp });
  await world.run(world.nowMs + SETTLE_MS, () => end() > 0 && stored.size >= end());
  const sorted = [...stored.values()].sort((x, y) => x.sequence - y.sequence);
  ledger.checkStored(CHANNEL, sorted, false);
}
