import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { STAN_ERROR } from '../../src/protocol/error-texts.js';
import { StartPosition } from '../../src/protocol/messages.js';
import type { Broker } from '../harness/broker.js';
import { isOtherServer, Rig } from '../harness/rig.js';
import type { StanClient, StanSubscription } from '../harness/stan-client.js';
import { waitFor } from '../harness/wait.js';

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

/** An ack is not answered: what is published after it by the same connection is, and comes after it. */
async function acksAreIn(client: StanClient, channel: string): Promise<void> {
  await client.publish(channel, 'after the acks');
}

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  describe(`The file store after ${signal} and a restart`, () => {
    const rig = new Rig({ store: 'file' });
    const restart = () => rig.broker.restart(signal);

    /**
     * First deliveries. Where the broker was killed between a delivery and the note of it, that message comes a second
     * time as if it were the first: those are left out.
     */
    function fresh(subscription: StanSubscription): number[] {
      const sequences = subscription.freshSequences;
      return signal === 'SIGKILL' ? [...new Set(sequences)] : sequences;
    }

    it('has every message that was acked; sequences and timestamps go on', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      for (let i = 1; i <= 50; i++) {
        assert.equal(
          (await client.publish({ clientId, subject: channel, data: Buffer.from(`${i}`) })).error,
          '',
        );
      }
      await restart();
      assert.equal((await client.publish({ clientId, subject: channel, data: Buffer.from('51') })).error, '');
      const all = await client.subscribe({ clientId, subject: channel, startPosition: StartPosition.FIRST });
      await all.got(51);
      assert.deepEqual(
        all.messages.map(({ sequence, data }) => [sequence, Buffer.from(data).toString()]),
        upTo(51).map((i) => [i, String(i)]),
      );
      const timestamps = all.messages.map(({ timestamp }) => timestamp);
      assert.deepEqual(
        timestamps,
        timestamps.toSorted((a, b) => Number(a - b)),
      );
    });

    it('is opened again, also after a client has connected with numbers below zero', async () => {
      const client = await rig.raw();
      const clientId = rig.name('client');
      const numbers = { protocol: -5, pingInterval: -7, pingMaxOut: -9 };
      await client.connect({ clientId, connId: Buffer.from(clientId), ...numbers });
      await restart();
      const subject = rig.name('channel');
      assert.equal((await client.publish({ clientId, subject, data: Buffer.from('x') })).error, '');
    });

    // The Go server stores it again.
    it('stores a message once that is published again under its guid', { skip: isOtherServer }, async () => {
      const subject = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const guids = upTo(20).map((i) => `${clientId}-${i}`);
      for (const guid of guids.slice(0, 10)) {
        assert.deepEqual(await client.publish({ clientId, guid, subject }), { guid, error: '' });
      }
      await restart();
      for (const guid of guids) {
        assert.deepEqual(await client.publish({ clientId, guid, subject }), { guid, error: '' });
      }
      const all = await client.subscribe({ clientId, subject, startPosition: StartPosition.FIRST });
      await all.got(20);
      await client.publish({ clientId, subject });
      await all.got(21);
      assert.deepEqual(
        all.messages.map(({ sequence }) => sequence),
        upTo(21),
      );
    });

    it('has every channel', async () => {
      const prefix = rig.name('channel');
      const client = await rig.connect();
      const channels = upTo(40).map((i) => `${prefix}.${i}.x`);
      await Promise.all(channels.map((channel, i) => client.publishMany(channel, i + 1)));
      await restart();
      for (const [i, channel] of channels.entries()) {
        const all = await client.subscribe(channel, { all: true });
        await all.got(i + 1);
        assert.deepEqual(all.sequences, upTo(i + 1));
      }
    });

    it('knows its clients, which go on without reconnecting', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.connect(clientId, { stanPingInterval: 1000, stanMaxPingOut: 30 });
      const subscription = await client.subscribe(channel);
      await client.publish(channel, '1');
      await subscription.got(1);
      await restart();
      await client.publish(channel, '2');
      await subscription.gotOne(({ sequence }) => sequence === 2, 'message 2');
      assert.deepEqual(fresh(subscription), [1, 2]);
      await assert.rejects(rig.connect(clientId), { message: STAN_ERROR.clientIdRegistered });
      const raw = await rig.raw();
      let pings = 0;
      raw.nats.subscribe(raw.subjects.pings, { callback: () => void pings++ });
      await waitFor(() => pings > 0, 'it pings');
      // The answer comes before the ack.
      await client.publish(channel, '3');
      assert.equal(client.lost, undefined, 'its pings are answered');
    });

    it('knows connection ids, and which clients have closed', async () => {
      const subject = rig.name('channel');
      const [open, closed] = [rig.name('client'), rig.name('client')];
      const client = await rig.raw();
      await client.join(open);
      await client.join(closed);
      await client.close(closed);
      await restart();
      assert.equal((await client.ping(Buffer.from(open))).error, '');
      assert.equal((await client.ping(Buffer.from(closed))).error, STAN_ERROR.pingUnknownConnection);
      assert.equal((await client.publish({ connId: Buffer.from(open), subject })).error, '');
      assert.equal(
        (await client.publish({ clientId: closed, subject })).error,
        STAN_ERROR.invalidPublishRequest,
      );
      assert.deepEqual(await client.close(closed), { error: STAN_ERROR.unknownClient });
      assert.deepEqual(await client.close(open), { error: '' });
    });

    it('goes on with every kind of subscription where it was', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const subscriptions = {
        plain: await client.subscribe(channel),
        durable: await client.subscribe(channel, { durableName: 'dur' }),
        queue: await client.subscribe(channel, { queueGroup: 'g' }),
        durableQueue: await client.subscribe(channel, { queueGroup: 'g', durableName: 'dur' }),
      };
      await client.publishMany(channel, 10);
      for (const subscription of Object.values(subscriptions)) await subscription.got(10);
      await acksAreIn(client, channel);
      await restart();
      await client.publishMany(channel, 10);
      for (const [kind, subscription] of Object.entries(subscriptions)) {
        await subscription.gotOne(({ sequence }) => sequence === 21, `the last message, ${kind}`);
        assert.deepEqual(fresh(subscription), upTo(21), kind);
      }
    });

    it('brings what was not acked again, flagged, and not what was acked', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const options = { manualAcks: true, ackWaitMs: 1000 };
      const subscriptions = [
        await client.subscribe(channel, options),
        await client.subscribe(channel, { ...options, durableName: 'dur' }),
        await client.subscribe(channel, { ...options, queueGroup: 'g' }),
      ];
      await client.publishMany(channel, 4);
      for (const { got, messages } of subscriptions.map((s) => ({ got: s.got(4), messages: s.messages }))) {
        await got;
        messages[1]!.ack();
        messages[3]!.ack();
      }
      await acksAreIn(client, channel);
      await restart();
      for (const subscription of subscriptions) {
        const again = () =>
          subscription.messages.filter(({ redelivered, data }) => redelivered && data.length === 1);
        await waitFor(
          () => new Set(again().map(({ sequence }) => sequence)).size >= 2,
          () => `1 and 3 again; got ${subscription.sequences}`,
        );
        assert.deepEqual([...new Set(again().map(({ sequence }) => sequence))].sort(), [1, 3]);
        assert.ok(again()[0]!.redeliveryCount >= 1);
      }
    });

    it('does not exceed MaxInflight of a subscription that had its fill', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const subscription = await client.subscribe({ clientId, subject: channel, maxInFlight: 2 });
      for (let i = 0; i < 5; i++) await client.publish({ clientId, subject: channel });
      await subscription.got(2);
      await restart();
      const fresh = () =>
        subscription.messages.filter(({ redelivered }) => !redelivered).map(({ sequence }) => sequence);
      await client.publish({ clientId, subject: channel });
      await client.ping(Buffer.from(clientId));
      assert.deepEqual(fresh(), [1, 2]);
      client.ack(subscription.response.ackInbox, channel, 1);
      client.ack(subscription.response.ackInbox, channel, 2);
      await waitFor(() => fresh().length >= 4, 'two more');
      assert.deepEqual(fresh(), [1, 2, 3, 4]);
    });

    it('takes acks and unsubscribes for what was subscribed before', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const plain = await client.subscribe(channel);
      const durable = await client.subscribe(channel, { durableName: 'dur' });
      await client.publish(channel, 'x');
      await plain.got(1);
      await durable.got(1);
      await restart();
      await plain.unsubscribe();
      await durable.unsubscribe();
      const again = await client.subscribe(channel, { durableName: 'dur', all: true });
      await again.got(1);
      assert.deepEqual(again.sequences, [1]);
    });

    it('gives a durable that comes back an ack inbox that it never had', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const inboxes: string[] = [];
      for (let life = 1; life <= 3; life++) {
        const { response } = await client.subscribe({ clientId, subject: channel, durableName: 'dur' });
        inboxes.push(response.ackInbox);
        if (life === 1) await restart();
        const end = { clientId, subject: channel, inbox: response.ackInbox };
        assert.equal((await client.closeSubscription(end)).error, '');
        if (life === 2) await restart();
      }
      assert.equal(new Set(inboxes).size, 3);
    });

    it('keeps a durable that is in use, closed, or left by its client; and forgets an unsubscribed one', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.connect(clientId);
      const leaverId = rig.name('client');
      const leaver = await rig.connect(leaverId);
      const all: StanSubscription[] = [];
      for (const durableName of ['used', 'closed', 'gone']) {
        all.push(await client.subscribe(channel, { durableName, all: true }));
      }
      all.push(await leaver.subscribe(channel, { durableName: 'left', all: true }));
      await client.publishMany(channel, 3);
      for (const subscription of all) await subscription.got(3);
      await all[1]!.close();
      await all[2]!.unsubscribe();
      await leaver.close();
      await client.publish(channel, '4');
      await restart();

      await assert.rejects(client.subscribe(channel, { durableName: 'used' }), {
        message: STAN_ERROR.duplicateDurable,
      });
      const closed = await client.subscribe(channel, { durableName: 'closed', all: true });
      await closed.got(1);
      assert.deepEqual(closed.sequences, [4]);
      const gone = await client.subscribe(channel, { durableName: 'gone', all: true });
      await gone.got(4);
      assert.deepEqual(gone.sequences, [1, 2, 3, 4]);
      const next = await rig.connect(leaverId);
      const left = await next.subscribe(channel, { durableName: 'left', all: true });
      await left.got(1);
      assert.deepEqual(left.sequences, [4]);
    });

    it('gives a durable that comes back what it had not acked, flagged, then what is new', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const first = await client.subscribe(channel, { durableName: 'dur', manualAcks: true });
      await client.publishMany(channel, 3);
      await first.got(3);
      first.messages[1]!.ack();
      await first.close();
      await client.publish(channel, '4');
      await restart();
      const again = await client.subscribe(channel, { durableName: 'dur' });
      await again.got(3);
      assert.deepEqual(
        again.messages.map(({ sequence, redelivered }) => [sequence, redelivered]),
        [
          [1, true],
          [3, true],
          [4, false],
        ],
      );
    });

    it('keeps a durable queue group without members where it was, and no other group', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const durable = await client.subscribe(channel, { durableName: 'dur', queueGroup: 'g', all: true });
      const plain = await client.subscribe(channel, { queueGroup: 'g', all: true });
      const forgotten = await client.subscribe(channel, { durableName: 'x', queueGroup: 'g', all: true });
      await client.publishMany(channel, 3);
      for (const subscription of [durable, plain, forgotten]) await subscription.got(3);
      await durable.close();
      await plain.close();
      await forgotten.unsubscribe();
      await client.publish(channel, '4');
      await restart();
      const durableAgain = await client.subscribe(channel, {
        durableName: 'dur',
        queueGroup: 'g',
        all: true,
      });
      const plainAgain = await client.subscribe(channel, { queueGroup: 'g', all: true });
      const forgottenAgain = await client.subscribe(channel, {
        durableName: 'x',
        queueGroup: 'g',
        all: true,
      });
      await durableAgain.got(1);
      assert.deepEqual(durableAgain.sequences, [4]);
      for (const subscription of [plainAgain, forgottenAgain]) {
        await subscription.got(4);
        assert.deepEqual(subscription.sequences, [1, 2, 3, 4]);
      }
    });

    it('keeps a queue group where it was, though the member that got the last message has left', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const first = await client.subscribe(channel, {
        queueGroup: 'g',
        all: true,
        maxInFlight: 1,
        manualAcks: true,
      });
      await client.publish(channel, '1');
      await first.got(1);
      const second = await client.subscribe(channel, { queueGroup: 'g' });
      await client.publish(channel, '2');
      await second.got(1);
      await second.unsubscribe();
      await restart();
      const third = await client.subscribe(channel, { queueGroup: 'g', all: true });
      await client.publish(channel, '3');
      const group = () => [...first.messages, ...third.messages];
      await waitFor(() => group().some(({ sequence }) => sequence === 3), 'message 3 for one of the two');
      assert.ok(!group().some(({ sequence }) => sequence === 2));
    });

    it('closes a client that died meanwhile for who takes its id, and its durable goes on', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const mortal = await rig.connect(clientId);
      const subscription = await mortal.subscribe(channel, { durableName: 'dur' });
      await mortal.publish(channel, '1');
      await subscription.got(1);
      await acksAreIn(mortal, channel);
      await rig.broker.kill(signal);
      mortal.drop();
      await rig.broker.startAgain();
      const next = await rig.connect(clientId);
      await next.publish(channel, '3');
      const again = await next.subscribe(channel, { durableName: 'dur' });
      await again.gotOne(({ sequence }) => sequence === 3, 'message 3');
      assert.ok(!again.sequences.includes(1));
    });

    it('survives many restarts', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const durable = await client.subscribe(channel, { durableName: 'dur' });
      for (let i = 1; i <= 5; i++) {
        await client.publish(channel, String(i));
        await durable.gotOne(({ data }) => data === String(i), `message ${i}`);
        await restart();
      }
      const all = await client.subscribe(channel, { all: true });
      await all.got(5);
      assert.deepEqual(
        all.messages.map(({ sequence, data }) => [sequence, data]),
        upTo(5).map((i) => [i, String(i)]),
      );
    });
  });
}

