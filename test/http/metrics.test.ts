import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_CONFIG_FILE, resolveServeConfig } from '../../src/config/resolve.js';
import { Metrics } from '../../src/metrics/metrics.js';
import { ChannelsByName } from '../../src/monitor/channels-by-name.js';
import { BrokerNode } from '../../src/run/broker-node.js';
import { InMemoryBroker } from '../broker/in-memory.js';
import { waitFor } from '../harness/wait.js';
import { httpRig } from './http-rig.js';
import { parseMetrics, sampleOf } from './prometheus-text.js';
import { scrape } from './scrape.js';

// Names and labels of the NATS exporter, before it dropped them.
const SERVER = ['server_id'];
const CHANNEL = ['server_id', 'server_role', 'channel'];
const SUBSCRIPTION = [
  ...['client_id', 'inbox', 'queue_name', 'is_durable', 'is_offline', 'durable_name'],
  ...CHANNEL,
];
const FORMER: Record<string, string[]> = {
  nss_server_bytes_total: SERVER,
  nss_server_bytes_in: SERVER,
  nss_server_bytes_out: SERVER,
  nss_server_msgs_total: SERVER,
  nss_server_msgs_in: SERVER,
  nss_server_msgs_out: SERVER,
  nss_server_channels: SERVER,
  nss_server_subscriptions: SERVER,
  nss_server_clients: SERVER,
  nss_server_active: SERVER,
  nss_server_info: ['cluster_id', 'version', 'go_version', 'state', 'role', 'start_time', ...SERVER],
  nss_chan_bytes_total: CHANNEL,
  nss_chan_msgs_total: CHANNEL,
  nss_chan_last_seq: CHANNEL,
  nss_chan_subs_last_sent: SUBSCRIPTION,
  nss_chan_subs_pending_count: SUBSCRIPTION,
  nss_chan_subs_max_inflight: SUBSCRIPTION,
};

