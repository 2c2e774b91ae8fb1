import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { connect as natsConnect } from 'nats';
import { connect } from '../../src/index.js';
import { type Broker, mainScript } from '../harness/broker.js';
import { Rig } from '../harness/rig.js';
import type { Received } from '../harness/stan-client.js';
import { waitFor } from '../harness/wait.js';

const PAGE = fileURLToPath(new URL('../../docs/install.md', import.meta.url));
const TEXT = readFileSync(PAGE, 'utf8');
const [, SNIPPET = ''] = /```\n(authorization \{[\s\S]*?)```/.exec(TEXT) ?? [];
const [, HELD = ''] = /held to channels:\s+instead of `_STAN\.>` it publishes on (.*)\n/.exec(TEXT) ?? [];
const PASSWORDS = new Map(
  [...SNIPPET.matchAll(/user: (\w+), password: "([^"]+)"/g)].map(([, user = '', pass = '']) => [user, pass]),
);
const [, REPORTS = ''] = /```\n( *REPORTS = \{[\s\S]*?)```/.exec(TEXT) ?? [];
const VIOLATION = /.*Violation.*/g;

function credentials(user: string): { user: string; pass: string } {
  const pass = PASSWORDS.get(user);
  assert.ok(pass !== undefined, `docs/install.md shows a user ${user}`);
  return { user, pass };
}

function flags(user: string): string[] {
  const { pass } = credentials(user);
  return ['--user', user, '--pass', pass];
}

describe('the permissions in docs/install.md', () => {
  const rig = new Rig({ store: 'file', broker: false, natsConfig: SNIPPET });
  const group: Broker[] = [];
  after(async () => {
    for (const member of group) await member.destroy();
  });

  it('let a group serve, hand over, and clients do all that they do', async () => {
    const settings = rig.settings({
      flags: [...flags('broker'), '--ft-group', 'g', '--hb-interval', '200ms'],
    });
    const { clusterId } = settings;
    group.push(await rig.startBroker(settings), await rig.startBroker(settings));
    const [active, standby] = group as [Broker, Broker];
    const asClient = { broker: active, stanPingInterval: 1_000, ...credentials('orders') };

    const client = await rig.connect('field', asClient);
    const got: string[] = [];
    const take = (message: Received): void => {
      got.push(`${message.sequence} ${message.data}`);
      message.ack();
    };
    const options = { all: true, manualAcks: true, onMessage: take };
    const durable = await client.subscribe('a', { ...options, durableName: 'd' });
    const member = await client.subscribe('a', { ...options, queueGroup: 'q' });
    await client.publish('a', 'x');
    await waitFor(() => got.length === 2, 'both have it');
    await durable.close();
    await member.unsubscribe();

    const own = await connect({
      servers: rig.nats.url,
      clusterId,
      clientId: 'own',
      pingInterval: 1_000,
      ...credentials('orders'),
    });
    const messages = (await own.subscribe('a', { durable: 'd' }))[Symbol.asyncIterator]();

    await active.kill('SIGTERM');
    await waitFor(() => standby.output.includes('Streaming Server is ready'), 'the other one serves');
    await client.publish('a', 'y');
    await own.publish('a', 'z');
    assert.equal((await messages.next()).value?.string(), 'y');
    assert.equal((await messages.next()).value?.string(), 'z');
    const again = await client.subscribe('a', { ...options, durableName: 'd' });
    await waitFor(() => got.length === 4, 'what was published meanwhile has come');
    assert.deepEqual(got.slice(2), ['2 y', '3 z']);
    // Heartbeats have gone round by now, and pings of both clients.
    assert.equal(client.lost, undefined);
    await again.unsubscribe();
    await client.close();
    await own.close();

    const [node = '', ...main] = [process.execPath, ...(await mainScript())];
    const at = ['--nats-server', rig.nats.url, '--cluster-id', clusterId, ...flags('admin')];
    const status = await promisify(execFile)(node, [...main, 'status', ...at]);
    assert.match(status.stdout, /active/);

    assert.deepEqual(rig.nats.output.match(VIOLATION), null);
    for (const { output } of group) assert.doesNotMatch(output, /permission/i);
  });
});

describe('a client with an inbox prefix of its own', () => {
  const rig = new Rig({
    store: 'memory',
    natsConfig: SNIPPET.replace(
      '  users = [',
      `${REPORTS}  users = [\n    { user: reports, password: p, permissions: $REPORTS }`,
    ),
    flags: flags('broker'),
  });

  it('does all that it does, and cannot listen to others', async () => {
    const { clusterId } = rig.broker;
    const login = { user: 'reports', pass: 'p', inboxPrefix: '_INBOX_reports' };
    const own = await connect({
      servers: rig.nats.url,
      clusterId,
      clientId: 'own',
      pingInterval: 1_000,
      ...login,
    });
    const messages = await own.subscribe('a', { durable: 'd' });
    await own.publish('a', 'x');
    for await (const message of messages) {
      assert.equal(message.string(), 'x');
      break;
    }
    await own.close();
    assert.deepEqual(rig.nats.output.match(VIOLATION), null);

    const curious = await natsConnect({ servers: rig.nats.url, user: 'reports', pass: 'p' });
    const refused = new Promise<string>((resolve) => {
      curious.subscribe('_INBOX.>', { callback: (error) => resolve(String(error?.message)) });
    });
    assert.match(await refused, /Permissions Violation/i);
    await curious.close();
  });
});

describe('a client without the permission for its acknowledgements', () => {
  const rig = new Rig({
    store: 'memory',
    natsConfig: SNIPPET.replaceAll('"_STAN.acks.>"', ''),
    flags: flags('broker'),
  });

  it('has each try stored, as the page says', async () => {
    const client = await rig.connect('field', { ackTimeout: 200, ...credentials('orders') });
    for (const text of ['x', 'x']) await assert.rejects(client.publish('a', text), /publish ack timeout/);
    const got: Received[] = [];
    await client.subscribe('a', { all: true, onMessage: (message) => got.push(message) });
    await waitFor(() => got.length === 2, 'both are stored');
    assert.match(String(rig.nats.output.match(VIOLATION)), /Subscription Violation.*_STAN\.acks\./);
  });
});

describe('a client that is held to channels as the page says', () => {
  const subjects = [...HELD.matchAll(/`(_STAN\.[^`]+)`/g)].map(([, subject]) => `"${subject}"`);
  const rig = new Rig({
    store: 'memory',
    broker: false,
    natsConfig: SNIPPET.replace('publish: ["_STAN.>",', `publish: [${subjects.join()},`),
    flags: flags('broker'),
  });

  it('publishes in these and no others, and does all else', async () => {
    const broker = await rig.startBroker({ clusterId: 'test-cluster', flags: flags('broker') });
    const client = await rig.connect('field', { broker, stanPingInterval: 1_000, ...credentials('orders') });
    const got: Received[] = [];
    const subscription = await client.subscribe('orders', { onMessage: (message) => got.push(message) });
    await client.publish('orders', 'x');
    await client.publish('payments.eu', 'y');
    await waitFor(() => got.length === 1, 'it has come');
    await (await client.subscribe('orders')).close();
    await subscription.unsubscribe();
    await client.close();
    assert.deepEqual(rig.nats.output.match(VIOLATION), null);

    const other = await rig.connect('other', { broker, ackTimeout: 100, ...credentials('orders') });
    await assert.rejects(other.publish('salaries', 'x'));
    assert.match(rig.nats.output, /Publish Violation.*_STAN\.pub\.test-cluster\.salaries/);
  });
});
