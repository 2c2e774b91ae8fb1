import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import type { Broker } from '../harness/broker.js';
import { waitFor } from '../harness/wait.js';
import { get, getJson, httpRig } from './http-rig.js';

// What the documentation of the Go server shows ("Monitoring", "Endpoints"): names in their order, and types.

type Shape = string | readonly Shape[] | { readonly [name: string]: Shape };

const TIME = 'time';
const NUMBER = 'number';

const SERVERZ: Shape = {
  cluster_id: 'string',
  server_id: 'string',
  version: 'string',
  go: 'string',
  state: 'string',
  now: TIME,
  start_time: TIME,
  uptime: 'string',
  clients: NUMBER,
  subscriptions: NUMBER,
  channels: NUMBER,
  total_msgs: NUMBER,
  total_bytes: NUMBER,
  in_msgs: NUMBER,
  in_bytes: NUMBER,
  out_msgs: NUMBER,
  out_bytes: NUMBER,
};
/** On systems that tell. */
const OPEN_FILES = { open_fds: NUMBER, max_fds: NUMBER };
const STOREZ: Shape = {
  cluster_id: 'string',
  server_id: 'string',
  now: TIME,
  type: 'string',
  limits: {
    max_channels: NUMBER,
    max_msgs: NUMBER,
    max_bytes: NUMBER,
    max_age: NUMBER,
    max_subscriptions: NUMBER,
    max_inactivity: NUMBER,
  },
  total_msgs: NUMBER,
  total_bytes: NUMBER,
};
const PAGE = {
  cluster_id: 'string',
  server_id: 'string',
  now: TIME,
  offset: NUMBER,
  limit: NUMBER,
  count: NUMBER,
  total: NUMBER,
};
const TAIL = {
  is_durable: 'boolean',
  is_offline: 'boolean',
  max_inflight: NUMBER,
  ack_wait: NUMBER,
  last_sent: NUMBER,
  pending_count: NUMBER,
  is_stalled: 'boolean',
};
const PLAIN = { client_id: 'string', inbox: 'string', ack_inbox: 'string', ...TAIL };
const DURABLE = {
  client_id: 'string',
  inbox: 'string',
  ack_inbox: 'string',
  durable_name: 'string',
  ...TAIL,
};
const QUEUE = { client_id: 'string', inbox: 'string', ack_inbox: 'string', queue_name: 'string', ...TAIL };
const CLIENT = { id: 'string', hb_inbox: 'string', subs_count: NUMBER };
const CHANNEL = {
  name: 'string',
  msgs: NUMBER,
  bytes: NUMBER,
  first_seq: NUMBER,
  last_seq: NUMBER,
  subs_count: NUMBER,
};

/** Names and types of what was answered, in the order in which it has them. */
function shapeOf(value: unknown): Shape {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, shapeOf(each)]));
  }
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(value)) {
    return TIME;
  }
  return Number.isInteger(value) ? NUMBER : typeof value;
}

async function isShaped(broker: Broker, path: string, shape: Shape): Promise<void> {
  const found = shapeOf(await getJson(broker, path));
  // As text, since the order counts.
  assert.equal(JSON.stringify(found, null, 1), JSON.stringify(shape, null, 1), path);
}