describe('/metrics', () => {
  const rig = httpRig({ flags: ['--node-name', 'stan-0'] });

  it('has the series of the NATS exporter under their names and labels', async () => {
    const client = await rig.connect();
    await client.subscribe(rig.name('channel'), { durableName: 'd', queueGroup: 'g' });
    const { samples } = await scrape(rig.broker);
    const labelsOf = new Map(samples.map(({ name, labels }) => [name, Object.keys(labels).sort()]));
    for (const [name, labels] of Object.entries(FORMER)) {
      assert.deepEqual(labelsOf.get(name), labels.toSorted(), name);
    }
    const info = samples.find(({ name }) => name === 'nss_server_info')!;
    assert.deepEqual(
      [info.labels.server_id, info.labels.cluster_id, info.labels.state],
      ['stan-0', rig.broker.clusterId, 'STANDALONE'],
    );
  });

  it('costs no memory for good: the young generation stays as it was', async () => {
    const youngBytes = async (): Promise<number> =>
      sampleOf(await scrape(rig.broker), 'nodejs_heap_space_size_total_bytes', { space: 'new' });
    // More garbage than any young generation has room for.
    for (let i = 0; i < 200; i++) await scrape(rig.broker);
    assert.ok((await youngBytes()) <= 4 * 1024 * 1024, `${await youngBytes()} bytes`);
  });

  it('counts what was published, delivered and acknowledged', async () => {
    const before = await scrape(rig.broker);
    const client = await rig.connect();
    const channel = rig.name('channel');
    const manual = { all: true, manualAcks: true, ackWaitMs: 60_000 };
    const durable = await client.subscribe(channel, { ...manual, durableName: 'd', maxInFlight: 4 });
    const member = await client.subscribe(channel, { ...manual, queueGroup: 'g' });
    await client.publishMany(channel, 10);
    await durable.got(4);
    await member.got(10);
    durable.messages[0]!.ack();
    await durable.got(5);
    const after = await scrape(rig.broker);
    const more = (name: string): number => sampleOf(after, name) - sampleOf(before, name);
    assert.equal(more('stanchion_received_messages_total'), 10);
    assert.equal(more('stanchion_delivered_messages_total'), 15);
    assert.equal(more('stanchion_acks_total'), 1);
    assert.equal(more('stanchion_redeliveries_total'), 0);
    assert.equal(more('stanchion_stored_messages'), 10);
    assert.equal(more('stanchion_in_flight_messages'), 14);
    assert.equal(more('stanchion_stalled_subscriptions'), 1);
    assert.equal(more('stanchion_channels'), 1);
    assert.equal(more('stanchion_clients'), 1);
    for (const name of ['received', 'delivered']) assert.ok(more(`stanchion_${name}_bytes_total`) > 10);
    assert.ok(more('stanchion_stored_bytes') > 10);
    assert.equal(more('nss_server_msgs_in'), 10);
    assert.equal(more('nss_server_msgs_out'), 15);
    assert.equal(more('nss_server_msgs_total'), 10);

    assert.equal(sampleOf(after, 'nss_chan_msgs_total', { channel }), 10);
    assert.equal(sampleOf(after, 'nss_chan_last_seq', { channel }), 10);
    const ofDurable = { channel, durable_name: 'd' };
    assert.equal(sampleOf(after, 'nss_chan_subs_last_sent', ofDurable), 5);
    assert.equal(sampleOf(after, 'nss_chan_subs_pending_count', ofDurable), 4);
    assert.equal(sampleOf(after, 'nss_chan_subs_max_inflight', ofDurable), 4);
    assert.equal(sampleOf(after, 'nss_chan_subs_last_sent', { channel, queue_name: 'g' }), 10);
  });

  it('shows how far durables and queue groups are behind, connected or not', async () => {
    const client = await rig.connect();
    const channel = rig.name('channel');
    const manual = { all: true, manualAcks: true, ackWaitMs: 60_000 };
    const durable = await client.subscribe(channel, { ...manual, durableName: 'd', maxInFlight: 3 });
    const member = await client.subscribe(channel, { ...manual, durableName: 'd', queueGroup: 'g' });
    await client.publishMany(channel, 10);
    await durable.got(3);
    await member.got(10);
    const ofDurable = { channel, kind: 'durable', client_id: client.clientId, durable_name: 'd' };
    const ofGroup = { channel, kind: 'queue_group', durable_name: 'd', queue_name: 'g' };
    assert.deepEqual(await consumer(ofDurable), { members: 1, inFlight: 3, undelivered: 7, lag: 10 });
    assert.deepEqual(await consumer(ofGroup), { members: 1, inFlight: 10, undelivered: 0, lag: 10 });
    member.ackAll();
    await waitFor(async () => (await consumer(ofGroup)).lag === 0, 'the group has caught up');
    await member.close();
    await durable.close();
    await client.publishMany(channel, 5);
    assert.deepEqual(await consumer(ofDurable), { members: 0, inFlight: 3, undelivered: 12, lag: 15 });
    assert.deepEqual(await consumer(ofGroup), { members: 0, inFlight: 0, undelivered: 5, lag: 5 });
    const metrics = await scrape(rig.broker);
    assert.ok(sampleOf(metrics, 'stanchion_max_lag_messages') >= 15);
    assert.ok(sampleOf(metrics, 'stanchion_subscriptions', { state: 'offline' }) >= 2);
  });

  it('counts what is refused, by kind', async () => {
    const raw = await rig.raw();
    await raw.publish({ clientId: 'nobody', subject: 'x' });
    await raw.publish({ clientId: 'nobody', subject: 'x', guid: '' });
    const metrics = await scrape(rig.broker);
    assert.equal(sampleOf(metrics, 'stanchion_refused_publishes_total'), 2);
    for (const kind of ['publish by an unknown client', 'PubMsg without guid']) {
      assert.equal(sampleOf(metrics, 'stanchion_bad_input_total', { kind }), 1);
    }
  });

  it('counts redeliveries', async () => {
    const client = await rig.connect();
    const channel = rig.name('channel');
    const reader = await client.subscribe(channel, { manualAcks: true, ackWaitMs: 1000 });
    await client.publish(channel, 'x');
    await reader.got(2);
    assert.ok(sampleOf(await scrape(rig.broker), 'stanchion_redeliveries_total') >= 1);
  });

  it('shows the store, NATS and the process', async () => {
    const metrics = await scrape(rig.broker);
    assert.equal(sampleOf(metrics, 'stanchion_serving'), 1);
    assert.equal(sampleOf(metrics, 'stanchion_nats_connected'), 1);
    assert.equal(sampleOf(metrics, 'stanchion_nats_congested'), 0);
    assert.equal(sampleOf(metrics, 'stanchion_store_full'), 0);
    assert.equal(sampleOf(metrics, 'stanchion_store_pending_bytes'), 0);
    assert.equal(sampleOf(metrics, 'stanchion_store_pending_max_bytes'), 256 * 1024 * 1024);
    assert.equal(sampleOf(metrics, 'stanchion_info', { node: 'stan-0', store: 'memory' }), 1);
    assert.ok(sampleOf(metrics, 'process_resident_memory_bytes') > 0);
    assert.ok(sampleOf(metrics, 'nodejs_heap_size_used_bytes') > 0);
    assert.equal(metrics.types.get('stanchion_event_loop_delay_seconds'), 'summary');
    const delay = (quantile: string): number =>
      sampleOf(metrics, 'stanchion_event_loop_delay_seconds', { quantile });
    assert.ok(delay('0.5') >= 0 && delay('0.99') >= delay('0.5') && delay('1') >= delay('0.99'));
  });

  it('makes one series of subscriptions that differ in nothing, whatever names clients choose', async () => {
    const raw = await rig.raw();
    await raw.join('twin');
    const inbox = '_INBOX.same';
    const odd = 'a"b\\c';
    for (let i = 0; i < 2; i++) await raw.subscribe({ clientId: 'twin', subject: odd, inbox });
    const metrics = await scrape(rig.broker);
    assert.equal(sampleOf(metrics, 'nss_chan_subs_pending_count', { channel: odd, client_id: 'twin' }), 0);
  });

  async function consumer(labels: Record<string, string>): Promise<Record<string, number>> {
    const metrics = await scrape(rig.broker);
    const of = (what: string): number => sampleOf(metrics, `stanchion_consumer_${what}`, labels);
    return {
      members: of('members'),
      inFlight: of('in_flight_messages'),
      undelivered: of('undelivered_messages'),
      lag: of('lag_messages'),
    };
  }
});

