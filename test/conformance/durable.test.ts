import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { STAN_ERROR } from '../../src/protocol/error-texts.js';
import { Rig, STORES } from '../harness/rig.js';
import type { StanClient } from '../harness/stan-client.js';

for (const store of STORES) {
  describe(`A durable (${store} store)`, () => {
    const rig = new Rig({ store });

    /** A durable that has got and acked messages 1 and 2, and been ended by `end`; then message 3 is published. */
    async function endedBy(
      end: (client: StanClient, subscription: Awaited<ReturnType<StanClient['subscribe']>>) => Promise<void>,
    ) {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.connect(clientId);
      const subscription = await client.subscribe(channel, { durableName: 'dur', all: true });
      await client.publishMany(channel, 2);
      await subscription.got(2);
      await end(client, subscription);
      const publisher = await rig.connect();
      await publisher.publish(channel, '3');
      return { channel, clientId, client };
    }

    it('goes on where it was after its close', async () => {
      const { channel, client } = await endedBy((_, subscription) => subscription.close());
      const again = await client.subscribe(channel, { durableName: 'dur', all: true });
      await again.got(1);
      assert.deepEqual(again.sequences, [3]);
    });

    it('goes on where it was after the close of its client', async () => {
      const { channel, clientId } = await endedBy((client) => client.close());
      const next = await rig.connect(clientId);
      const again = await next.subscribe(channel, { durableName: 'dur', all: true });
      await again.got(1);
      assert.deepEqual(again.sequences, [3]);
    });

    it('goes on where it was after its client died and came back', async () => {
      const { channel, clientId } = await endedBy(async (client) => client.drop());
      const next = await rig.connect(clientId);
      const again = await next.subscribe(channel, { durableName: 'dur', all: true });
      await again.gotOne(({ sequence }) => sequence === 3, 'message 3');
      // Its acks may have died with it: then the first two come again, and are flagged. So is the third if it was sent to it.
      assert.deepEqual(
        again.freshSequences.filter((sequence) => sequence < 3),
        [],
      );
    });

    it('is forgotten when it is unsubscribed', async () => {
      const { channel, client } = await endedBy((_, subscription) => subscription.unsubscribe());
      const again = await client.subscribe(channel, { durableName: 'dur', all: true });
      await again.got(3);
      assert.deepEqual(again.sequences, [1, 2, 3]);
    });

    it('is refused while it is in use', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const subscription = await client.subscribe(channel, { durableName: 'dur' });
      await assert.rejects(client.subscribe(channel, { durableName: 'dur' }), {
        message: STAN_ERROR.duplicateDurable,
      });
      await client.publish(channel, 'x');
      await subscription.got(1);
    });

    it('is known by client, channel and name', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const other = await rig.connect();
      const subscriptions = [
        await client.subscribe(channel, { durableName: 'dur' }),
        await client.subscribe(channel, { durableName: 'other' }),
        await other.subscribe(channel, { durableName: 'dur' }),
        await client.subscribe(rig.name('channel'), { durableName: 'dur' }),
      ];
      await client.publish(channel, 'x');
      for (const subscription of subscriptions.slice(0, 3)) await subscription.got(1);
    });

    it('gets what it has not acked again when it comes back, flagged, in order, before anything new', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const subscription = await client.subscribe(channel, { durableName: 'dur', manualAcks: true });
      await client.publishMany(channel, 5);
      await subscription.got(5);
      subscription.messages[0]!.ack();
      subscription.messages[2]!.ack();
      await subscription.close();
      await client.publishMany(channel, 2);

      const again = await client.subscribe(channel, { durableName: 'dur', manualAcks: true });
      await again.got(5);
      assert.deepEqual(
        again.messages.map(({ sequence, redelivered, redeliveryCount }) => [
          sequence,
          redelivered,
          redeliveryCount,
        ]),
        [
          [2, true, 1],
          [4, true, 1],
          [5, true, 1],
          [6, false, 0],
          [7, false, 0],
        ],
      );
    });

    it('takes MaxInflight and AckWait anew when it comes back, and ignores the start position', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const request = { clientId, subject: channel, durableName: 'dur' };
      const first = await client.subscribe({ ...request, maxInFlight: 10 });
      for (let i = 0; i < 3; i++) await client.publish({ clientId, subject: channel });
      await first.got(3);
      for (let i = 1; i <= 3; i++) client.ack(first.response.ackInbox, channel, i);
      await client.closeSubscription({ clientId, subject: channel, inbox: first.response.ackInbox });
      for (let i = 0; i < 3; i++) await client.publish({ clientId, subject: channel });

      const second = await client.subscribe({ ...request, maxInFlight: 1, startPosition: 4 });
      await second.got(1);
      await client.ping(Buffer.from(clientId));
      assert.deepEqual(second.sequences, [4]);
      client.ack(second.response.ackInbox, channel, 4);
      await second.got(2);
      assert.deepEqual(second.sequences, [4, 5]);
    });

    it('that comes back with fewer in flight than it has pending gets all of those, and nothing new until it has acked', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const request = { clientId, subject: channel, durableName: 'dur' };
      const first = await client.subscribe(request);
      for (let i = 0; i < 4; i++) await client.publish({ clientId, subject: channel });
      await first.got(4);
      await client.closeSubscription({ clientId, subject: channel, inbox: first.response.ackInbox });
      await client.publish({ clientId, subject: channel });

      const second = await client.subscribe({ ...request, maxInFlight: 2 });
      await second.got(4);
      await client.ping(Buffer.from(clientId));
      assert.deepEqual(second.sequences, [1, 2, 3, 4]);
      for (const sequence of [1, 2, 3]) client.ack(second.response.ackInbox, channel, sequence);
      await second.got(5);
      assert.deepEqual(second.sequences, [1, 2, 3, 4, 5]);
    });

    it('has another ack inbox when it comes back: the old one neither acknowledges for it nor ends it', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const request = { clientId, subject: channel, durableName: 'dur', maxInFlight: 2 };
      const first = await client.subscribe(request);
      for (let i = 0; i < 3; i++) await client.publish({ clientId, subject: channel });
      await first.got(2);
      const old = { clientId, subject: channel, inbox: first.response.ackInbox };
      await client.closeSubscription(old);

      const second = await client.subscribe(request);
      await second.got(2);
      client.ack(old.inbox, channel, 1);
      client.ack(old.inbox, channel, 2);
      for (const end of ['closeSubscription', 'unsubscribe'] as const) {
        assert.equal((await client[end](old)).error, STAN_ERROR.invalidSubscription);
      }
      assert.deepEqual(second.sequences, [1, 2]);
      client.ack(second.response.ackInbox, channel, 1);
      await second.got(3);
      assert.deepEqual(second.sequences, [1, 2, 3]);
    });

    it('does not get messages while it is closed, and all of them after', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const subscription = await client.subscribe(channel, { durableName: 'dur' });
      await subscription.close();
      await client.publishMany(channel, 100);
      assert.deepEqual(subscription.sequences, []);
      const again = await client.subscribe(channel, { durableName: 'dur', maxInFlight: 7 });
      await again.got(100);
      assert.deepEqual(
        again.sequences,
        Array.from({ length: 100 }, (_, i) => i + 1),
      );
    });

    it('cannot be ended while it is closed', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const { response } = await client.subscribe({ clientId, subject: channel, durableName: 'dur' });
      const request = { clientId, subject: channel, inbox: response.ackInbox };
      assert.equal((await client.closeSubscription(request)).error, '');
      assert.equal((await client.unsubscribe(request)).error, STAN_ERROR.invalidSubscription);
    });

    it('is not one with a queue group: there the name makes the group durable', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const durable = await client.subscribe(channel, { durableName: 'dur' });
      const queue = await client.subscribe(channel, { durableName: 'dur', queueGroup: 'group' });
      const member = await client.subscribe(channel, { durableName: 'dur', queueGroup: 'group' });
      await client.publish(channel, 'x');
      await durable.got(1);
      assert.ok(queue.messages.length + member.messages.length <= 1);
    });
  });

  describe(`A durable with --replace-durable (${store} store)`, () => {
    const rig = new Rig({ store, flags: ['--replace-durable'] });

    it('in use is taken over by a second subscription of its client', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const first = await client.subscribe(channel, { durableName: 'dur', manualAcks: true });
      await client.publish(channel, '1');
      await first.got(1);
      const second = await client.subscribe(channel, { durableName: 'dur' });
      await client.publish(channel, '2');
      await second.got(2);
      assert.deepEqual(
        second.messages.map(({ sequence, redelivered }) => [sequence, redelivered]),
        [
          [1, true],
          [2, false],
        ],
      );
      assert.deepEqual(first.sequences, [1]);
    });

    it('that was taken over is not ended by the end of the first subscription', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const request = { clientId, subject: channel, durableName: 'dur' };
      const first = await client.subscribe(request);
      const second = await client.subscribe(request);
      const old = { clientId, subject: channel, inbox: first.response.ackInbox };
      assert.equal((await client.closeSubscription(old)).error, STAN_ERROR.invalidSubscription);
      await client.publish({ clientId, subject: channel });
      await second.got(1);
    });
  });
}