describe('A restart with the file store', () => {
  const rig = new Rig({ store: 'file', broker: false });

  async function restartedWith(flags: readonly string[], broker: Broker): Promise<void> {
    await broker.kill();
    await broker.startAgain(flags);
  }

  it('on SIGTERM and SIGINT ends with exit code 0', { skip: isOtherServer }, async () => {
    const broker = await rig.startBroker();
    assert.deepEqual(await broker.kill('SIGTERM'), { code: 0, signal: null });
    await broker.startAgain();
    assert.deepEqual(await broker.kill('SIGINT'), { code: 0, signal: null });
  });

  it('keeps sequences going on in a channel that a limit has emptied', async () => {
    const flags = ['--max-age', '1s'];
    const broker = await rig.startBroker({ flags });
    const channel = rig.name('channel');
    const client = await rig.connect(undefined, { broker });
    await client.publishMany(channel, 5);
    // Longer than the limit of age.
    await sleep(1200);
    await broker.restart();
    const subscription = await client.subscribe(channel, { all: true });
    await client.publish(channel, '6');
    await subscription.got(1);
    assert.deepEqual(subscription.sequences, [6]);
  });

  it('keeps the bounds of a channel at its limit, and applies a new limit', async () => {
    const broker = await rig.startBroker({ flags: ['--max-msgs', '5'] });
    const channel = rig.name('channel');
    const client = await rig.connect(undefined, { broker });
    await client.publishMany(channel, 20);
    await broker.restart();
    const five = await client.subscribe(channel, { all: true });
    await five.got(5);
    assert.deepEqual(five.sequences, [16, 17, 18, 19, 20]);
    await restartedWith(['--max-msgs', '2'], broker);
    const two = await client.subscribe(channel, { all: true });
    await two.got(2);
    assert.deepEqual(two.sequences, [19, 20]);
  });

  it('does not bring back a channel that was deleted for inactivity, nor its durables', async () => {
    const flags = ['--max-inactivity', '1s'];
    const broker = await rig.startBroker({ flags });
    const channel = rig.name('channel');
    const client = await rig.connect(undefined, { broker });
    const options = { all: true, durableName: 'dur' };
    const durable = await client.subscribe(channel, options);
    await client.publishMany(channel, 5);
    await durable.got(5);
    await durable.close();
    await waitFor(() => broker.output.includes('deleted'), 'the channel is deleted');
    await broker.restart('SIGTERM');
    const subscriptions = [
      await client.subscribe(channel, { all: true }),
      await client.subscribe(channel, options),
    ];
    await client.publish(channel, 'x');
    for (const subscription of subscriptions) {
      await subscription.got(1);
      assert.deepEqual(subscription.sequences, [1]);
    }
  });

  it('closes clients that answer no heartbeats any more', async () => {
    const flags = ['--hb-interval', '200ms', '--hb-timeout', '100ms', '--hb-fail-count', '1'];
    const broker = await rig.startBroker({ flags });
    const clientId = rig.name('client');
    const client = await rig.raw(broker);
    await client.join(clientId);
    client.answersHeartbeats = false;
    await broker.restart();
    await waitFor(
      async () => (await client.ping(Buffer.from(clientId))).error !== '',
      'the client is closed',
    );
  });

  it('under load keeps what was acked and delivers all of it once the broker is back', async () => {
    const broker = await rig.startBroker();
    const channel = rig.name('channel');
    const client = await rig.connect(undefined, { broker, ackTimeout: 1000 });
    const subscription = await client.subscribe(channel, { durableName: 'dur', ackWaitMs: 1000 });
    const acked = new Set<string>();
    const publishes: Promise<void>[] = [];
    for (let i = 0; i < 2000; i++) {
      const data = String(i);
      publishes.push(
        client.publish(channel, data).then(
          () => void acked.add(data),
          () => {},
        ),
      );
      if (i === 1000) await waitFor(() => acked.size > 100, 'some acks');
    }
    await broker.restart();
    await Promise.all(publishes);
    assert.ok(acked.size > 100);
    await client.publish(channel, 'last');
    await subscription.gotOne(({ data }) => data === 'last', 'the last message');
    const all = await client.subscribe(channel, { all: true });
    await all.gotOne(({ data }) => data === 'last', 'the last message');
    assert.deepEqual(all.sequences, upTo(all.sequences.length));
    const stored = new Set(all.messages.map(({ data }) => data));
    for (const data of acked) assert.ok(stored.has(data), `message ${data} was acked and is lost`);
    await waitFor(
      () => new Set(subscription.messages.map(({ data }) => data)).size === stored.size,
      'the durable gets all that is stored',
    );
    const shown = new Map(all.messages.map(({ sequence, data }) => [sequence, data]));
    for (const { sequence, data } of subscription.messages) assert.equal(data, shown.get(sequence));
  });
});

describe('A restart with the memory store', () => {
  const rig = new Rig({ store: 'memory' });

  it('starts anew: clients hear that they are out, channels begin at 1', async () => {
    const channel = rig.name('channel');
    const client = await rig.connect(undefined, { stanPingInterval: 1000, stanMaxPingOut: 100 });
    await client.publishMany(channel, 5);
    await rig.broker.restart('SIGTERM');
    await waitFor(() => client.lost !== undefined, 'the client hears of it');
    assert.equal(client.lost, STAN_ERROR.pingUnknownConnection);
    const next = await rig.connect();
    const subscription = await next.subscribe(channel, { all: true });
    await next.publish(channel, 'x');
    await subscription.got(1);
    assert.deepEqual(subscription.sequences, [1]);
  });
});
