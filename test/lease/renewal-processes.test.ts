import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { connect, type NatsConnection } from 'nats';
import { askStatus } from '../../src/group/report/ask-status.js';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import { Child } from '../harness/child.js';
import { StanClient } from '../harness/stan-client.js';
import { waitFor } from '../harness/wait.js';
import { NatsProcess } from '../nats/nats-process.js';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));
const LEASE_MS = 600;
const SETTLE_MS = 60_000;
/** Longer than five leases, and than the lock of the epoch goes without a look: that is the first thing then. */
const HUNG_MS = 11_000;

describe('an active whose process does not run as it should', () => {
  let dir: string;
  let nats: NatsProcess;
  let nc: NatsConnection;
  let client: StanClient | undefined;
  let members: Record<string, Child> = {};

  before(async () => {
    nats = await NatsProcess.start();
    nc = await connect({ servers: nats.url });
  });
  after(async () => {
    await nc.close();
    await nats.stop();
  });
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'stanchion-renewal-'));
  });
  afterEach(async () => {
    client?.drop();
    for (const child of Object.values(members)) await child.destroy();
    members = {};
    await rm(dir, { recursive: true });
  });

  /** Starts a, which becomes active, and b, which watches. @param busyMs for which SIGUSR2 keeps a's event loop busy */
  async function startTwo(busyMs: number): Promise<MemberStatus> {
    members.a = start('a', busyMs);
    await waitFor(
      () => /is ready/.test(members.a!.output),
      () => members.a!.output,
      SETTLE_MS,
    );
    members.b = start('b', busyMs);
    client = await StanClient.connect(nats.url, 'c', 'p');
    return settled('a');
  }

  function start(node: string, busyMs: number): Child {
    const loader = pathToFileURL(join(root, 'node_modules', 'tsx', 'dist', 'esm', 'index.mjs')).href;
    const imports = [loader, join(here, 'block-on-signal.ts')].flatMap((module) => ['--import', module]);
    const flags = {
      'cluster-id': 'c',
      'ft-group': 'g',
      'ft-lease': `${LEASE_MS}ms`,
      store: 'file',
      dir: join(dir, 'store'),
      'nats-server': nats.url,
      'node-name': node,
      'log-format': 'json',
    };
    const argv = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
    const main = join(root, 'src', 'cli', 'main.ts');
    return new Child(process.execPath, [...imports, main, 'serve', ...argv], { BLOCK_MS: `${busyMs}` });
  }

  /** Waits until this one is active, and the other watches. */
  async function settled(node: string): Promise<MemberStatus> {
    let found: MemberStatus[] = [];
    await waitFor(
      async () => {
        found = await askStatus(nc, 'c', 'g');
        return (
          found.length === 2 &&
          found.every(({ role, node: name }) => role === (name === node ? 'active' : 'standby'))
        );
      },
      () => `${node} is active: ${JSON.stringify(found)}\n${members.a!.output}\n---\n${members.b!.output}`,
      SETTLE_MS,
    );
    return found.find(({ role }) => role === 'active')!;
  }

  it('keeps the lease when its event loop is busy for three leases', async () => {
    const before = await startTwo(3 * LEASE_MS);
    members.a!.signal('SIGUSR2');
    const published = client!.publish('foo', 'meanwhile');
    await waitFor(() => /was busy for/.test(members.a!.output), 'it was busy');
    await published;
    const now = await settled('a');
    assert.equal(now.epoch, before.epoch);
    assert.doesNotMatch(members.b!.output, /taking over/);
  });

  it('is replaced when its event loop is busy for longer than five leases, and is a standby then', async () => {
    const before = await startTwo(HUNG_MS);
    members.a!.signal('SIGUSR2');
    await waitFor(() => /taking over in epoch 2/.test(members.b!.output), 'b takes over', SETTLE_MS);
    const now = await settled('b');
    assert.equal(now.epoch, before.epoch + 1);
    assert.match(members.a!.output, /the term of epoch 1 ends: .*taken over by b@/);
    await client!.publish('foo', 'after');
  });

  it('is replaced when it is stopped, and is a standby when it goes on', async () => {
    const before = await startTwo(0);
    members.a!.signal('SIGSTOP');
    await waitFor(() => /taking over in epoch 2/.test(members.b!.output), 'b takes over', SETTLE_MS);
    members.a!.signal('SIGCONT');
    const now = await settled('b');
    assert.equal(now.epoch, before.epoch + 1);
    assert.match(members.a!.output, /the term of epoch 1 ends: .*taken over by b@/);
  });

  it('ends soon when it is asked to, active or not', async () => {
    await startTwo(0);
    assert.deepEqual(await members.a!.end('SIGTERM'), { code: 0, signal: null });
    await waitFor(() => /is ready/.test(members.b!.output), 'b is active');
    assert.deepEqual(await members.b!.end('SIGTERM'), { code: 0, signal: null });
  });
});
