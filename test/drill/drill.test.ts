import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect, type NatsConnection } from 'nats';
import { askStatus } from '../../src/group/report/ask-status.js';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import { Broker } from '../harness/broker.js';
import { freePort } from '../harness/free-ports.js';
import { StanClient, type StanSubscription } from '../harness/stan-client.js';
import { waitFor } from '../harness/wait.js';
import { NatsProcess } from '../nats/nats-process.js';
import { Flow } from './flow.js';

const MEMBERS = 3;
const CHANNEL = 'orders';
const ACK_TIMEOUT_MS = 3_000;
const SETTLE_MS = 30_000;

interface Member {
  broker: Broker;
  nats: NatsProcess;
}

describe('a drill with real processes', () => {
  let dir: string;
  let clientNats: NatsProcess;
  let nc: NatsConnection;
  const members: Member[] = [];
  /** Of the routes between nats-servers. */
  let ports: number[];
  const clients: StanClient[] = [];

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'stanchion-drill-'));
    ports = await Promise.all(Array.from({ length: MEMBERS + 1 }, () => freePort()));
    clientNats = await startNats(MEMBERS);
    nc = await connect({ servers: clientNats.url });
    for (let i = 0; i < MEMBERS; i++) {
      const nats = await startNats(i);
      const broker = await Broker.start({
        natsUrl: nats.url,
        clusterId: 'drill',
        store: 'file',
        dir: join(dir, 'store'),
        flags: ['--ft-group', 'g', '--node-name', `m${i}`],
      });
      members.push({ broker, nats });
    }
  });
  after(async () => {
    for (const { broker, nats } of members) {
      nats.signal('SIGCONT');
      await broker.destroy();
      await nats.stop();
    }
    for (const client of clients) client.drop();
    await nc.close();
    await clientNats.stop();
    await rm(dir, { recursive: true });
  });

  /** @param port for clients; any that is free if there is none yet */
  function startNats(i: number, port = -1): Promise<NatsProcess> {
    const routes = ports.filter((_, other) => other !== i).map((other) => `nats://127.0.0.1:${other}`);
    const own = `nats://127.0.0.1:${ports[i]}`;
    return NatsProcess.start({
      port,
      args: ['--cluster', own, '--cluster_name', 'drill', '--routes', routes.join(',')],
    });
  }

  async function client(id: string): Promise<StanClient> {
    const connected = await StanClient.connect(clientNats.url, 'drill', id, { ackTimeout: ACK_TIMEOUT_MS });
    clients.push(connected);
    return connected;
  }

  /** Waits for an active of a later epoch, with so many standbys. */
  async function settled(afterEpoch: number, standbys: number): Promise<MemberStatus> {
    let found: MemberStatus[] = [];
    const actives = (): MemberStatus[] =>
      found.filter(({ role, epoch }) => role === 'active' && epoch > afterEpoch);
    await waitFor(
      async () => {
        found = await askStatus(nc, 'drill', 'g');
        return actives().length === 1 && found.filter(({ role }) => role === 'standby').length >= standbys;
      },
      () =>
        `an active after epoch ${afterEpoch}, ${standbys} standbys: ${JSON.stringify(found)}\n${outputs()}`,
      SETTLE_MS,
    );
    return actives()[0]!;
  }

  const outputs = (): string => members.map(({ broker }) => broker.output.slice(-2_000)).join('\n---\n');
  const memberOf = ({ node }: MemberStatus): Member => members[Number(node.slice(1))]!;

  const faults: Record<string, (active: Member, epoch: number) => Promise<void>> = {
    'is killed': async ({ broker }, epoch) => {
      await broker.kill('SIGKILL');
      await settled(epoch, 1);
      await broker.startAgain();
    },
    'is asked to stop': async ({ broker }, epoch) => {
      assert.equal((await broker.kill('SIGTERM')).code, 0);
      await settled(epoch, 1);
      await broker.startAgain();
    },
    'is paused, and wakes up': async ({ broker }, epoch) => {
      broker.signal('SIGSTOP');
      await settled(epoch, 1);
      broker.signal('SIGCONT');
    },
    // It finds another one, so this is no takeover.
    'loses its nats-server, which is killed': async (member) => {
      const { port } = member.nats;
      await member.nats.stop();
      member.nats = await startNats(members.indexOf(member), port);
    },
    'is cut off from NATS by its silent nats-server': async ({ nats }, epoch) => {
      nats.signal('SIGSTOP');
      await settled(epoch, 1);
      nats.signal('SIGCONT');
    },
  };

  it('loses nothing that was acknowledged, in ten takeovers', { timeout: 240_000 }, async () => {
    await settled(0, 2);
    const flows = [new Flow(await client('p1'), CHANNEL, 'a'), new Flow(await client('p2'), CHANNEL, 'b')];
    const durable = await (await client('s1')).subscribe(CHANNEL, {
      durableName: 'd',
      all: true,
      ackWaitMs: 1_000,
    });
    const regular = await (await client('s2')).subscribe(CHANNEL, { all: true, ackWaitMs: 1_000 });
    const group: StanSubscription[] = [];
    for (const id of ['q1', 'q2']) {
      group.push(
        await (await client(id)).subscribe(CHANNEL, { queueGroup: 'q', all: true, ackWaitMs: 1_000 }),
      );
    }
    for (const flow of flows) flow.start();

    const [kill, stop, pause, lose, cut] = Object.keys(faults) as [string, string, string, string, string];
    for (const name of [kill, stop, pause, cut, lose, kill, stop, pause, kill, stop, pause]) {
      const active = await settled(0, 2);
      const acked = flows.map((flow) => flow.acked.length);
      await faults[name]!(memberOf(active), active.epoch);
      // Publishing goes on after each of them.
      await waitFor(
        () => flows.every((flow, i) => flow.acked.length > acked[i]! + 20),
        () => `acks after an active ${name}\n${outputs()}`,
        SETTLE_MS,
      );
    }
    await Promise.all(flows.map((flow) => flow.stop()));
    const end = await settled(0, 2);
    assert.ok(end.epoch >= 11, `ten takeovers: epoch ${end.epoch}`);

    // A marker, so that a new subscriber knows when it has seen everything.
    await clients[0]!.publish(CHANNEL, 'the end');
    const all = await (await client('reader')).subscribe(CHANNEL, { all: true, maxInFlight: 10_000 });
    await all.gotOne(({ data }) => data === 'the end', 'everything that is stored');
    const stored = all.messages.filter(({ redelivered }) => !redelivered);
    assert.deepEqual(
      stored.map(({ sequence }) => sequence),
      stored.map((_, i) => i + 1),
      'sequences have no gaps',
    );
    const times = new Map<string, number>();
    for (const { data } of stored) times.set(data, (times.get(data) ?? 0) + 1);
    for (const flow of flows) {
      assert.ok(flow.acked.length > 200);
      const wrong = flow.acked.filter((data) => times.get(data) !== 1);
      assert.deepEqual(wrong, [], 'each acknowledged message is stored once');
    }
    for (const data of times.keys()) {
      assert.ok(data === 'the end' || flows.some((flow) => flow.sent.has(data)), `nobody sent ${data}`);
    }

    const bySequence = new Map(stored.map(({ sequence, data }) => [sequence, data]));
    const receivers = { durable: [durable], regular: [regular], 'queue group': group };
    for (const [kind, subscriptions] of Object.entries(receivers)) {
      const got = (): Set<number> => new Set(subscriptions.flatMap(({ sequences }) => sequences));
      await waitFor(
        () => got().size === stored.length,
        () => `the ${kind} has all ${stored.length}: ${got().size}`,
        SETTLE_MS,
      );
      for (const { messages } of subscriptions) {
        for (const { sequence, data } of messages)
          assert.equal(data, bySequence.get(sequence), 'a sequence means one message');
      }
    }
  });
});