describe('/metrics with many channels', () => {
  const rig = httpRig({ broker: false });

  for (const { limit, shown } of [
    { limit: '2', shown: ['a', 'b'] },
    { limit: '0', shown: [] },
  ]) {
    it(`has series of the first by name, where all have durables: --metrics-max-channels ${limit}`, async () => {
      const flags = ['--http-port', '-1', '--metrics-max-channels', limit];
      const broker = await rig.startBroker({ flags });
      const client = await rig.connect('client', { broker });
      for (const channel of ['c', 'a', 'd', 'b']) {
        await client.publish(channel, 'x');
        await client.subscribe(channel, { durableName: 'd', all: true, manualAcks: true });
      }
      const metrics = await scrape(broker);
      const channels = metrics.samples.flatMap(({ labels }) => labels.channel ?? []);
      assert.deepEqual([...new Set(channels)], shown);
      assert.equal(sampleOf(metrics, 'stanchion_metrics_channels_left_out'), 4 - shown.length);
      const leftOut = 4 - shown.length;
      assert.equal(sampleOf(metrics, 'stanchion_metrics_subscriptions_left_out'), leftOut);
      assert.equal(sampleOf(metrics, 'stanchion_metrics_consumers_left_out'), leftOut);
      assert.equal(sampleOf(metrics, 'stanchion_metrics_left_out_max_lag_messages'), 1);
      // Totals are of all.
      assert.equal(sampleOf(metrics, 'stanchion_channels'), 4);
      assert.equal(sampleOf(metrics, 'stanchion_stored_messages'), 4);
      assert.equal(sampleOf(metrics, 'stanchion_max_lag_messages'), 1);
    });
  }

  it('has no more series of subscriptions than ten times the channels shown', async () => {
    const broker = await rig.startBroker({ flags: ['--http-port', '-1', '--metrics-max-channels', '2'] });
    const client = await rig.connect('client', { broker });
    for (let i = 0; i < 15; i++) await client.subscribe('a');
    for (let i = 0; i < 15; i++) await client.subscribe('b');
    await client.subscribe('b', { durableName: 'd', all: true });
    const metrics = await scrape(broker);
    const count = metrics.samples.filter(({ name }) => name === 'nss_chan_subs_last_sent').length;
    // Those of the channel that has a durable.
    assert.equal(count, 16);
    assert.equal(sampleOf(metrics, 'stanchion_metrics_subscriptions_left_out'), 15);
    assert.equal(sampleOf(metrics, 'nss_server_subscriptions'), 31);
  });

  it('shows the lag of each durable, however many subscriptions there are beside it', async () => {
    const broker = await rig.startBroker({ flags: ['--http-port', '-1', '--metrics-max-channels', '2'] });
    const client = await rig.connect('client', { broker });
    for (let i = 0; i < 21; i++) await client.subscribe('crowd');
    await client.subscribe('crowd', { durableName: 'd' });
    for (let i = 0; i < 21; i++) await client.subscribe('many', { durableName: `d${i}` });
    const metrics = await scrape(broker);
    const lags = metrics.samples.filter(({ name }) => name === 'stanchion_consumer_lag_messages');
    assert.equal(lags.filter(({ labels }) => labels.channel === 'crowd').length, 1);
    // Of durables, too, there are ten times as many as channels at most.
    assert.equal(lags.length, 20);
    assert.equal(sampleOf(metrics, 'stanchion_metrics_consumers_left_out'), 2);
    assert.equal(sampleOf(metrics, 'stanchion_metrics_subscriptions_left_out'), 43);
  });

  it('shows the lag of more than ten durables of the only channel', async () => {
    const broker = await rig.startBroker({ flags: ['--http-port', '-1'] });
    const client = await rig.connect('client', { broker });
    for (let i = 0; i < 12; i++) await client.subscribe('orders', { durableName: `d${i}` });
    const { samples } = await scrape(broker);
    assert.equal(samples.filter(({ name }) => name === 'stanchion_consumer_lag_messages').length, 12);
  });
});