describe('what /streaming answers', () => {
  const rig = httpRig({ keepClients: true });

  before(async () => {
    const me = await rig.connect('me');
    await rig.connect('nobody');
    await me.subscribe('bar');
    await me.publish('foo', 'x');
    await me.subscribe('foo', { durableName: 'dur', maxInFlight: 1, manualAcks: true, all: true });
    await me.subscribe('foo', { queueGroup: 'group' });
    await me.subscribe('foo', { queueGroup: 'group', durableName: 'dur' });
  });

  it('is shaped as documented: serverz', async () => {
    await isShaped(rig.broker, '/streaming/serverz', {
      ...(SERVERZ as object),
      ...(process.platform === 'linux' && OPEN_FILES),
    });
  });

  it('is shaped as documented: storez', async () => {
    await isShaped(rig.broker, '/streaming/storez', STOREZ);
  });

  it('is shaped as documented: clientsz, and a page of it', async () => {
    await isShaped(rig.broker, '/streaming/clientsz', { ...PAGE, clients: [CLIENT, CLIENT] });
    await isShaped(rig.broker, '/streaming/clientsz?limit=1&offset=1', { ...PAGE, clients: [CLIENT] });
    await isShaped(rig.broker, '/streaming/clientsz?limit=1&offset=2', { ...PAGE, clients: [] });
  });

  it('is shaped as documented: clientsz with subscriptions, absent for a client that has none', async () => {
    const subscriptions = { bar: [PLAIN], foo: [DURABLE, QUEUE, QUEUE] };
    const me = { ...CLIENT, subscriptions };
    await isShaped(rig.broker, '/streaming/clientsz?subs=1', { ...PAGE, clients: [me, CLIENT] });
    await isShaped(rig.broker, '/streaming/clientsz?client=me&subs=1', me);
    await isShaped(rig.broker, '/streaming/clientsz?client=me', CLIENT);
    await isShaped(rig.broker, '/streaming/clientsz?client=nobody&subs=1', CLIENT);
  });

  it('is shaped as documented: channelsz, and a page of it', async () => {
    await isShaped(rig.broker, '/streaming/channelsz', { ...PAGE, names: ['string', 'string'] });
    await isShaped(rig.broker, '/streaming/channelsz?limit=1&offset=1', { ...PAGE, names: ['string'] });
    await isShaped(rig.broker, '/streaming/channelsz?limit=1&offset=2', PAGE);
  });

  it('is shaped as documented: channelsz with subscriptions', async () => {
    const bar = { ...CHANNEL, subscriptions: [PLAIN] };
    const foo = { ...CHANNEL, subscriptions: [DURABLE, QUEUE, QUEUE] };
    await isShaped(rig.broker, '/streaming/channelsz?subs=1', { ...PAGE, channels: [bar, foo] });
    await isShaped(rig.broker, '/streaming/channelsz?limit=1&offset=0&subs=1', { ...PAGE, channels: [bar] });
    await isShaped(rig.broker, '/streaming/channelsz?channel=foo', CHANNEL);
    await isShaped(rig.broker, '/streaming/channelsz?channel=foo&subs=1', foo);
  });

  it('has 0 for both bounds of a channel that never had a message', async () => {
    const { msgs, bytes, first_seq, last_seq } = await getJson(
      rig.broker,
      '/streaming/channelsz?channel=bar',
    );
    assert.deepEqual([msgs, bytes, first_seq, last_seq], [0, 0, 0, 0]);
  });

  it('keeps the fields of a durable that has gone offline, the client too', async () => {
    const other = await rig.connect('other');
    await other.publishMany('off', 3);
    // One that has gone at its MaxInflight still is, as in the Go server: `is_offline` says why nobody sees to it.
    const durable = await other.subscribe('off', {
      ...{ durableName: 'dur', all: true, manualAcks: true, maxInFlight: 2 },
    });
    await durable.got(2);
    const path = '/streaming/channelsz?channel=off&subs=1';
    const one = async (): Promise<Record<string, unknown>> => {
      const { subscriptions } = await getJson(rig.broker, path);
      return (subscriptions as Record<string, unknown>[])[0]!;
    };
    const online = await one();
    assert.deepEqual([online.is_stalled, online.pending_count], [true, 2]);
    await other.close();
    await waitFor(async () => (await one()).is_offline === true, 'it is offline');
    assert.deepEqual(await one(), { ...online, is_offline: true });
    assert.equal((await get(rig.broker, '/streaming/clientsz?client=other')).status, 404);
    await isShaped(rig.broker, path, { ...CHANNEL, subscriptions: [DURABLE] });
  });

  it('is shaped as documented without any client or channel too', async () => {
    const empty = await rig.startBroker();
    await isShaped(empty, '/streaming/clientsz', { ...PAGE, clients: [] });
    await isShaped(empty, '/streaming/channelsz', PAGE);
  });
});

describe('what /streaming answers in a group', () => {
  const rig = httpRig({ store: 'file', broker: false });

  it('is shaped the same on active and standby, which are both ready and differ in isFTActive', async () => {
    const shared = { clusterId: 'c', dir: join(rig.folder(), 'store') };
    const flags = ['--http-port', '-1', '--ft-group', 'g', '--node-name'];
    const active = await rig.startBroker({ ...shared, flags: [...flags, 'a'] });
    const standby = await rig.startBroker({ ...shared, flags: [...flags, 'b'] });
    for (const [broker, state] of [
      [active, 'FT_ACTIVE'],
      [standby, 'FT_STANDBY'],
    ] as const) {
      const shape = {
        ...(SERVERZ as object),
        unproved_group_messages: NUMBER,
        ...(process.platform === 'linux' && OPEN_FILES),
      };
      await isShaped(broker, '/streaming/serverz', shape);
      assert.equal((await getJson(broker, '/streaming/serverz')).state, state);
      await isShaped(broker, '/streaming/storez', STOREZ);
      assert.equal((await getJson(broker, '/streaming/storez')).type, 'FILE');
      await isShaped(broker, '/streaming/clientsz', { ...PAGE, clients: [] });
      await isShaped(broker, '/streaming/channelsz', PAGE);
      assert.equal((await get(broker, '/readyz')).status, 200);
    }
    const yes = await get(active, '/streaming/isFTActive');
    assert.deepEqual([yes.status, yes.text, yes.headers.get('content-length')], [200, '', '0']);
    const no = await get(standby, '/streaming/isFTActive');
    assert.deepEqual([no.status, no.text, no.headers.get('content-length')], [204, '', null]);
  });
});
