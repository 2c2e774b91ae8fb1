import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { connect } from '../../src/index.js';
import { mainScript } from '../harness/broker.js';
import { waitFor } from '../harness/wait.js';

const ANY_PORTS = ['--port', '0', '--http-port', '0'];
const START_MS = 60_000;

describe('stanchion up', () => {
  const root = mkdtempSync(join(tmpdir(), 'stanchion-up-'));
  const dir = join(root, 'data');
  let main: string[];
  let group: ChildProcessWithoutNullStreams;
  let output = '';

  function up(...args: string[]): ChildProcessWithoutNullStreams {
    return spawn(process.execPath, [...main, 'up', '--dir', dir, ...ANY_PORTS, ...args]);
  }

  async function refusal(...args: string[]): Promise<{ code: number | null; stderr: string }> {
    const child = up(...args);
    const [stderr, code] = await Promise.all([
      text(child.stderr),
      new Promise<number | null>((resolve) => child.on('close', resolve)),
    ]);
    return { code, stderr };
  }

  before(async () => {
    main = await mainScript();
    group = up('--nodes', '2');
    group.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
    await waitFor(() => /^Active: stan-\d/m.test(output), 'somebody serves', START_MS);
  });
  after(() => {
    group.kill('SIGKILL');
    rmSync(root, { recursive: true, force: true });
  });

  it('says where clients connect, and nothing that looks like a problem', () => {
    assert.match(output, /^Clients connect to cluster id "test-cluster" at nats:\/\//m);
    assert.doesNotMatch(output, /"level":"error"/);
  });

  it('is not started a second time on the same store, whatever the ports', async () => {
    const { code, stderr } = await refusal();
    assert.match(stderr, /^stanchion: the store in \S+ is in use, by broker "stan-\d" \(host \S+, pid \d+\)/);
    assert.equal(code, 1);
  });

  it('says once what all its brokers would say: that the store is of another cluster', async () => {
    const { code, stderr } = await refusal('--cluster-id', 'other');
    assert.match(stderr, /^stanchion: \S+ holds the store of cluster "test-cluster", not of "other"/);
    assert.equal(code, 1);
  });

  it('stops in order when it is asked to', async () => {
    const ended = new Promise<number | null>((resolve) => group.on('close', resolve));
    group.kill('SIGINT');
    assert.equal(await ended, 0);
    assert.match(output, /the lease has been given back[\s\S]*The group has stopped\.\n$/);
  });

  it('goes on with its store, also after a kill', async () => {
    const signals = ['SIGKILL', 'SIGINT'] as const;
    for (const [index, signal] of signals.entries()) {
      const again = up('--nodes', '1');
      let said = '';
      again.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        said += chunk;
      });
      const ended = new Promise((resolve) => again.on('close', resolve));
      await waitFor(() => /^Active: stan-1/m.test(said), 'it serves', START_MS);
      const [, servers = ''] = /at (nats:\S+)$/m.exec(said) ?? [];
      const connection = await connect({ servers, clusterId: 'test-cluster', clientId: `c${index}` });
      await connection.publish('kept', signal);
      const kept: string[] = [];
      for await (const message of await connection.subscribe('kept', { startAt: 'all' })) {
        kept.push(message.string());
        if (kept.length > index) break;
      }
      assert.deepEqual(kept, signals.slice(0, index + 1));
      await connection.close();
      again.kill(signal);
      await ended;
    }
  });

  it('gives its brokers what a config file and the environment have for them', async () => {
    const config = join(root, 'group.yaml');
    writeFileSync(
      config,
      `
port: 0
dir: ${join(root, 'other')}
user: clerk
pass: s3cret
log-level: debug
limits: { max-msgs: 3 }
channels: { audit: { max-msgs: 0 } }
`,
    );
    const flags = ['--nodes', '1', '--http-port', '0', '--config', config];
    const child = spawn(process.execPath, [...main, 'up', ...flags], {
      env: { ...process.env, STANCHION_MAX_MSGS: '4' },
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk;
    });
    const ended = new Promise((resolve) => child.on('close', resolve));
    try {
      await waitFor(
        () => /^Active: stan-1/m.test(said),
        () => `it serves: ${said}`,
        START_MS,
      );
      const [, servers = ''] = /at (nats:\S+)$/m.exec(said) ?? [];
      const who = { servers, clusterId: 'test-cluster', clientId: 'c' };
      await assert.rejects(connect(who), /Authorization Violation/i);
      const connection = await connect({ ...who, user: 'clerk', pass: 's3cret' });
      for (const [channel, first] of [
        ['orders', 3],
        ['audit', 1],
      ] as const) {
        for (let i = 0; i < 6; i++) await connection.publish(channel, 'x');
        const subscription = await connection.subscribe(channel, { startAt: 'all' });
        for await (const { sequence } of subscription) {
          assert.equal(
            sequence,
            first,
            `${channel}: 4 by the environment, which beats the file; audit has its own`,
          );
          break;
        }
      }
      await connection.close();
    } finally {
      child.kill('SIGINT');
      await ended;
    }
    assert.match(said, /"level":"debug"/);
    assert.doesNotMatch(said, /has no effect/);
  });

  it('refuses, by name, what cannot be had in a local group', async () => {
    const config = join(root, 'wrong.yaml');
    writeFileSync(config, 'nats-server: nats://a');
    assert.deepEqual(await refusal('--config', config), {
      code: 2,
      stderr: `stanchion: config file ${config}: nats-server is impossible in the group that up starts: it has nats-servers of its own. \`stanchion serve\` runs one broker beside others\n`,
    });
  });
});
