import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findGoServer } from '../harness/go-server.js';
import type { NatsServer } from '../harness/nats-server.js';
import type { Received, StanClient, StanSubscription, SubscribeOptions } from '../harness/stan-client.js';
import { holdsFor, waitFor } from '../harness/wait.js';
import { MovedServer } from './moved-server.js';

const found = findGoServer();
const binary = 'binary' in found ? found.binary : '';

interface Living {
  publisher: StanClient;
  clients: StanClient[];
  durable: StanSubscription;
  plain: StanSubscription;
  members: StanSubscription[];
  durableMembers: StanSubscription[];
}

/** A client that is not known, or does not answer, is found out within two seconds. */
const HEARTBEATS = ['--hb-interval', '500ms', '--hb-timeout', '400ms', '--hb-fail-count', '2'];
const MANUAL: SubscribeOptions = { all: true, manualAcks: true, ackWaitMs: 3000 };

/** Subscriptions of every kind, each with acks out of order and with messages that it has not acknowledged. */
async function live(server: MovedServer): Promise<Living> {
  const [publisher, one, two, gone] = (await Promise.all(
    ['publisher', 'one', 'two', 'gone'].map((id) => server.connect(id)),
  )) as [StanClient, StanClient, StanClient, StanClient];
  await publisher.publishMany('orders', 100, 'order ');
  const durable = await one.subscribe('orders', { ...MANUAL, durableName: 'd', maxInFlight: 10 });
  const plain = await one.subscribe('orders', { ...MANUAL, maxInFlight: 5 });
  const members: StanSubscription[] = [];
  const durableMembers: StanSubscription[] = [];
  for (const client of [one, two]) {
    members.push(await client.subscribe('orders', { ...MANUAL, queueGroup: 'q', maxInFlight: 4 }));
    const shared = { ...MANUAL, queueGroup: 'q', durableName: 'dq', maxInFlight: 4 };
    durableMembers.push(await client.subscribe('orders', shared));
  }
  const away = await gone.subscribe('orders', { ...MANUAL, durableName: 'away', maxInFlight: 7 });
  const awayShared = await gone.subscribe('orders', {
    ...MANUAL,
    queueGroup: 'g',
    durableName: 'aq',
    maxInFlight: 6,
  });
  for (const [sub, count] of [
    [durable, 10],
    [plain, 5],
    [away, 7],
    [awayShared, 6],
  ] as const)
    await sub.got(count);
  for (const group of [members, durableMembers])
    await waitFor(() => group.every(({ messages }) => messages.length === 4), 'each member has its share');
  ack(durable, 1, 3, 4, 8);
  await durable.got(14);
  ack(plain, 2, 5);
  await plain.got(7);
  ack(away, 1, 2, 4);
  ack(awayShared, 2, 3);
  await away.got(10);
  await awayShared.got(8);
  for (const group of [members, durableMembers]) {
    group[0]!.messages[1]!.ack();
    group[1]!.messages[3]!.ack();
    await waitFor(
      () => group.reduce((sum, { messages }) => sum + messages.length, 0) === 10,
      'two more each',
    );
  }
  await gone.close();
  return { publisher, clients: [publisher, one, two], durable, plain, members, durableMembers };
}

function ack({ messages }: StanSubscription, ...sequences: number[]): void {
  for (const sequence of sequences) messages.find((message) => message.sequence === sequence)!.ack();
}

/** What a subscription has that it has not acknowledged. */
function unacknowledged({ messages }: StanSubscription, ...acked: number[]): number[] {
  return messages.map(({ sequence }) => sequence).filter((sequence) => !acked.includes(sequence));
}

function ascending(sequences: readonly number[]): number[] {
  return [...sequences].sort((a, b) => a - b);
}

