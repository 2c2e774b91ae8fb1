import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Broker } from '../harness/broker.js';
import { freePorts } from '../harness/free-ports.js';
import { Rig } from '../harness/rig.js';
import { SmallVolume } from '../harness/small-volume.js';
import { waitFor, within } from '../harness/wait.js';

const { skip } = SmallVolume;

interface Member {
  broker: Broker;
  port: number;
}

interface Said {
  status: string;
  reasons: string[];
  state: string;
  store: { full: boolean };
}

async function ask(port: number, path: string): Promise<{ status: number; said: Said }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, said: (await response.json()) as Said };
}

async function activeOf(members: readonly Member[]): Promise<Member> {
  let active: Member | undefined;
  await waitFor(
    async () => {
      for (const member of members) {
        if (member.broker.hasExited) continue;
        const answer = await ask(member.port, '/readyz').catch(() => undefined);
        if (answer?.said.state === 'FT_ACTIVE' && answer.status === 200) active = member;
      }
      return active !== undefined;
    },
    () => `somebody serves; they said:\n${members.map(({ broker }) => broker.output).join('\n---\n')}`,
    15_000,
  );
  return active!;
}

/** Without a byte, or without an inode. */
const KINDS = [
  { what: 'no byte free', options: 'size=64m', fill: (volume: SmallVolume) => volume.fill() },
  {
    what: 'no inode free',
    options: 'size=64m,nr_inodes=200',
    fill: (volume: SmallVolume) => volume.fillFiles(),
  },
];

describe('a group whose volume is full', { skip }, () => {
  const rig = new Rig({ store: 'file', broker: false });

  for (const { what, options, fill } of KINDS) {
    it(`takes over again and again with ${what}, and starts again with smaller limits`, async (t) => {
      const volume = new SmallVolume(options);
      t.after(() => volume.remove());
      const dir = `${volume.dir}/data`;
      const clusterId = rig.name('cluster');
      const firstPort = await freePorts(5);
      let ports = 0;
      const start = async (name: string, ...more: string[]): Promise<Member> => {
        const port = firstPort + ports++;
        const flags = [
          '--ft-group',
          'g',
          '--node-name',
          name,
          '--ft-lease',
          '600ms',
          '--http-port',
          `${port}`,
        ];
        const broker = await rig.startBroker({ clusterId, dir, flags: [...flags, ...more] });
        t.after(() => broker.destroy());
        return { broker, port };
      };
      const members = await Promise.all(['one', 'two', 'three', 'four'].map((name) => start(name)));
      let active = await activeOf(members);
      const client = await rig.connect('client', { broker: active.broker });
      const subscription = await client.subscribe('foo', { durableName: 'd', all: true });
      for (let i = 0; i < 60; i++) await client.publish('foo', Buffer.alloc(30_000, 'x'));
      await subscription.got(60);
      // What is set aside is there within moments.
      await waitFor(() => volume.hasReserve(dir), 'room is set aside');
      fill(volume);
      // One right after the other: the first room that comes back takes a second.
      for (let round = 1; round <= 3; round++) {
        await active.broker.kill();
        active = await activeOf(members);
        const { status, said } = await ask(active.port, '/healthz');
        assert.equal(status, 200, JSON.stringify(said));
        await within(
          client.publish('foo', 'x').catch((error: Error) => error),
          'a publish is answered',
          5_000,
        );
        const another = await within(
          rig.connect(`c${round}`, { broker: active.broker }),
          'a client connects',
          5_000,
        );
        await within(another.subscribe('foo', { lastReceived: true }), 'it subscribes', 5_000);
        await within(another.close(), 'it leaves', 5_000);
      }
      await active.broker.kill();
      active = await activeOf([await start('last', '--max-bytes', '100KB')]);
      await waitFor(
        () => client.publish('foo', 'room again').then(Boolean, () => false),
        () => `its limits have given room back: ${volume.shown(dir)}; it said:\n${active.broker.output}`,
        10_000,
      );
    });
  }
});
