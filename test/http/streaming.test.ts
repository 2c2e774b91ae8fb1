import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { uptime } from '../../src/http/serverz.js';
import type { Broker } from '../harness/broker.js';
import { waitFor } from '../harness/wait.js';
import { get, getJson, httpRig, type Json } from './http-rig.js';

// The keys, in the order in which the Go server's monitoring has them.
const SERVERZ = [
  ...['cluster_id', 'server_id', 'version', 'go', 'state', 'now', 'start_time', 'uptime', 'clients'],
  ...[
    'subscriptions',
    'channels',
    'total_msgs',
    'total_bytes',
    'in_msgs',
    'in_bytes',
    'out_msgs',
    'out_bytes',
  ],
];
const SERVERZ_LINUX = [...SERVERZ, 'open_fds', 'max_fds'];
const STOREZ = ['cluster_id', 'server_id', 'now', 'type', 'limits', 'total_msgs', 'total_bytes'];
const CHANNEL_LIMITS = ['max_msgs', 'max_bytes', 'max_age', 'max_subscriptions', 'max_inactivity'];
const LIST = ['cluster_id', 'server_id', 'now', 'offset', 'limit', 'count', 'total'];
const CLIENTZ = ['id', 'hb_inbox', 'subs_count'];
const CHANNELZ = ['name', 'msgs', 'bytes', 'first_seq', 'last_seq', 'subs_count'];
const SUBSCRIPTIONZ = [
  ...['client_id', 'inbox', 'ack_inbox', 'is_durable', 'is_offline', 'max_inflight', 'ack_wait'],
  ...['last_sent', 'pending_count', 'is_stalled'],
];
const DURABLE = ['client_id', 'inbox', 'ack_inbox', 'durable_name', ...SUBSCRIPTIONZ.slice(3)];
const QUEUE_MEMBER = ['client_id', 'inbox', 'ack_inbox', 'queue_name', ...SUBSCRIPTIONZ.slice(3)];

const GO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

describe('/streaming/serverz', () => {
  const rig = httpRig({ flags: ['--node-name', 'stan-0'] });

  it('has the fields of the Go server', async () => {
    const serverz = await getJson(rig.broker, '/streaming/serverz');
    assert.deepEqual(Object.keys(serverz), process.platform === 'linux' ? SERVERZ_LINUX : SERVERZ);
    assert.equal(serverz.cluster_id, rig.broker.clusterId);
    assert.match(String(serverz.server_id), /^[0-9A-Za-z]{22}$/);
    assert.equal(serverz.state, 'STANDALONE');
    assert.match(String(serverz.uptime), /^\d+s$/);
    assert.match(String(serverz.now), GO_TIME);
    assert.match(String(serverz.start_time), GO_TIME);
    const server = await getJson(rig.broker, '/streaming/storez');
    assert.equal(server.server_id, serverz.server_id);
  });

  it('counts what goes in and out', async () => {
    const before = await getJson(rig.broker, '/streaming/serverz');
    const client = await rig.connect();
    const channel = rig.name('channel');
    const subscription = await client.subscribe(channel, { all: true });
    await client.subscribe(channel, { durableName: 'd' }).then((durable) => durable.close());
    await client.publishMany(channel, 10);
    await subscription.got(10);
    const now = await getJson(rig.broker, '/streaming/serverz');
    const more = (key: string): number => Number(now[key]) - Number(before[key]);
    assert.deepEqual(
      ['clients', 'subscriptions', 'channels', 'total_msgs', 'in_msgs', 'out_msgs'].map(more),
      // An offline durable is a subscription.
      [1, 2, 1, 10, 10, 10],
    );
    for (const key of ['total_bytes', 'in_bytes', 'out_bytes']) assert.ok(more(key) > 10, key);
  });

  it('writes the uptime as the Go server does', () => {
    const day = 24 * 3600;
    const inText = [59, 61, 3600, day + 61, 400 * day + 5].map((seconds) => uptime(seconds * 1000 + 999));
    assert.deepEqual(inText, ['59s', '1m1s', '1h0m0s', '1d0h1m1s', '1y35d0h0m5s']);
  });
});

