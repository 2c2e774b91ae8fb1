import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectNats, type NatsConnection } from 'nats';
import { askStatus } from '../../src/group/report/ask-status.js';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import { connect, type StanConnection, type SubscribeOptions } from '../../src/index.js';
import { LocalGroup } from '../../src/local-group/local-group.js';
import { silentLogger } from '../../src/log/logger.js';
import { waitFor } from '../harness/wait.js';

const CLUSTER_ID = 'takeover';
const CHANNEL = 'orders';
/** Published when all is over. */
const THE_END = 'the end';
const KILLS = 10;
const PUBLISHERS = 4;
/** Between two kills at least: something is to happen before the next. */
const MIN_MESSAGES_BETWEEN = 300;
const TAKEOVER_MS = 20_000;

/** Publishes on and on; every promise is looked at. */
class Stream {
  readonly resolved: string[] = [];
  readonly rejected: Error[] = [];
  readonly #connection: StanConnection;
  readonly #prefix: string;
  #isStopping = false;
  #running: Promise<void> | undefined;

  constructor(connection: StanConnection, prefix: string) {
    this.#connection = connection;
    this.#prefix = prefix;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const waiting: Promise<void>[] = [];
    for (let i = 0; !this.#isStopping; i++) {
      const data = `${this.#prefix}-${i}`;
      waiting.push(
        this.#connection.publish(CHANNEL, data).then(
          () => void this.resolved.push(data),
          (error: Error) => void this.rejected.push(error),
        ),
      );
      // The pace of the load.
      await sleep(1);
    }
    await Promise.all(waiting);
  }
}

describe('publishing and subscribing while the active is killed, again and again', () => {
  let dir: string;
  let group: LocalGroup;
  let nats: NatsConnection;
  const connections: StanConnection[] = [];

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'stanchion-takeover-'));
    group = await LocalGroup.start({
      nodes: 3,
      dir: join(dir, 'store'),
      port: 0,
      httpPort: undefined,
      clusterId: CLUSTER_ID,
      group: 'g',
      flags: ['--log-level', 'warn'],
      log: silentLogger,
      onLine: () => {},
    });
    nats = await connectNats({ servers: group.urls });
    await active();
  });

  after(async () => {
    for (const connection of connections) await connection.close().catch(() => {});
    await nats?.close();
    await group?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  async function joinAs(clientId: string): Promise<StanConnection> {
    const connection = await connect({
      clusterId: CLUSTER_ID,
      clientId,
      servers: group.urls,
      connectTimeout: 10_000,
    });
    connections.push(connection);
    return connection;
  }

  async function active(after = 0): Promise<MemberStatus> {
    let found: MemberStatus | undefined;
    await waitFor(
      async () => {
        const all = await askStatus(nats, CLUSTER_ID, 'g');
        found = all.find(({ role, epoch }) => role === 'active' && epoch > after);
        return found !== undefined;
      },
      `a member is active above epoch ${after}`,
      TAKEOVER_MS,
    );
    return found!;
  }

  it('stores each publish that resolved once, lets none fail, and gives everybody everything', async () => {
    const received = new Map<string, Set<string>>();
    const subscribe = async (name: string, members: number, options: SubscribeOptions): Promise<void> => {
      const seen = new Set<string>();
      received.set(name, seen);
      for (let i = 0; i < members; i++) {
        const connection = await joinAs(`${name}-${i}`);
        await connection.subscribe(CHANNEL, {
          startAt: 'all',
          ackWait: 1_000,
          ...options,
          callback: (_error, message) => {
            if (message.string() !== THE_END) seen.add(message.string());
          },
        });
      }
    };
    await subscribe('durable', 1, { durable: 'd' });
    await subscribe('queue', 2, { queue: 'q' });
    await subscribe('durable-queue', 2, { queue: 'dq', durable: 'd' });
    await subscribe('regular', 1, {});

    const streams: Stream[] = [];
    for (let i = 0; i < PUBLISHERS; i++) streams.push(new Stream(await joinAs(`publisher-${i}`), String(i)));
    const done = (): number => streams.reduce((sum, { resolved }) => sum + resolved.length, 0);
    for (const stream of streams) stream.start();
    let epoch = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const before = done();
      await waitFor(() => done() >= before + MIN_MESSAGES_BETWEEN, 'messages are stored', TAKEOVER_MS);
      const victim = await active(epoch);
      process.kill(victim.pid, 'SIGKILL');
      epoch = victim.epoch;
    }
    await active(epoch);
    await Promise.all(streams.map((stream) => stream.stop()));

    assert.deepEqual(
      streams.flatMap(({ rejected }) => rejected.map(String)),
      [],
    );
    const published = streams.flatMap(({ resolved }) => resolved);
    const stored = await readAll(await joinAs('reader'));
    assert.equal(stored.length, published.length, 'no message is stored twice, and none is missing');
    assert.deepEqual([...stored].sort(), [...published].sort());
    for (const [name, seen] of received) {
      await waitFor(
        () => seen.size === published.length,
        () => `${name} receives all: ${seen.size} of ${published.length}`,
        TAKEOVER_MS,
      );
    }
  });
});

/** All that is in the channel, in order. */
async function readAll(connection: StanConnection): Promise<string[]> {
  await connection.publish(CHANNEL, THE_END);
  const stored: string[] = [];
  const subscription = await connection.subscribe(CHANNEL, { startAt: 'all' });
  for await (const message of subscription) {
    if (message.string() === THE_END) break;
    stored.push(message.string());
  }
  return stored;
}
