import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { nodeFs } from '../../src/files/fs.js';
import { assertNothingLost, readChannel, SteadyPublisher } from '../crash/traffic.js';
import { unpackOldProgram } from '../data/old-program.js';
import { knowledgeOf, putStoredStore } from '../data/stored-stores.js';
import { Broker } from '../harness/broker.js';
import { NatsServer } from '../harness/nats-server.js';
import { StanClient } from '../harness/stan-client.js';
import { waitFor } from '../harness/wait.js';

const CLUSTER_ID = knowledgeOf('0.1.0').clusterId;
const CHANNELS = ['orders', 'made.meanwhile'];
const IN_FLIGHT = 10;

/** Every file of a folder, by its content, and every folder. */
function contents(dir: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(dir, name);
    found[name] = statSync(path).isDirectory()
      ? 'folder'
      : createHash('sha256').update(readFileSync(path)).digest('hex');
  }
  return found;
}

describe('the program of release 0.1.0', { concurrency: true }, () => {
  let root = '';
  let program = '';
  let nats: NatsServer;

  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'stanchion-upgrade-'));
    program = unpackOldProgram(join(root, 'program'));
    nats = await NatsServer.start();
  });

  after(async () => {
    await nats.stop();
    rmSync(root, { recursive: true, force: true });
  });

  const store = async (name: string): Promise<string> => {
    const dir = join(root, name);
    await putStoredStore(nodeFs, dir, '0.1.0');
    return dir;
  };

  for (const [who, flags] of [
    ['alone', []],
    ['as a member', ['--ft-group', 'g', '--node-name', 'old']],
  ] as const) {
    it(`refuses, ${who}, a store that a newer one has carried over, and changes none of its bytes`, async () => {
      const settings = {
        natsUrl: nats.url,
        clusterId: CLUSTER_ID,
        store: 'file',
        dir: await store(who),
      } as const;
      const old = await Broker.start({ ...settings, program });
      await old.kill('SIGTERM');
      const broker = await Broker.start(settings);
      await broker.kill('SIGTERM');
      const before = contents(settings.dir);
      const { status, output } = await Broker.refused({ ...settings, program, flags });
      assert.equal(status.code, 1);
      assert.match(
        output,
        /has format version \d; this program knows versions up to 1\. Use a newer stanchion/,
      );
      assert.deepEqual(contents(settings.dir), before);
    });
  }

  it('is replaced member by member under load: nothing that any member acknowledged is lost', async () => {
    const own = await NatsServer.start();
    const dir = await store('rolling');
    const members: Broker[] = [];
    const clients: StanClient[] = [];
    const start = async (name: string, isOld: boolean): Promise<Broker> => {
      const member = await Broker.start({
        ...{ natsUrl: own.url, clusterId: CLUSTER_ID, store: 'file', dir, ...(isOld && { program }) },
        flags: ['--ft-group', 'g', '--node-name', name],
      });
      members.push(member);
      return member;
    };
    const serves = (member: Broker): Promise<void> =>
      waitFor(
        () => member.output.includes('Streaming Server is ready'),
        () => `the member serves; it said:\n${member.output}`,
      );
    try {
      const first = await start('a', true);
      await serves(first);
      const second = await start('b', true);
      const publishers: SteadyPublisher[] = [];
      for (const channel of CHANNELS) {
        const client = await StanClient.connect(own.url, CLUSTER_ID, channel.replace('.', '-'), {
          ackTimeout: 2_000,
        });
        clients.push(client);
        publishers.push(new SteadyPublisher(client, channel, IN_FLIGHT));
      }
      const flows = async (): Promise<void> => {
        const before = publishers.map(({ log }) => log.acked.size);
        await waitFor(
          () => publishers.every(({ log }, i) => log.acked.size > (before[i] ?? 0) + 50),
          'messages of every publisher are acknowledged',
        );
      };
      await flows();
      // A StatefulSet replaces the last one first.
      await second.kill('SIGTERM');
      const newSecond = await start('b', false);
      await flows();
      await first.kill('SIGTERM');
      await serves(newSecond);
      await flows();
      // One that is started again by mistake.
      const { status } = await Broker.refused({ ...first.settings });
      assert.equal(status.code, 1);
      const newFirst = await start('a', false);
      await flows();
      await newSecond.kill('SIGKILL');
      await serves(newFirst);
      await flows();
      await Promise.all(publishers.map((publisher) => publisher.stop()));
      const reader = await StanClient.connect(own.url, CLUSTER_ID, 'reader-of-all');
      clients.push(reader);
      for (const [i, channel] of CHANNELS.entries()) {
        await reader.publish(channel, 'last');
        const stored = await readChannel(reader, channel, 'last');
        const made = channel === 'orders' ? stored.slice(knowledgeOf('0.1.0').channels.orders!.last) : stored;
        assertNothingLost(made.slice(0, -1), [publishers[i]!.log]);
      }
    } finally {
      for (const client of clients) client.drop();
      for (const member of members) await member.destroy();
      await own.stop();
    }
  });
});