describe('/streaming/storez', () => {
  const rig = httpRig({ broker: false });

  it('has the limits, durations in nanoseconds, and those of single channels with what they inherit', async () => {
    const folder = rig.folder();
    const config = join(folder, 'stanchion.yaml');
    writeFileSync(config, 'channels: { "orders.>": { max-msgs: 7 }, audit: { max-msgs: 8 } }\n');
    const flags = [
      ...['--http-port', '-1', '--config', config, '--max-channels', '5', '--max-msgs', '9'],
      ...['--max-age', '1h', '--max-subs', '3'],
    ];
    const broker = await rig.startBroker({ store: 'file', dir: join(folder, 'data'), flags });
    const storez = await getJson(broker, '/streaming/storez');
    assert.deepEqual(Object.keys(storez), STOREZ);
    assert.equal(storez.type, 'FILE');
    const limits = storez.limits as Json;
    assert.deepEqual(Object.keys(limits), ['max_channels', ...CHANNEL_LIMITS, 'channels']);
    const ofAll = { max_bytes: 1_024_000_000, max_age: 3600e9, max_subscriptions: 3, max_inactivity: 0 };
    assert.deepEqual(limits, {
      max_channels: 5,
      max_msgs: 9,
      ...ofAll,
      channels: { audit: { max_msgs: 8, ...ofAll }, 'orders.>': { max_msgs: 7, ...ofAll } },
    });
    assert.deepEqual(Object.keys(limits.channels as Json), ['audit', 'orders.>']);
  });

  it('counts the messages of all channels', async () => {
    const broker = await rig.startBroker({ flags: ['--http-port', '-1', '--max-msgs', '3'] });
    const client = await rig.connect('client', { broker });
    for (const channel of ['a', 'b']) await client.publishMany(channel, 5);
    const storez = await getJson(broker, '/streaming/storez');
    assert.equal(storez.type, 'MEMORY');
    assert.deepEqual(Object.keys(storez.limits as Json), ['max_channels', ...CHANNEL_LIMITS]);
    assert.equal(storez.total_msgs, 6);
    assert.ok(Number(storez.total_bytes) > 6);
  });
});

describe('/streaming/clientsz', () => {
  const rig = httpRig({ keepClients: true });

  it('lists no clients where there are none', async () => {
    const clientsz = await getJson(rig.broker, '/streaming/clientsz');
    assert.deepEqual(Object.keys(clientsz), [...LIST, 'clients']);
    assert.deepEqual([clientsz.count, clientsz.total, clientsz.clients], [0, 0, []]);
  });

  it('lists clients by id, page by page', async () => {
    for (const id of ['c', 'a', 'd', 'b']) await rig.connect(id);
    const all = await getJson(rig.broker, '/streaming/clientsz');
    assert.deepEqual(Object.keys(all), [...LIST, 'clients']);
    assert.deepEqual([all.offset, all.limit, all.count, all.total], [0, 1024, 4, 4]);
    for (const client of all.clients as Json[]) assert.deepEqual(Object.keys(client), CLIENTZ);
    assert.deepEqual(idsOf(all), ['a', 'b', 'c', 'd']);

    const page = await getJson(rig.broker, '/streaming/clientsz?offset=1&limit=2');
    assert.deepEqual([page.offset, page.limit, page.count, page.total], [1, 2, 2, 4]);
    assert.deepEqual(idsOf(page), ['b', 'c']);
    assert.deepEqual(idsOf(await getJson(rig.broker, '/streaming/clientsz?offset=9')), []);
    // What makes no sense counts as absent.
    const odd = await getJson(rig.broker, '/streaming/clientsz?offset=-1&limit=many');
    assert.deepEqual([odd.offset, odd.limit, odd.count], [0, 1024, 4]);
  });

  it('shows one client, with its subscriptions by channel', async () => {
    const client = await rig.connect('one');
    await client.subscribe('y');
    await client.subscribe('x');
    await client.subscribe('x');
    const one = await getJson(rig.broker, '/streaming/clientsz?client=one');
    assert.deepEqual(Object.keys(one), CLIENTZ);
    assert.deepEqual([one.id, one.subs_count], ['one', 3]);
    const withSubscriptions = await getJson(rig.broker, '/streaming/clientsz?client=one&subs=1');
    assert.deepEqual(Object.keys(withSubscriptions), [...CLIENTZ, 'subscriptions']);
    const byChannel = withSubscriptions.subscriptions as Record<string, Json[]>;
    assert.deepEqual(
      Object.entries(byChannel).map(([channel, list]) => [channel, list.length]),
      [
        ['x', 2],
        ['y', 1],
      ],
    );
    assert.deepEqual(Object.keys(byChannel.y![0]!), SUBSCRIPTIONZ);
    const all = await getJson(rig.broker, '/streaming/clientsz?subs=1');
    assert.deepEqual((all.clients as Json[]).find(({ id }) => id === 'one')!.subscriptions, byChannel);
  });

  it('shows no inbox whole: who reads the page could act for the client', async () => {
    const raw = await rig.raw();
    await raw.join('raw');
    const { inbox, response } = await raw.subscribe({ clientId: 'raw', subject: 'z' });
    for (const path of ['clientsz?client=raw&subs=1', 'channelsz?channel=z&subs=1']) {
      const text = JSON.stringify(await getJson(rig.broker, `/streaming/${path}`));
      assert.ok(text.includes(inbox.slice(0, 15)), text);
      for (const name of [inbox, response.ackInbox]) assert.ok(!text.includes(name), `${name} in ${text}`);
    }
  });

  it('has 404 for a client that there is not', async () => {
    const { status, text } = await get(rig.broker, '/streaming/clientsz?client=nobody');
    assert.deepEqual([status, text], [404, 'Client nobody not found\n']);
  });
});

