import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connect as connectNats } from 'nats';
import { askStatus } from '../../src/group/report/ask-status.js';
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

  it('go on: each order is acknowledged, what got no answer is published again, and the subscriber has all', async () => {
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
      // A standby answers what has reached it: perhaps none was without an answer.
      const texts = publisher.output.matchAll(/^published order (\d+), acknowledged as \w{22}$/gm);
      const acknowledged = [...texts].map(([, number]) => Number(number));
      assert.deepEqual(
        acknowledged,
        acknowledged.map((_, index) => index + 1),
      );
      const again = publisher.output.matchAll(/^no acknowledgement of order (\d+): publishing it again$/gm);
      for (const [, number] of again)
        await waitFor(
          () => publisher.output.includes(`published order ${number}, `),
          `order ${number} is acknowledged`,
        );
      for (const number of acknowledged)
        await waitFor(
          () => subscriber.output.includes(`order ${number}\n`),
          `the subscriber has order ${number}`,
        );
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
