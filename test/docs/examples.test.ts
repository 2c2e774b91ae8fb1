import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connect as connectNats } from 'nats';
import { askStatus } from '../../src/group/report/ask-status.js';
import { connect } from '../../src/index.js';
import { LocalGroup } from '../../src/local-group/local-group.js';
import { silentLogger } from '../../src/log/logger.js';
import { Child } from '../harness/child.js';
import { Rig } from '../harness/rig.js';
import { waitFor } from '../harness/wait.js';

const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url));

describe('the examples', () => {
  const rig = new Rig({ store: 'file', broker: false });
  const at = () => ({ NATS_URL: rig.nats.url, CLUSTER_ID: 'old' });

  before(async () => {
    await rig.startBroker({ clusterId: 'old' });
    await rig.startBroker({ clusterId: 'new' });
  });

  it('publish, and receive by a durable', async () => {
    const subscriber = new Child(process.execPath, [join(EXAMPLES, 'subscriber.cjs')], at());
    try {
      await waitFor(() => subscriber.output.includes('waiting for orders'), 'it has subscribed');
      const publisher = new Child(process.execPath, [join(EXAMPLES, 'publisher.mjs'), '3'], at());
      assert.equal((await publisher.exit).code, 0, publisher.output);
      assert.match(publisher.output, /^(published order [123], acknowledged as \w{22}\n){3}$/);
      await waitFor(
        () => subscriber.output.includes('[3] order 3'),
        () => subscriber.output,
      );
    } finally {
      await subscriber.destroy();
    }
  });

  it('move channels with their order and sequences, and go on where they were', async () => {
    const from = await connect({ servers: rig.nats.url, clusterId: 'old', clientId: 'publisher' });
    const publish = (from_: number, to: number) =>
      Promise.all(
        Array.from({ length: to - from_ + 1 }, (_, i) =>
          from.publish('moved', Buffer.from([from_ + i, 0, 255])),
        ),
      );
    await publish(1, 100);
    await from.publish('other', 'x');
    assert.equal(
      await move('moved', 'other'),
      'moved: 100 messages copied, sequences 1 to 100\nother: 1 message copied, sequences 1 to 1\n',
    );
    await publish(101, 110);
    assert.equal(await move('moved'), 'moved: 10 messages copied, sequences 101 to 110\n');
    await from.close();

    const to = await connect({ servers: rig.nats.url, clusterId: 'new', clientId: 'reader' });
    const found: string[] = [];
    for await (const { sequence, data } of await to.subscribe('moved', { startAt: 'all' })) {
      found.push(`${sequence}: ${data.join()}`);
      if (sequence === 110) break;
    }
    assert.deepEqual(
      found,
      Array.from({ length: 110 }, (_, i) => `${i + 1}: ${i + 1},0,255`),
    );
    await to.close();
  });

  it('say how they are used', async () => {
    const child = new Child(process.execPath, [join(EXAMPLES, 'move-channels.mjs'), '--from', rig.nats.url]);
    assert.equal((await child.exit).code, 2);
    assert.match(child.output, /^usage: move-channels/);
  });

  /** @returns what it printed, by channel */
  async function move(...channels: string[]): Promise<string> {
    const servers = ['--from', rig.nats.url, '--to', rig.nats.url];
    const ids = ['--cluster-id', 'old', '--to-cluster-id', 'new', '--idle', '0.5'];
    const child = new Child(process.execPath, [
      join(EXAMPLES, 'move-channels.mjs'),
      ...[...servers, ...ids, ...channels],
    ]);
    assert.equal((await child.exit).code, 0, child.output);
    return child.output
      .split(/(?<=\n)/)
      .sort()
      .join('');
  }
});

describe('the examples, when the active of their group is killed', () => {
  const CLUSTER_ID = 'test-cluster';
  const COUNT = 1_000_000;
  let dir: string;
  let group: LocalGroup;

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'stanchion-examples-'));
    group = await LocalGroup.start({
      nodes: 2,
      dir: join(dir, 'store'),
      port: 0,
      httpPort: undefined,
      clusterId: CLUSTER_ID,
      group: 'g',
      flags: ['--log-level', 'warn'],
      log: silentLogger,
      onLine: () => {},
    });
  });
  after(async () => {
    await group?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('go on: what got no acknowledgement is published again', async () => {
    const nats = await connectNats({ servers: group.urls });
    const at = { NATS_URL: group.urls[0]!, CLUSTER_ID };
    const children: Child[] = [];
    try {
      const active = async () =>
        (await askStatus(nats, CLUSTER_ID, 'g')).find(({ role }) => role === 'active');
      await waitFor(async () => (await active()) !== undefined, 'somebody serves');
      const subscriber = new Child(process.execPath, [join(EXAMPLES, 'subscriber.cjs')], at);
      children.push(subscriber);
      await waitFor(() => subscriber.output.includes('waiting for orders'), 'it has subscribed');
      const publisher = new Child(process.execPath, [join(EXAMPLES, 'publisher.mjs'), String(COUNT)], at);
      children.push(publisher);
      const published = () => publisher.output.match(/published/g)?.length ?? 0;
      await waitFor(() => published() > 100, 'it publishes');
      const former = await active();
      assert.ok(former !== undefined);
      process.kill(former.pid, 'SIGKILL');
      await waitFor(async () => ((await active())?.epoch ?? 0) > former.epoch, 'another one serves');
      const before = published();
      // The Node client waits for 30 s unless it is told otherwise, and nothing is published meanwhile.
      await waitFor(
        () => published() > before + 100,
        () => publisher.output.slice(-500),
        15_000,
      );
      const [, again] =
        /^no acknowledgement of order (\d+): publishing it again$/m.exec(publisher.output) ?? [];
      assert.match(publisher.output, new RegExp(`^published order ${again}, acknowledged as \\w{22}$`, 'm'));
      await waitFor(() => subscriber.output.includes(`order ${again}\n`), 'the subscriber has it');
      assert.deepEqual(
        children.map(({ hasExited }) => hasExited),
        [false, false],
      );
    } finally {
      for (const child of children) await child.destroy();
      await nats.close();
    }
  });
});