describe('/streaming/channelsz', () => {
  const rig = httpRig({ keepClients: true });

  it('leaves out the list where there is nothing in it', async () => {
    for (const path of ['/streaming/channelsz', '/streaming/channelsz?subs=1']) {
      const channelsz = await getJson(rig.broker, path);
      assert.deepEqual(Object.keys(channelsz), LIST);
      assert.deepEqual([channelsz.count, channelsz.total], [0, 0]);
    }
  });

  it('lists names, page by page', async () => {
    const client = await rig.connect('publisher');
    for (const channel of ['c', 'a', 'b']) await client.publishMany(channel, 3);
    const all = await getJson(rig.broker, '/streaming/channelsz');
    assert.deepEqual(Object.keys(all), [...LIST, 'names']);
    assert.deepEqual([all.offset, all.limit, all.count, all.total], [0, 1024, 3, 3]);
    assert.deepEqual(all.names, ['a', 'b', 'c']);
    const page = await getJson(rig.broker, '/streaming/channelsz?offset=1&limit=1');
    assert.deepEqual([page.names, page.count, page.total], [['b'], 1, 3]);
    await client.publish('aa', 'x');
    assert.deepEqual((await getJson(rig.broker, '/streaming/channelsz')).names, ['a', 'aa', 'b', 'c']);
  });

  it('shows channels with bounds and subscriptions of every kind', async () => {
    const client = await rig.connect('subscriber');
    const manual = { all: true, manualAcks: true, ackWaitMs: 60_000 };
    const plain = await client.subscribe('a', { ...manual, maxInFlight: 2 });
    const durable = await client.subscribe('a', { ...manual, durableName: 'd' });
    const member = await client.subscribe('a', { ...manual, durableName: 'd', queueGroup: 'g' });
    await plain.got(2);
    await durable.got(3);
    await member.got(3);

    const channelsz = await getJson(rig.broker, '/streaming/channelsz?subs=1');
    assert.deepEqual(Object.keys(channelsz), [...LIST, 'channels']);
    const [a, , b] = channelsz.channels as Json[];
    assert.deepEqual(Object.keys(a!), [...CHANNELZ, 'subscriptions']);
    assert.deepEqual([a!.name, a!.msgs, a!.first_seq, a!.last_seq, a!.subs_count], ['a', 3, 1, 3, 3]);
    assert.deepEqual(Object.keys(b!), CHANNELZ);

    const [first, second, third] = a!.subscriptions as [Json, Json, Json];
    assert.deepEqual(Object.keys(first), SUBSCRIPTIONZ);
    assert.deepEqual(
      [first.client_id, first.max_inflight, first.ack_wait, first.last_sent, first.pending_count],
      ['subscriber', 2, 60, 2, 2],
    );
    assert.deepEqual([first.is_durable, first.is_offline, first.is_stalled], [false, false, true]);
    assert.deepEqual(Object.keys(second), DURABLE);
    assert.deepEqual([second.durable_name, second.is_durable, second.pending_count], ['d', true, 3]);
    assert.equal(second.is_stalled, false);
    assert.deepEqual(Object.keys(third), QUEUE_MEMBER);
    assert.deepEqual([third.queue_name, third.is_durable], ['d:g', true]);

    durable.messages[0]!.ack();
    await waitFor(
      async () => (await subscriptionsOf('a'))[1]!.pending_count === 2,
      'the ack is seen in the pending count',
    );
    await durable.close();
    await member.close();
    const after = await subscriptionsOf('a');
    assert.deepEqual(
      after.map(({ durable_name, queue_name, is_offline, pending_count, last_sent }) => [
        durable_name ?? queue_name,
        is_offline,
        pending_count,
        last_sent,
      ]),
      [
        [undefined, false, 2, 2],
        ['d', true, 2, 3],
        ['d:g', true, 3, 3],
      ],
    );
    // The owner of an offline durable is still told.
    assert.equal(after[1]!.client_id, 'subscriber');
  });

  it('shows one channel, or has 404', async () => {
    const one = await getJson(rig.broker, '/streaming/channelsz?channel=b');
    assert.deepEqual(Object.keys(one), CHANNELZ);
    assert.deepEqual([one.name, one.msgs, one.subs_count], ['b', 3, 0]);
    const { status, text } = await get(rig.broker, '/streaming/channelsz?channel=no%20such');
    assert.deepEqual([status, text], [404, 'Channel no such not found\n']);
  });

  async function subscriptionsOf(channel: string): Promise<Json[]> {
    const one = await getJson(rig.broker, `/streaming/channelsz?channel=${channel}&subs=1`);
    return one.subscriptions as Json[];
  }
});

