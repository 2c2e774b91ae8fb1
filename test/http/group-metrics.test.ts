import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { connect } from 'nats';
import type { Broker } from '../harness/broker.js';
import { askToHandOver } from '../harness/hand-over.js';
import { waitFor } from '../harness/wait.js';
import { httpRig } from './http-rig.js';
import { type ParsedMetrics, sampleOf } from './prometheus-text.js';
import { scrape } from './scrape.js';

const GUIDE = new URL('../../docs/monitoring.md', import.meta.url);
const ROLES = ['starting', 'standby', 'recovering', 'active', 'stopping'];
const REASONS = ['first', 'handover', 'process_died', 'lease_expired', 'cut_off'];

describe('/metrics of a group', () => {
  const rig = httpRig({ store: 'file', broker: false, keepClients: true });
  let dir = '';
  let active: Broker;
  let standby: Broker;
  let atStart: ParsedMetrics;

  before(async () => {
    dir = join(rig.folder(), 'store');
    const shared = { clusterId: 'c', dir };
    const member = (node: string): Promise<Broker> => {
      const flags = ['--http-port', '-1', '--ft-group', 'g', '--node-name', node];
      return rig.startBroker({ ...shared, flags: [...flags, '--max-msgs', '8', '--max-age', '1h'] });
    };
    active = await member('a');
    standby = await member('b');
    atStart = await scrape(active);
  });

  it('shows the role of each member, and which members are there', async () => {
    await waitFor(
      async () => sampleOf(await scrape(active), 'stanchion_group_members', { role: 'standby' }) === 1,
      'the active hears the standby',
    );
    for (const [broker, role, node] of [
      [active, 'active', 'a'],
      [standby, 'standby', 'b'],
    ] as const) {
      const metrics = await scrape(broker);
      const roles = ROLES.map((each) => sampleOf(metrics, 'stanchion_role', { role: each }));
      assert.deepEqual(
        roles,
        ROLES.map((each) => Number(each === role)),
      );
      const members = ROLES.map((each) => sampleOf(metrics, 'stanchion_group_members', { role: each }));
      assert.deepEqual(members, [0, 1, 0, 1, 0]);
      const labels = { cluster_id: 'c', group: 'g', node };
      assert.equal(sampleOf(metrics, 'stanchion_group_info', labels), 1);
      assert.equal(sampleOf(metrics, 'stanchion_epoch'), 1);
      assert.equal(sampleOf(metrics, 'stanchion_lease_seconds'), 0.6);
    }
  });

  it('shows the age of the lease on the active alone', async () => {
    const age = sampleOf(await scrape(active), 'stanchion_lease_age_seconds');
    assert.ok(age >= 0 && age < 0.6, String(age));
    assert.equal((await scrape(standby)).types.has('stanchion_lease_age_seconds'), false);
  });

  it('counts renewals of the lease also while nothing is published', async () => {
    const renewals = async (broker: Broker): Promise<number> =>
      sampleOf(await scrape(broker), 'stanchion_lease_renewal_seconds_count');
    const before = await renewals(active);
    await waitFor(async () => (await renewals(active)) >= before + 3, 'three more renewals');
    assert.equal(await renewals(standby), 0);
  });

  it('measures acks, deliveries, batches and fences, and counts what limits drop', async () => {
    const client = await rig.connect('client', { broker: active });
    const subscription = await client.subscribe('orders', { all: true });
    await client.publishMany('orders', 20);
    // The limit may drop some before they can be delivered.
    await waitFor(() => subscription.messages.at(-1)?.sequence === 20, 'the last one is delivered');
    const metrics = await scrape(active);
    const count = (name: string): number => sampleOf(metrics, `stanchion_${name}_count`);
    const more = (name: string): number => count(name) - sampleOf(atStart, `stanchion_${name}_count`);
    assert.equal(more('publish_ack_seconds'), 20);
    assert.ok(more('delivery_seconds') >= 1);
    const batches = more('journal_write_seconds');
    assert.ok(batches >= 1);
    assert.equal(more('journal_batch_bytes'), batches);
    assert.equal(more('journal_batch_messages'), batches);
    assert.equal(sampleOf(metrics, 'stanchion_journal_batch_messages_sum'), 20);
    const bytes = sampleOf(metrics, 'stanchion_journal_batch_bytes_sum');
    assert.ok(bytes > 20 * 30, `${bytes} bytes`);
    assert.ok(more('fence_seconds') >= 1);
    assert.ok(sampleOf(metrics, 'stanchion_publish_ack_seconds_sum') < 20 * 10);
    assert.equal(sampleOf(metrics, 'stanchion_dropped_messages_total', { limit: 'messages' }), 12);
    for (const limit of ['bytes', 'age']) {
      assert.equal(sampleOf(metrics, 'stanchion_dropped_messages_total', { limit }), 0);
    }
  });

  it('has histograms whose buckets grow up to the count', async () => {
    const { types, samples } = await scrape(active);
    const histograms = [...types].filter(([, type]) => type === 'histogram').map(([name]) => name);
    assert.ok(histograms.length > 5);
    // A histogram with labels is one of each of their values.
    const others = ({ le: _, ...labels }: Record<string, string>): string => JSON.stringify(labels);
    for (const name of histograms) {
      for (const total of samples.filter((sample) => sample.name === `${name}_count`)) {
        const buckets = samples.filter(
          (sample) => sample.name === `${name}_bucket` && others(sample.labels) === others(total.labels),
        );
        const bounds = buckets.map(({ labels }) => Number(labels.le!.replace('+Inf', 'Infinity')));
        const values = buckets.map(({ value }) => value);
        const about = `${name} ${others(total.labels)}`;
        assert.deepEqual(
          bounds,
          bounds.toSorted((a, b) => a - b),
          about,
        );
        assert.deepEqual(
          values,
          values.toSorted((a, b) => a - b),
          about,
        );
        assert.equal(values.at(-1), total.value, about);
      }
    }
  });

  it('shows the size of the store and of its disk, on a standby too', async () => {
    for (const broker of [active, standby]) {
      const metrics = await scrape(broker);
      const bytes = (kind: string): number => sampleOf(metrics, 'stanchion_store_disk_bytes', { kind });
      assert.ok(bytes('journal') > 0);
      assert.ok(bytes('segments') >= 0 && bytes('checkpoints') >= 0);
      const free = sampleOf(metrics, 'stanchion_store_filesystem_free_bytes');
      const size = sampleOf(metrics, 'stanchion_store_filesystem_size_bytes');
      assert.ok(free > 0 && free <= size, `${free} of ${size}`);
    }
  });

  it('shows how long a takeover took, and its reason', async () => {
    const first = await scrape(active);
    assert.equal(sampleOf(first, 'stanchion_takeovers_total', { reason: 'first' }), 1);
    assert.equal((await scrape(standby)).types.has('stanchion_last_takeover_seconds'), false);
    const killedAt = Date.now() / 1000;
    await active.kill('SIGKILL');
    await waitFor(
      async () => sampleOf(await scrape(standby), 'stanchion_role', { role: 'active' }) === 1,
      'the standby has taken over',
    );
    const metrics = await scrape(standby);
    const takeovers = REASONS.map((reason) => sampleOf(metrics, 'stanchion_takeovers_total', { reason }));
    assert.deepEqual(takeovers, [0, 0, 1, 0, 0]);
    assert.equal(sampleOf(metrics, 'stanchion_epoch'), 2);
    const part = (name: string): number =>
      sampleOf(metrics, 'stanchion_last_takeover_seconds', { part: name });
    assert.ok(part('detection') > 0 && part('recovery') > 0 && part('serving') > 0);
    assert.ok(part('total') > part('detection') + part('recovery') + part('serving'));
    const at = sampleOf(metrics, 'stanchion_last_takeover_timestamp_seconds');
    assert.ok(at > killedAt && at <= Date.now() / 1000);
    for (const name of ['list', 'checkpoint', 'journal', 'open']) {
      assert.ok(sampleOf(metrics, 'stanchion_recovery_seconds', { part: name }) >= 0);
    }
    assert.equal(sampleOf(metrics, 'stanchion_recovered_messages'), 20);
    assert.ok(sampleOf(metrics, 'stanchion_recovered_journal_bytes') > 0);
  });

  it('writes checkpoints, and counts terms that ended', async () => {
    const metrics = (): Promise<ParsedMetrics> => scrape(standby);
    await waitFor(
      async () => sampleOf(await metrics(), 'stanchion_checkpoint_seconds_count') >= 1,
      'a checkpoint after the takeover',
    );
    for (const kind of ['handover', 'lost', 'failed']) {
      assert.equal(sampleOf(await metrics(), 'stanchion_reigns_ended_total', { kind }), 0);
    }
    await active.startAgain();
    standby.signal('SIGSTOP');
    await waitFor(
      async () => sampleOf(await scrape(active), 'stanchion_role', { role: 'active' }) === 1,
      'the other one has taken over',
    );
    const taken = await scrape(active);
    assert.equal(sampleOf(taken, 'stanchion_takeovers_total', { reason: 'lease_expired' }), 1);
    standby.signal('SIGCONT');
    await waitFor(
      async () => sampleOf(await metrics(), 'stanchion_reigns_ended_total', { kind: 'lost' }) === 1,
      'the one that was paused knows that its term is over',
    );
    // What was measured before the end of its term is still told.
    assert.ok(sampleOf(await metrics(), 'stanchion_checkpoint_seconds_count') >= 1);
  });

  it('counts a handover on both sides', async () => {
    const nats = await connect({ servers: rig.nats.url });
    try {
      const answer = await askToHandOver(nats, { clusterId: 'c', group: 'g', dir });
      assert.ok(answer.ok, JSON.stringify(answer));
    } finally {
      await nats.close();
    }
    await waitFor(
      async () => sampleOf(await scrape(standby), 'stanchion_takeovers_total', { reason: 'handover' }) === 1,
      'the other one has taken over',
    );
    const given = await scrape(active);
    assert.equal(sampleOf(given, 'stanchion_reigns_ended_total', { kind: 'handover' }), 1);
    // It has served in two epochs, and another one has served between.
    assert.equal(sampleOf(await scrape(standby), 'stanchion_epoch'), 4);
  });

  it('is explained: docs/monitoring.md has every metric that there is, and no other', async () => {
    const { types } = await scrape(standby);
    const own = [...types.keys()].filter((name) => /^(stanchion|nss)_/.test(name)).toSorted();
    const text = readFileSync(GUIDE, 'utf8').replaceAll(/_bucket\b/g, '');
    const explained = new Set(text.match(/\b(stanchion|nss)_(?!\*)\w+/g));
    assert.deepEqual([...explained].toSorted(), own);
  });
});

