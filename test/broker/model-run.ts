import assert from 'node:assert/strict';
import { StartPosition } from '../../src/protocol/messages.js';
import { ack, close, connect, end, ping, publish, subscribe } from './model-actions.js';
import { checkConsistency } from './model-consistency.js';
import { SeededRandom } from './model-random.js';
import type { ModelSubscription } from './model-receiver.js';
import { type ModelConnection, ModelWorld } from './model-world.js';

const STEPS = 120;
/** More than ack waits, retries of reads and small windows take. */
const ROUNDS_TO_REST = 40;
const CLIENTS = ['a', 'b', 'c', 'd'];
const CHANNELS = ['foo', 'bar'];
const START_POSITIONS = [
  StartPosition.NEW_ONLY,
  StartPosition.LAST_RECEIVED,
  StartPosition.TIME_DELTA_START,
  StartPosition.SEQUENCE_START,
  StartPosition.FIRST,
  StartPosition.FIRST,
];

/** What is one message to the broker. */
const CLIENT_WEIGHTS = {
  connect: 6,
  close: 2,
  ping: 2,
  publish: 25,
  publishStale: 1,
  subscribe: 14,
  ack: 20,
  ackStrange: 4,
  end: 5,
  endEnded: 1,
};

const WEIGHTS = {
  ...CLIENT_WEIGHTS,
  die: 2,
  revive: 3,
  pass: 14,
  linkDown: 1,
  linkUp: 6,
  congest: 2,
  drain: 4,
  slow: 2,
  release: 5,
  cool: 8,
  load: 8,
  loadFails: 1,
  search: 4,
  defer: 2,
  restart: 1,
};

/** One random life of a broker. @returns what went wrong, and the story up to there */
export async function runModel(seed: number): Promise<string | undefined> {
  const random = new SeededRandom(seed);
  const world = new ModelWorld(random, random.pick([0, 0, 5, 20])!);
  try {
    await world.linkUp();
    const weights = varied(random, WEIGHTS);
    const hasColdMemory = random.chance(30);
    const clientWeights = varied(random, CLIENT_WEIGHTS);
    for (let step = 0; step < STEPS; step++) {
      await act(world, random.weighted(weights));
      await world.settle();
      if (hasColdMemory && random.chance(40)) {
        for (const log of world.store.logs.values()) log.cool(log.lastSequence);
      }
      // Some in the same read.
      while (random.chance(60)) void act(world, random.weighted(clientWeights));
      await world.settle();
      if (random.chance(30)) continue;
      await world.endBatch();
      checkConsistency(world.broker);
    }
    await bringToRest(world);
    return undefined;
  } catch (error) {
    return `${error instanceof Error ? error.stack : error}\n${world.story}`;
  } finally {
    world.broker.stop();
  }
}

/** Each life has its own mixture: what is rare among everything else happens often in some. */
function varied<T extends Record<string, number>>(random: SeededRandom, weights: T): T {
  const factors = [0, 1, 1, 1, 5];
  const entries = Object.entries(weights).map(([key, weight]) => [key, weight * random.pick(factors)!]);
  return { ...weights, ...Object.fromEntries(entries), connect: weights.connect, publish: weights.publish };
}

function act(world: ModelWorld, action: keyof typeof WEIGHTS): Promise<void> | void {
  const { random, store } = world;
  const connection = random.pick([...world.connections.values()]);
  const sub = connection && random.pick([...connection.subscriptions]);
  switch (action) {
    case 'connect':
      return connect(world, random.pick(CLIENTS)!);
    case 'close':
      return connection && close(world, connection);
    case 'die':
      if (connection) connection.isAlive = false;
      return;
    case 'revive':
      for (const each of world.connections.values()) world.revive(each);
      return;
    case 'ping':
      return connection && ping(world, connection);
    case 'publish':
      if (!connection) return;
      for (let left = 1 + random.below(3); left > 0; left--) {
        publish(world, connection.connId, connection.clientId, random.pick(CHANNELS)!);
      }
      return;
    case 'publishStale':
      return publish(world, 'nobody-0', random.pick(CLIENTS)!, random.pick(CHANNELS)!);
    case 'subscribe':
      return connection && subscribeSomehow(world, connection);
    case 'ack':
      return sub && ackSome(world, sub);
    case 'ackStrange': {
      const any = random.pick([...world.byInbox.values()]);
      return any && ack(world, any, random.below(any.receiver.channel.last + 3));
    }
    case 'end':
      return sub && end(world, sub, random.chance(50) ? 'close' : 'unsubscribe');
    case 'endEnded': {
      const ended = random.pick([...world.byInbox.values()].filter(({ isEnded }) => isEnded));
      return ended && end(world, ended, 'close');
    }
    case 'pass':
      return world.pass(random.pick([10, 50, 200, 600, 1100])!);
    case 'linkDown':
      return world.linkDown();
    case 'linkUp':
      return world.linkUp();
    case 'congest':
      if (world.link) world.link.isCongested = true;
      return;
    case 'drain':
      return drain(world);
    case 'slow':
      store.isSlow = true;
      return;
    case 'release':
      return store.releaseCommits();
    case 'cool': {
      const log = random.pick([...store.logs.values()]);
      return log?.cool(random.chance(50) ? log.lastSequence : random.below(log.lastSequence + 1));
    }
    case 'load':
      for (const load of store.loads.splice(random.below(store.loads.length), 1 + random.below(8)))
        load.finish();
      return world.settle();
    case 'loadFails':
      store.loads.shift()?.fail(new Error('unreadable'));
      return world.settle();
    case 'search':
      store.searches.shift()?.finish();
      return world.settle();
    case 'defer':
      return world.runDeferred();
    case 'restart':
      return world.restart();
  }
}