describe('/streaming/channelsz with a thousand channels', () => {
  const rig = httpRig({ flags: ['--max-channels', '0'] });

  it('is one document, whatever its size', async () => {
    const client = await rig.connect();
    await Promise.all(Array.from({ length: 1500 }, (_, i) => client.publish(`channel.${i}`, 'x')));
    const byDefault = await getJson(rig.broker, '/streaming/channelsz?subs=1');
    assert.deepEqual([byDefault.count, (byDefault.channels as Json[]).length], [1024, 1024]);
    const all = await getJson(rig.broker, '/streaming/channelsz?subs=1&limit=5000');
    assert.deepEqual([all.count, all.total], [1500, 1500]);
    const names = (all.channels as Json[]).map(({ name }) => name);
    assert.deepEqual(names, [...names].sort());
    assert.equal(new Set(names).size, 1500);
  });
});

// Lag is read from it: the last sequence of the channel less the highest last_sent of the group.
describe('last_sent of a queue group', () => {
  const rig = httpRig({ store: 'file' });

  it('is the furthest of the group at one of its members, while members come and go, and after a restart', async () => {
    const broker = await rig.startBroker();
    const client = await rig.connect('worker', { broker });
    await client.publishMany('jobs', 5);
    const first = await client.subscribe('jobs', { queueGroup: 'g', durableName: 'd' });
    assert.deepEqual(await lastSent(broker), [5]);
    const second = await client.subscribe('jobs', { queueGroup: 'g', durableName: 'd' });
    assert.deepEqual(await lastSent(broker), [5, 0]);
    await first.close();
    assert.deepEqual(await lastSent(broker), [5]);
    await broker.restart();
    assert.deepEqual(await lastSent(broker), [5]);
    await second.close();
    assert.deepEqual(await lastSent(broker), [5]);
    await client.subscribe('jobs', { queueGroup: 'g', durableName: 'd', all: true });
    assert.deepEqual(await lastSent(broker), [5]);
  });

  it('counts what comes to a member after it was delivered to another', async () => {
    const channel = rig.name('channel');
    const client = await rig.connect();
    const leaving = await client.subscribe(channel, { queueGroup: 'g', manualAcks: true, maxInFlight: 2 });
    await client.publishMany(channel, 3);
    await leaving.got(2);
    const heir = await client.subscribe(channel, { queueGroup: 'g', manualAcks: true });
    await heir.got(1);
    await leaving.close();
    await heir.got(3);
    const after = await rig.connect();
    const late = await after.subscribe(channel, { queueGroup: 'g', manualAcks: true });
    assert.deepEqual(await lastSent(rig.broker, channel), [3, 0]);
    await heir.close();
    await late.got(3);
    assert.deepEqual(await lastSent(rig.broker, channel), [3]);
  });

  async function lastSent(broker: Broker, channel = 'jobs'): Promise<unknown[]> {
    const one = await getJson(broker, `/streaming/channelsz?channel=${channel}&subs=1`);
    return (one.subscriptions as Json[]).map((sub) => sub.last_sent);
  }
});

describe('/streaming/isFTActive', () => {
  const rig = httpRig();

  it('is 204 without a group, as in the Go server', async () => {
    assert.equal((await get(rig.broker, '/streaming/isFTActive')).status, 204);
  });
});

function idsOf(clientsz: Json): unknown[] {
  return (clientsz.clients as Json[]).map(({ id }) => id);
}