describe('/metrics of a broker without a group', () => {
  const memory = httpRig();
  const file = httpRig({ store: 'file' });

  it('has nothing of groups', async () => {
    for (const { broker } of [memory, file]) {
      const { types } = await scrape(broker);
      const ofGroups = [...types.keys()].filter((name) =>
        /^stanchion_(role|group|epoch|lease|takeovers|terms|last_takeover)/.test(name),
      );
      assert.deepEqual(ofGroups, []);
    }
  });

  it('has with the memory store what the memory store has', async () => {
    const client = await memory.connect();
    const channel = memory.name('channel');
    const subscription = await client.subscribe(channel);
    await client.publish(channel, 'x');
    await subscription.got(1);
    const metrics = await scrape(memory.broker);
    assert.equal(sampleOf(metrics, 'stanchion_publish_ack_seconds_count'), 1);
    assert.equal(sampleOf(metrics, 'stanchion_delivery_seconds_count'), 1);
    for (const name of metrics.types.keys()) {
      assert.doesNotMatch(name, /journal|fence|checkpoint|recover|disk|filesystem/);
    }
  });

  it('measures the file store as a member of a group does', async () => {
    const client = await file.connect();
    await client.publish(file.name('channel'), 'x');
    const metrics = await scrape(file.broker);
    for (const name of ['publish_ack_seconds', 'journal_write_seconds', 'fence_seconds']) {
      assert.ok(sampleOf(metrics, `stanchion_${name}_count`) >= 1, name);
    }
    assert.ok(sampleOf(metrics, 'stanchion_recovery_seconds', { part: 'open' }) > 0);
    assert.ok(sampleOf(metrics, 'stanchion_store_disk_bytes', { kind: 'journal' }) > 0);
  });

  it('counts what is dropped by limits on bytes and age, in both stores', async () => {
    for (const rig of [memory, file]) {
      const flags = ['--http-port', '-1', '--max-bytes', '500', '--max-age', '300ms'];
      const broker = await rig.startBroker({ flags });
      const client = await rig.connect('client', { broker });
      await client.publishMany('orders', 50);
      const dropped = async (limit: string): Promise<number> =>
        sampleOf(await scrape(broker), 'stanchion_dropped_messages_total', { limit });
      assert.ok((await dropped('bytes')) > 0);
      await waitFor(async () => (await dropped('bytes')) + (await dropped('age')) === 50, 'all have gone');
      assert.ok((await dropped('age')) > 0);
      assert.equal(await dropped('messages'), 0);
    }
  });

  it('does not count the wait of messages whose durables were offline', async () => {
    const client = await memory.connect();
    const channel = memory.name('channel');
    await client.publishMany(channel, 50);
    const before = sampleOf(await scrape(memory.broker), 'stanchion_delivery_seconds_count');
    const subscription = await client.subscribe(channel, { all: true });
    await subscription.got(50);
    assert.equal(sampleOf(await scrape(memory.broker), 'stanchion_delivery_seconds_count'), before);
  });
});
