import { join } from 'node:path';
import type { Child } from './child.js';
import type { ClientResult, ClientSpec } from './client/spec.js';
import type { Flags } from './flags.js';
import { type ClientLine, channelNames, type Line, type RestLine } from './lines.js';
import type { LoadResult, LoadSpec } from './load/spec.js';
import {
  BARE_CLUSTER_ID,
  CLUSTER_ID,
  FLOOR_CLUSTER_ID,
  GROUP_CLUSTER_ID,
  type NatsServer,
  runClient,
  runLoad,
  startBroker,
  startFloor,
} from './programs.js';
import { restingBytes, untilIdle } from './settle.js';

const PAYLOAD_BYTES = 128;
const MAX_IN_FLIGHT = 8_192;
const MAX_LAG = 32_768;
const MAX_ROUND_SECONDS = 15;
const MAX_FILL_SECONDS = 120;
const QUICK_DIVISOR = 4;
const WARMUP_DIVISOR = 4;

/** What the programs did under the same load; a side is empty if it was not to be measured. */
export interface Measured {
  line: Line;
  floor: LoadResult[];
  bare: LoadResult[];
  broker: LoadResult[];
}

/** What a broker alone and a group of one did under the same load. */
export interface Fenced {
  line: Line;
  alone: LoadResult[];
  group: LoadResult[];
}

/** What a client of this library and one of node-nats-streaming did in turns. */
export interface MeasuredClients {
  line: ClientLine;
  own: ClientResult[];
  legacy: ClientResult[];
}

export interface Rested {
  line: RestLine;
  messages: number;
  /** Resident, once the load is over and the process at rest. */
  afterLoadBytes: number;
  /** The same after it was stopped and started again. */
  afterRestartBytes: number;
}

interface MeasuredSide {
  child: Child;
  clusterId: string;
  results: LoadResult[];
}

let runs = 0;

/** Floors and broker in turns, ABAB, all running all the time: what disturbs the machine disturbs all. */
export async function measureLine(
  line: Line,
  flags: Flags,
  nats: NatsServer,
  dir: string,
  nodeArgs: string[] = [],
): Promise<Measured> {
  const measured: Measured = { line, floor: [], bare: [], broker: [] };
  const children: Child[] = [];
  try {
    const sides: MeasuredSide[] = [];
    const addFloor = async (clusterId: string, isBare: boolean, results: LoadResult[]) => {
      const journalPath = line.store === 'file' ? join(dir, `${clusterId}.journal`) : undefined;
      const child = await startFloor({ natsPort: nats.port, clusterId, journalPath, isBare }, nodeArgs);
      children.push(child);
      sides.push({ child, clusterId, results });
    };
    if (flags.bare) await addFloor(BARE_CLUSTER_ID, true, measured.bare);
    if (!flags.brokerOnly) await addFloor(FLOOR_CLUSTER_ID, false, measured.floor);
    if (!flags.floorOnly) {
      const child = await startBroker({
        natsPort: nats.port,
        clusterId: CLUSTER_ID,
        store: line.store,
        dir: join(dir, 'store'),
        command: flags.broker,
        args: flags.brokerArgs,
        nodeArgs,
      });
      children.push(child);
      sides.push({ child, clusterId: CLUSTER_ID, results: measured.broker });
    }
    for (let round = 0; round < flags.rounds; round++) await measureRound(round, sides, line, flags, nats);
    return measured;
  } finally {
    for (const child of children) await child.stop();
  }
}

/** A broker alone and a group of one, both running all the time. */
export async function measureFence(line: Line, flags: Flags, nats: NatsServer, dir: string): Promise<Fenced> {
  const fenced: Fenced = { line, alone: [], group: [] };
  const start = (clusterId: string, args: string[]) =>
    startBroker({
      natsPort: nats.port,
      clusterId,
      store: line.store,
      dir: join(dir, clusterId),
      command: undefined,
      args: [...args, ...flags.brokerArgs],
      nodeArgs: [],
    });
  const sides: MeasuredSide[] = [];
  try {
    const alone = await start(CLUSTER_ID, []);
    sides.push({ child: alone, clusterId: CLUSTER_ID, results: fenced.alone });
    const group = await start(GROUP_CLUSTER_ID, ['--ft-group', 'bench']);
    sides.push({ child: group, clusterId: GROUP_CLUSTER_ID, results: fenced.group });
    for (let round = 0; round < flags.rounds; round++) {
      // The difference is small: neither has always the place behind the other.
      await measureRound(round, round % 2 === 0 ? sides : sides.toReversed(), line, flags, nats);
    }
    return fenced;
  } finally {
    for (const { child } of sides) await child.stop();
  }
}