function drain(world: ModelWorld): void {
  if (!world.link?.isCongested) return;
  world.link.isCongested = false;
  world.broker.linkDrained();
}

function subscribeSomehow(world: ModelWorld, connection: ModelConnection): void {
  const { random } = world;
  const kind = random.weighted({ plain: 3, durable: 5, group: 4, durableGroup: 4 });
  subscribe(world, {
    connection,
    channelName: random.pick(CHANNELS)!,
    durableName: kind === 'durable' || kind === 'durableGroup' ? random.pick(['d', 'e'])! : '',
    queueGroup: kind === 'group' || kind === 'durableGroup' ? random.pick(['g', 'h'])! : '',
    maxInFlight: random.pick([1, 2, 5, 100])!,
    ackWaitSeconds: random.pick([1, 2, 3])!,
    startPosition: random.pick(START_POSITIONS)!,
    startSequence: random.below(8),
    startDeltaMs: random.below(5000),
  });
}

function pending(sub: ModelSubscription): number[] {
  return [...sub.receiver.messages]
    .filter(([, { holder, isAcked }]) => holder === sub && !isAcked)
    .map(([at]) => at);
}

function ackSome(world: ModelWorld, sub: ModelSubscription): void {
  const { random } = world;
  const all = pending(sub);
  if (random.chance(30)) all.reverse();
  const some = random.chance(50) ? all : all.filter(() => random.chance(50));
  for (const sequence of some) {
    ack(world, sub, sequence);
    if (random.chance(5)) ack(world, sub, sequence);
  }
}

/** Everybody answers, and acknowledges all: then everybody has everything, and nothing is left over. */
async function bringToRest(world: ModelWorld): Promise<void> {
  await world.endBatch();
  const { store } = world;
  await world.linkUp();
  for (const connection of world.connections.values()) world.revive(connection);
  // Until all checks of owners have ended.
  await world.pass(700);
  for (let round = 0; round < ROUNDS_TO_REST; round++) {
    if (round > 3 && isAtRest(world)) break;
    drain(world);
    store.releaseCommits();
    for (const log of store.logs.values()) log.cool(0);
    for (const each of [...store.loads.splice(0), ...store.searches.splice(0)]) each.finish();
    world.runDeferred();
    for (const connection of world.connections.values()) world.revive(connection);
    await world.settle();
    if (round === 1) await bringDurablesBack(world);
    while (ackAll(world) > 0) await world.endBatch();
    await world.pass(400);
  }
  checkConsistency(world.broker);
  for (const receiver of world.receivers.values()) {
    assert.ok(receiver.online.size > 0, `${receiver.key} is online`);
    assert.deepEqual(receiver.missing(), [], `${receiver.key} did not get, or could not acknowledge`);
  }
  for (const sub of world.broker.subscriptions.values()) {
    const { key } = world.byInbox.get(sub.inbox)!.receiver;
    assert.deepEqual(sub.inFlight.sorted(), [], `in flight at ${key}`);
    assert.deepEqual(sub.group?.orphans.sorted() ?? [], [], `orphans of ${key}`);
  }
  assert.equal(store.strayRecords, 0, 'records of subscriptions that the store does not know');
}

function isAtRest(world: ModelWorld): boolean {
  for (const receiver of world.receivers.values()) {
    if (receiver.online.size === 0 || receiver.missing().length > 0) return false;
  }
  return [...world.broker.subscriptions.values()].every(
    ({ inFlight, group }) => inFlight.size === 0 && (group?.orphans.size ?? 0) === 0,
  );
}

/** @returns how many */
function ackAll(world: ModelWorld): number {
  let count = 0;
  for (const { online } of world.receivers.values()) {
    for (const sub of online) {
      for (const sequence of pending(sub)) {
        ack(world, sub, sequence);
        count++;
      }
    }
  }
  return count;
}

async function bringDurablesBack(world: ModelWorld): Promise<void> {
  for (const clientId of CLIENTS) if (!world.connections.has(clientId)) connect(world, clientId);
  await world.endBatch();
  await world.pass(200);
  for (const receiver of world.receivers.values()) {
    if (receiver.online.size > 0) continue;
    const [kind, channelName, second, third] = receiver.key.split(' ');
    const connection = world.connections.get(kind === 'durable' ? second! : CLIENTS[0]!)!;
    subscribe(world, {
      connection,
      channelName: channelName!,
      durableName: kind === 'durable' ? third! : second!,
      queueGroup: kind === 'durable' ? '' : third!,
      maxInFlight: 10,
      ackWaitSeconds: 1,
      startPosition: StartPosition.NEW_ONLY,
      startSequence: 0,
      startDeltaMs: 0,
    });
  }
  await world.endBatch();
}
