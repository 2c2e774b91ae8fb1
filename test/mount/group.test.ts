import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { connect, type NatsConnection } from 'nats';
import { askStatus } from '../../src/group/report/ask-status.js';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import { Flow } from '../drill/flow.js';
import { Broker } from '../harness/broker.js';
import { StanClient } from '../harness/stan-client.js';
import { waitFor } from '../harness/wait.js';
import { NatsProcess } from '../nats/nats-process.js';
import { type GlusterMount, GlusterVolume, NO_GLUSTER } from './gluster.js';

const MEMBERS = 3;
const CHANNEL = 'orders';
const SETTLE_MS = 30_000;

describe('a group whose members have a GlusterFS mount each', { skip: NO_GLUSTER }, () => {
  let volume: GlusterVolume;
  let nats: NatsProcess;
  let nc: NatsConnection;
  const members: { broker: Broker; mount: GlusterMount }[] = [];
  const clients: StanClient[] = [];

  before(async () => {
    volume = await GlusterVolume.start();
    nats = await NatsProcess.start();
    nc = await connect({ servers: nats.url });
    for (let i = 0; i < MEMBERS; i++) {
      const mount = await volume.mount();
      const broker = await Broker.start({
        natsUrl: nats.url,
        clusterId: 'mounts',
        store: 'file',
        dir: `${mount.dir}/store`,
        flags: ['--ft-group', 'g', '--node-name', `m${i}`],
      });
      members.push({ broker, mount });
    }
  });
  after(async () => {
    for (const client of clients) client.drop();
    await nc?.close();
    for (const { broker } of members) await broker.destroy();
    await nats?.stop();
    await volume?.stop();
  });

  async function client(id: string): Promise<StanClient> {
    const connected = await StanClient.connect(nats.url, 'mounts', id, { ackTimeout: 5_000 });
    clients.push(connected);
    return connected;
  }

  async function settled(afterEpoch: number, standbys: number): Promise<MemberStatus> {
    let found: MemberStatus[] = [];
    const active = (): MemberStatus | undefined =>
      found.find(({ role, epoch }) => role === 'active' && epoch > afterEpoch);
    await waitFor(
      async () => {
        found = await askStatus(nc, 'mounts', 'g');
        return active() !== undefined && found.filter(({ role }) => role === 'standby').length >= standbys;
      },
      () =>
        `an active after epoch ${afterEpoch}, ${standbys} standbys: ${JSON.stringify(found)}\n` +
        members.map(({ broker }) => broker.output.slice(-2_000)).join('\n---\n'),
      SETTLE_MS,
    );
    return active()!;
  }

  it('loses nothing when the active is killed, paused, or its mount dies under it', {
    timeout: 180_000,
  }, async () => {
    const first = await settled(0, 2);
    const flow = new Flow(await client('publisher'), CHANNEL, 'a');
    const durable = await (await client('subscriber')).subscribe(CHANNEL, {
      durableName: 'd',
      all: true,
      ackWaitMs: 1_000,
    });
    flow.start();
    const memberOf = ({ node }: MemberStatus): (typeof members)[number] => members[Number(node.slice(1))]!;
    const published = async (what: string): Promise<void> => {
      const { length } = flow.acked;
      await waitFor(
        () => flow.acked.length > length + 20,
        () => `acks ${what}`,
        SETTLE_MS,
      );
    };
    await published('before anything happens');

    const killed = memberOf(first);
    await killed.broker.kill('SIGKILL');
    const second = await settled(first.epoch, 1);
    await published('after the active was killed');
    await killed.broker.startAgain();
    await settled(second.epoch - 1, 2);

    const paused = memberOf(second);
    paused.broker.signal('SIGSTOP');
    const third = await settled(second.epoch, 1);
    await published('after the active was paused');
    paused.broker.signal('SIGCONT');
    await settled(third.epoch - 1, 2);

    await memberOf(third).mount.kill();
    const last = await settled(third.epoch, 1);
    assert.notEqual(last.node, third.node);
    await published('after the mount of the active died');
    await flow.stop();

    const reader = await client('reader');
    await clients[0]!.publish(CHANNEL, 'the end');
    const all = await reader.subscribe(CHANNEL, { all: true, maxInFlight: 10_000 });
    await all.gotOne(({ data }) => data === 'the end', 'everything that is stored');
    const stored = all.messages.filter(({ redelivered }) => !redelivered).map(({ data }) => data);
    const times = new Map<string, number>();
    for (const data of stored) times.set(data, (times.get(data) ?? 0) + 1);
    assert.deepEqual(
      flow.acked.filter((data) => times.get(data) !== 1),
      [],
      'each acknowledged message is stored once',
    );
    await waitFor(
      () => new Set(durable.sequences).size === stored.length,
      () => `the durable has all ${stored.length}: ${new Set(durable.sequences).size}`,
      SETTLE_MS,
    );
  });
});