/** Both libraries in turns against one broker; who receives reads the same messages. */
export async function measureClients(
  line: ClientLine,
  flags: Flags,
  nats: NatsServer,
  dir: string,
): Promise<MeasuredClients> {
  const measured: MeasuredClients = { line, own: [], legacy: [] };
  const messages = flags.quick ? Math.ceil(line.messages / QUICK_DIVISOR) : line.messages;
  const broker = await startBroker({
    natsPort: nats.port,
    clusterId: CLUSTER_ID,
    store: 'memory',
    dir,
    command: flags.broker,
    args: flags.brokerArgs,
    nodeArgs: [],
  });
  try {
    const spec: Omit<ClientSpec, 'library'> = {
      side: line.side,
      natsPort: nats.port,
      clusterId: CLUSTER_ID,
      channel: 'bench',
      messages,
      payloadBytes: PAYLOAD_BYTES,
    };
    if (line.side === 'receive') await runClient({ ...spec, library: 'stanchion', side: 'publish' });
    for (let round = 0; round < flags.rounds; round++) {
      measured.own.push(await runClient({ ...spec, library: 'stanchion' }));
      measured.legacy.push(await runClient({ ...spec, library: 'node-nats-streaming' }));
    }
    return measured;
  } finally {
    await broker.stop();
  }
}

async function measureRound(
  round: number,
  sides: readonly MeasuredSide[],
  line: Line,
  flags: Flags,
  nats: NatsServer,
): Promise<void> {
  const messages = flags.quick ? Math.ceil(line.messages / QUICK_DIVISOR) : line.messages;
  for (const { child, clusterId, results } of sides) {
    const result = await runLoad({
      ...loadOf(line, nats, clusterId, child.pid, flags.window),
      // The first round finds code that is not compiled yet.
      warmupMessages: round === 0 ? messages : Math.ceil(messages / WARMUP_DIVISOR),
      messages,
      maxSeconds: MAX_ROUND_SECONDS,
    });
    results.push(result);
    await untilIdle(child.pid);
  }
}

/** Fills a file store, and looks at the broker's memory then, and after a restart. */
export async function measureRest(
  line: RestLine,
  flags: Flags,
  nats: NatsServer,
  dir: string,
): Promise<Rested> {
  const start = () =>
    startBroker({
      natsPort: nats.port,
      clusterId: CLUSTER_ID,
      store: 'file',
      dir: join(dir, 'store'),
      command: flags.broker,
      args: flags.brokerArgs,
      nodeArgs: [],
    });
  let broker = await start();
  try {
    const publishers = { publishers: 4, subscribers: 0, window: 4_000, channels: line.channels };
    const result = await runLoad({
      ...loadOf(publishers, nats, CLUSTER_ID, broker.pid, flags.window),
      warmupMessages: 0,
      messages: line.messages,
      maxSeconds: MAX_FILL_SECONDS,
    });
    if (result.totalMessages < line.messages) {
      throw new Error(`bench: only ${result.totalMessages} messages were stored in ${MAX_FILL_SECONDS} s`);
    }
    const afterLoadBytes = await restingBytes(broker.pid);
    await broker.stop();
    broker = await start();
    const afterRestartBytes = await restingBytes(broker.pid);
    return { line, messages: result.totalMessages, afterLoadBytes, afterRestartBytes };
  } finally {
    await broker.stop();
  }
}

type Load = Pick<Line, 'publishers' | 'subscribers' | 'window' | 'channels'>;

function loadOf(
  load: Load,
  nats: NatsServer,
  clusterId: string,
  targetPid: number,
  window: number | undefined,
): Omit<LoadSpec, 'warmupMessages' | 'messages' | 'maxSeconds'> {
  return {
    natsPort: nats.port,
    clusterId,
    runId: `${process.pid.toString(36)}x${(++runs).toString(36)}`,
    publishers: load.publishers,
    subscribers: load.subscribers,
    channels: channelNames(load.channels),
    payloadBytes: PAYLOAD_BYTES,
    // One in flight is what its line is about.
    window: load.window === 1 ? 1 : (window ?? load.window),
    maxInFlight: MAX_IN_FLIGHT,
    maxLag: MAX_LAG,
    targetPid,
    natsPid: nats.child.pid,
  };
}