/** Waits until exactly these have come again since, each flagged so. */
async function comeAgain(
  subs: readonly StanSubscription[],
  from: readonly number[],
  sequences: readonly number[],
): Promise<void> {
  const since = (): Received[] => subs.flatMap(({ messages }, i) => messages.slice(from[i]));
  const wanted = new Set(sequences);
  await waitFor(
    () => new Set(since().map(({ sequence }) => sequence)).size >= wanted.size,
    () => `${[...wanted]} come again; got ${since().map(({ sequence }) => sequence)}`,
  );
  assert.deepEqual(ascending([...new Set(since().map(({ sequence }) => sequence))]), ascending([...wanted]));
  assert.ok(since().every(({ redelivered }) => redelivered));
}

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  describe(`Clients of a Go server that ends by ${signal}`, {
    skip: 'skipped' in found && found.skipped,
  }, () => {
    it('go on at stanchion without reconnecting, each subscription where it was', async (t) => {
      const server = await MovedServer.start(t, binary, signal === 'SIGTERM');
      const living = await live(server);
      const { publisher, clients, durable, plain, members, durableMembers } = living;
      await (signal === 'SIGTERM' ? server.go.stop() : server.go.kill());
      const report = await server.import('store');
      assert.deepEqual([report.clients, report.messages, report.gaps], [3, 100, []]);
      assert.equal(server.hasOldSubjects('store'), signal === 'SIGTERM');
      const all = [durable, plain, ...members, ...durableMembers];
      const before = new Map(all.map((sub) => [sub, sub.messages.length]));
      const group = signal === 'SIGTERM' ? [] : ['--ft-group', 'g'];
      const broker = await server.serve('store', [...HEARTBEATS, ...group, '--node-name', 'a']);
      const lengths = (subs: readonly StanSubscription[]): number[] =>
        subs.map((sub) => before.get(sub) ?? 0);

      // Nothing that was acknowledged comes again; all else does, after its ack wait or at once where the window is full.
      await comeAgain([durable], lengths([durable]), unacknowledged(durable, 1, 3, 4, 8));
      await comeAgain([plain], lengths([plain]), unacknowledged(plain, 2, 5));
      for (const group of [members, durableMembers]) {
        const acked = [group[0]!.messages[1]!.sequence, group[1]!.messages[3]!.sequence];
        const pending = group.flatMap((member) =>
          unacknowledged(member, ...acked).slice(0, before.get(member)),
        );
        await comeAgain(
          group,
          lengths(group),
          pending.filter((sequence) => !acked.includes(sequence)),
        );
      }

      // Acks reach it under the names that the clients know, and what follows goes out.
      for (const sub of all) sub.ackAll();
      await waitFor(() => durable.freshSequences.length >= 20, 'the durable gets what follows');
      assert.deepEqual(
        durable.freshSequences,
        durable.freshSequences.map((_, i) => i + 1),
      );
      for (const group of [members, durableMembers]) {
        const fresh = (): number[] => group.flatMap(({ freshSequences }) => freshSequences);
        await waitFor(() => fresh().length >= 16, 'the group gets what follows');
        assert.equal(new Set(fresh()).size, fresh().length, 'one member gets each message');
      }

      await publisher.publish('orders', 'after the move');
      const late = await clients[1]!.subscribe('orders', { lastReceived: true });
      await late.got(1);
      assert.deepEqual([late.messages[0]!.sequence, late.messages[0]!.data], [101, 'after the move']);

      // Heartbeats and pings: all three are known, for longer than it takes to find out that they are not.
      await holdsFor(2500, () => clients.every(({ lost }) => lost === undefined), 'no client is lost');
      assert.doesNotMatch(broker.output, /client closed/);
      // After a restart, and a takeover, too.
      if (signal === 'SIGTERM') await broker.restart();
      else {
        const standby = await server.serve('store', [...HEARTBEATS, ...group, '--node-name', 'b']);
        await broker.kill();
        await waitFor(() => /Streaming Server is ready/.test(standby.output), 'the standby serves');
      }
      const inFlight = durable.messages.at(-1)!.sequence;
      await durable.gotOne(
        ({ sequence, redelivered }) => sequence === inFlight && redelivered,
        'it comes again',
      );
      durable.ackAll();
      await waitFor(() => durable.freshSequences.length >= 30, 'more follows');
      await plain.unsubscribe();
      await durable.close();
      const again = await clients[1]!.subscribe('orders', { ...MANUAL, durableName: 'd', maxInFlight: 200 });
      await waitFor(() => again.freshSequences.includes(101), 'the durable comes back, and gets the rest');
      for (const client of clients) await client.close();
    });
  });
}

describe('Durables of a Go server', { skip: 'skipped' in found && found.skipped }, () => {
  it('get next from stanchion what they get next from the Go server, message by message, flag by flag', async (t) => {
    const server = await MovedServer.start(t, binary);
    const { clients } = await live(server);
    await server.go.kill();
    for (const client of clients) client.drop();
    await server.import('store');
    const [atGo, atStanchion] = [await server.otherNats(), await server.otherNats()];
    await Promise.all([server.serveCopy(atGo), server.serve('store', [], atStanchion)]);
    const [go, stanchion] = await Promise.all([atGo, atStanchion].map((nats) => nextOf(server, nats)));
    assert.ok(go!.away.length === 7 && go!.durable.length === 10, JSON.stringify(go));
    assert.deepEqual(stanchion, go);
  });
});

/** What each durable gets when its client connects once more, until nothing comes. */
async function nextOf(
  server: MovedServer,
  nats: NatsServer,
): Promise<Record<string, [number, boolean, string][]>> {
  const [one, gone, fresh] = (await Promise.all(
    ['one', 'gone', 'fresh'].map((id) => server.connect(id, nats.url)),
  )) as [StanClient, StanClient, StanClient];
  const patient = { ...MANUAL, ackWaitMs: 60_000 };
  const subs = {
    durable: await one.subscribe('orders', { ...patient, durableName: 'd', maxInFlight: 10 }),
    away: await gone.subscribe('orders', { ...patient, durableName: 'away', maxInFlight: 7 }),
    awayShared: await fresh.subscribe('orders', {
      ...patient,
      queueGroup: 'g',
      durableName: 'aq',
      maxInFlight: 9,
    }),
    first: await fresh.subscribe('orders', { ...patient, maxInFlight: 3 }),
    last: await fresh.subscribe('orders', { ...patient, all: false, lastReceived: true }),
  };
  const count = (): number => Object.values(subs).reduce((sum, { messages }) => sum + messages.length, 0);
  await waitFor(
    () => count() >= 10 + 7 + 9 + 3 + 1,
    () => `all get their messages: ${count()}`,
  );
  await holdsFor(
    500,
    () => count() === 10 + 7 + 9 + 3 + 1,
    () => `nothing more comes: ${count()}`,
  );
  return Object.fromEntries(
    Object.entries(subs).map(([name, { messages }]) => [
      name,
      messages.map(({ sequence, redelivered, data, timestampMs }) => [
        sequence,
        redelivered,
        `${data} ${timestampMs}`,
      ]),
    ]),
  );
}