describe('/metrics of 5,002 channels with 62 durables on the last names', () => {
  const rig = httpRig({ flags: ['--max-channels', '0'] });
  const [CHANNELS, DURABLES] = [5_002, 62];
  const name = (i: number): string => `channel.${String(i).padStart(4, '0')}`;

  it('has the lag of each durable, and counts exactly what is left out', async () => {
    const client = await rig.connect();
    await Promise.all(Array.from({ length: CHANNELS }, (_, i) => client.publish(name(i), 'x')));
    const last = Array.from({ length: DURABLES }, (_, i) => name(CHANNELS - DURABLES + i));
    for (const channel of last)
      await client.subscribe(channel, { durableName: 'd', all: true, manualAcks: true });
    for (let i = 0; i < 3; i++) await client.subscribe(name(4_900));
    // The one that is furthest behind.
    await client.publishMany(last.at(-1)!, 9);
    const metrics = await scrape(rig.broker);
    const lags = metrics.samples.filter((sample) => sample.name === 'stanchion_consumer_lag_messages');
    assert.deepEqual(
      lags.map(({ labels, value }) => [labels.channel, value]),
      last.map((channel) => [channel, channel === last.at(-1) ? 10 : 1]),
    );
    const of = (what: string): number => sampleOf(metrics, `stanchion_${what}`);
    assert.deepEqual([of('metrics_channels_left_out'), of('metrics_subscriptions_left_out')], [4_002, 3]);
    assert.deepEqual([of('metrics_consumers_left_out'), of('metrics_left_out_max_lag_messages')], [0, 0]);
    assert.deepEqual([of('max_lag_messages'), of('channels')], [10, CHANNELS]);
    // Beside those with durables, the first by name.
    const shown = metrics.samples.flatMap((sample) =>
      sample.name === 'nss_chan_last_seq' ? sample.labels.channel! : [],
    );
    const first = Array.from({ length: 1_000 - DURABLES }, (_, i) => name(i));
    assert.deepEqual(shown.sort(), [...first, ...last]);
  });
});

describe('A scrape of many channels', () => {
  const rig = httpRig({ flags: ['--max-channels', '0', '--metrics-max-channels', '5000'] });

  it('is made while publishers go on', async () => {
    const client = await rig.connect();
    await Promise.all(Array.from({ length: 3000 }, (_, i) => client.publish(`channel.${i}`, 'x')));
    let ackedMeanwhile = 0;
    await waitFor(async () => {
      let isOver = false;
      const scraping = scrape(rig.broker).finally(() => {
        isOver = true;
      });
      while (!isOver) {
        await client.publish('channel.0', 'x');
        if (!isOver) ackedMeanwhile++;
      }
      const { samples } = await scraping;
      assert.equal(samples.filter(({ name }) => name === 'nss_chan_last_seq').length, 3000);
      return ackedMeanwhile > 0;
    }, 'an ack comes while a scrape is under way');
  });
});

describe('Bad input', () => {
  it('has a series of each kind before there is any, also without a broker: what begins at 1 has not grown', async () => {
    const world = await InMemoryBroker.start();
    const node = new BrokerNode(
      resolveServeConfig([], {}, () => NO_CONFIG_FILE),
      'id',
      world.clock,
    );
    const metrics = new Metrics(node, new ChannelsByName(), 0);
    const counts = async (): Promise<[kind: string, total: number][]> =>
      parseMetrics((await metrics.scrape()).pieces.join(''))
        .samples.filter(({ name }) => name === 'stanchion_bad_input_total')
        .map(({ labels, value }) => [labels.kind!, value]);
    const none = await counts();
    assert.ok(none.length > 20);
    assert.ok(none.every(([, total]) => total === 0));

    node.recovered(world.broker);
    await world.message('_STAN.discover.c.pings', Buffer.from([0xff]));
    assert.deepEqual(
      await counts(),
      none.map(([kind]) => [kind, Number(kind === 'malformed Ping')]),
    );
  });
});

describe('A scrape of ten thousand channels', () => {
  it('gives way to messages, and two at a time are one', async () => {
    const world = await InMemoryBroker.start();
    await world.connect('p');
    for (let i = 0; i < 10_000; i++) {
      await world.publish('p', `channel.${i}`);
      world.link.sent.length = 0;
    }
    const config = resolveServeConfig([], {}, () => NO_CONFIG_FILE);
    const node = new BrokerNode(config, 'id', world.clock);
    node.recovered(world.broker);
    const metrics = new Metrics(node, new ChannelsByName(), 10_000);
    let turns = 0;
    const turn = (): void => {
      turns++;
      handle = setImmediate(turn);
    };
    let handle = setImmediate(turn);
    const [one, two] = await Promise.all([metrics.scrape(), metrics.scrape()]);
    clearImmediate(handle);
    assert.ok(turns > 0);
    assert.equal(one, two);
    const { samples } = parseMetrics(one.pieces.join(''));
    assert.equal(samples.filter(({ name }) => name === 'nss_chan_last_seq').length, 10_000);
  });
});
