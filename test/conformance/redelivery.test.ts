import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Rig, STORES } from '../harness/rig.js';
import { holdsFor, waitFor } from '../harness/wait.js';

/** The shortest that the protocol has. */
const ACK_WAIT_MS = 1000;
/** How long to look that nothing comes: longer than an ack wait, but a test cannot look for ever. */
const QUIET_MS = 1300;

for (const store of STORES) {
  // Each of these waits for an ack wait or two: all at once.
  describe(`Redelivery (${store} store)`, { concurrency: true }, () => {
    const rig = new Rig({ store, keepClients: true });

    it('brings what is not acked in time again and again, flagged, with its count', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const subscription = await client.subscribe(channel, { manualAcks: true, ackWaitMs: ACK_WAIT_MS });
      const start = performance.now();
      await client.publish(channel, 'x');
      await subscription.got(3);
      const elapsed = performance.now() - start;
      assert.deepEqual(
        subscription.messages.slice(0, 3).map((m) => [m.sequence, m.redelivered, m.redeliveryCount, m.data]),
        [
          [1, false, 0, 'x'],
          [1, true, 1, 'x'],
          [1, true, 2, 'x'],
        ],
      );
      assert.ok(
        elapsed > 1.9 * ACK_WAIT_MS,
        `twice after an ack wait of ${ACK_WAIT_MS} ms, in ${elapsed} ms`,
      );
    });

    it('ends with the ack', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const subscription = await client.subscribe(channel, { manualAcks: true, ackWaitMs: ACK_WAIT_MS });
      await client.publish(channel, 'x');
      await subscription.got(2);
      subscription.ackAll();
      await holdsFor(QUIET_MS, () => subscription.messages.length === 2, 'nothing comes');
      assert.deepEqual(subscription.sequences, [1, 1]);
    });

    it('does not touch what was acked, by hand or by itself', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const automatic = await client.subscribe(channel, { ackWaitMs: ACK_WAIT_MS });
      const byHand = await client.subscribe(channel, {
        ackWaitMs: ACK_WAIT_MS,
        manualAcks: true,
        onMessage: (message) => {
          if (message.sequence % 2 === 1) message.ack();
        },
      });
      await client.publishMany(channel, 6);
      await byHand.got(9);
      assert.deepEqual(automatic.sequences, [1, 2, 3, 4, 5, 6]);
      assert.deepEqual(byHand.sequences.slice(0, 9), [1, 2, 3, 4, 5, 6, 2, 4, 6]);
    });

    it('does not wait for MaxInflight: what is in flight comes again, nothing new does', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const subscription = await client.subscribe(channel, {
        manualAcks: true,
        ackWaitMs: ACK_WAIT_MS,
        maxInFlight: 2,
      });
      await client.publishMany(channel, 5);
      await subscription.got(4);
      assert.deepEqual(subscription.sequences.slice(0, 4), [1, 2, 1, 2]);
    });

    it('is counted from each delivery: a message that came later comes again later', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const arrivals = new Map<number, number[]>();
      await client.subscribe(channel, {
        manualAcks: true,
        ackWaitMs: ACK_WAIT_MS,
        onMessage: ({ sequence }) =>
          arrivals.set(sequence, [...(arrivals.get(sequence) ?? []), performance.now()]),
      });
      await client.publish(channel, '1');
      // Half an ack wait apart.
      await sleep(ACK_WAIT_MS / 2);
      await client.publish(channel, '2');
      await waitFor(() => arrivals.get(2)?.length === 2, 'message 2 again');
      for (const sequence of [1, 2]) {
        const [first, second] = arrivals.get(sequence)!;
        assert.ok(second! - first! > 0.9 * ACK_WAIT_MS, `message ${sequence} after ${second! - first!} ms`);
      }
    });

    it('in a queue group goes to another member if there is one', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const deaf = await client.subscribe(channel, {
        queueGroup: 'g',
        manualAcks: true,
        ackWaitMs: ACK_WAIT_MS,
      });
      await client.publishMany(channel, 3);
      await deaf.got(3);
      const helper = await client.subscribe(channel, { queueGroup: 'g', ackWaitMs: ACK_WAIT_MS });
      await waitFor(() => helper.messages.length >= 1, 'a message for the other member');
      // In turns: what goes to the deaf one once more comes to the helper the next time.
      await waitFor(() => new Set(helper.sequences).size === 3, 'all three for the other member');
      for (const message of helper.messages) {
        assert.ok(message.redelivered);
        assert.ok(message.redeliveryCount >= 1);
      }
    });

    it('in a queue group with one member goes to that one', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const member = await client.subscribe(channel, {
        queueGroup: 'g',
        manualAcks: true,
        ackWaitMs: ACK_WAIT_MS,
      });
      await client.publish(channel, 'x');
      await member.got(3);
      assert.deepEqual(
        member.messages.slice(0, 3).map(({ redeliveryCount }) => redeliveryCount),
        [0, 1, 2],
      );
    });

    it('in a queue group counts on when the message changes hands', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const counts: number[] = [];
      const options = {
        queueGroup: 'g',
        manualAcks: true,
        ackWaitMs: ACK_WAIT_MS,
        onMessage: ({ redeliveryCount }: { redeliveryCount: number }) => counts.push(redeliveryCount),
      };
      await client.subscribe(channel, options);
      await client.subscribe(channel, options);
      await client.publish(channel, 'x');
      await waitFor(() => counts.length >= 4, 'three redeliveries');
      assert.deepEqual(counts.slice(0, 4), [0, 1, 2, 3]);
    });

    it('in a queue group reaches a member that has its fill', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const options = { queueGroup: 'g', manualAcks: true, maxInFlight: 1, ackWaitMs: ACK_WAIT_MS };
      const members = [await client.subscribe(channel, options), await client.subscribe(channel, options)];
      await client.publishMany(channel, 2);
      await waitFor(() => members.every(({ messages }) => messages.length >= 2), 'both get something again');
      for (const { messages } of members)
        assert.ok(messages.slice(1).every(({ redelivered }) => redelivered));
    });

    it('of an unsubscribed or closed subscription does not happen', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const options = { manualAcks: true, ackWaitMs: ACK_WAIT_MS };
      const subscriptions = [
        await client.subscribe(channel, options),
        await client.subscribe(channel, options),
      ];
      await client.publish(channel, 'x');
      for (const subscription of subscriptions) await subscription.got(1);
      await subscriptions[0]!.unsubscribe();
      await subscriptions[1]!.close();
      await holdsFor(
        QUIET_MS,
        () => subscriptions.every(({ messages }) => messages.length === 1),
        'nothing comes',
      );
      for (const { sequences } of subscriptions) assert.deepEqual(sequences, [1]);
    });

    it('of a message that a limit has dropped does not happen, and blocks no other', async () => {
      const broker = await rig.startBroker({ flags: ['--max-msgs', '2'] });
      const channel = rig.name('channel');
      const client = await rig.connect(undefined, { broker });
      const subscription = await client.subscribe(channel, {
        manualAcks: true,
        ackWaitMs: ACK_WAIT_MS,
        maxInFlight: 2,
      });
      await client.publishMany(channel, 2);
      await subscription.got(2);
      await client.publishMany(channel, 3);
      // 1 and 2 are gone: their places in flight are free when their ack wait is over.
      await subscription.got(4);
      assert.deepEqual(subscription.sequences.slice(0, 4), [1, 2, 4, 5]);
    });

    it('goes to the inbox of a durable that came back, not to the old one', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const options = { durableName: 'dur', manualAcks: true, ackWaitMs: ACK_WAIT_MS };
      const first = await client.subscribe(channel, options);
      await client.publish(channel, 'x');
      await first.got(1);
      await first.close();
      const second = await client.subscribe(channel, options);
      await second.got(3);
      assert.deepEqual(
        second.messages.slice(0, 3).map(({ redeliveryCount }) => redeliveryCount),
        [1, 2, 3],
      );
      assert.deepEqual(first.sequences, [1]);
    });
  });

  describe(`Redelivery to a client that misses heartbeats (${store} store)`, { concurrency: true }, () => {
    const flags = ['--hb-interval', '200ms', '--hb-timeout', '1s', '--hb-fail-count', '1000'];
    const rig = new Rig({ store, flags, keepClients: true });

    // When the second heartbeat goes out, the first is known to be missed.
    it('waits until it answers again', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const subscription = await client.subscribe({ clientId, subject: channel, ackWaitSeconds: 1 });
      client.answersHeartbeats = false;
      const missed = client.heartbeats + 2;
      await waitFor(() => client.heartbeats >= missed, 'heartbeats that are missed');
      await client.publish({ clientId, subject: channel });
      await subscription.got(1);
      await holdsFor(2 * QUIET_MS, () => subscription.messages.length === 1, 'nothing comes');
      assert.deepEqual(subscription.sequences, [1]);
      client.answersHeartbeats = true;
      await subscription.got(2);
      assert.equal(subscription.messages[1]!.redelivered, true);
    });

    it('goes to the other members of its queue group, as new messages do', async () => {
      const channel = rig.name('channel');
      const [deafId, wellId] = [rig.name('client'), rig.name('client')];
      const deaf = await rig.raw();
      const well = await rig.raw();
      await deaf.join(deafId);
      await well.join(wellId);
      const request = { subject: channel, queueGroup: 'g', ackWaitSeconds: 1 };
      const deafMember = await deaf.subscribe({ ...request, clientId: deafId });
      await deaf.publish({ clientId: deafId, subject: channel });
      await deafMember.got(1);
      const member = await well.subscribe({ ...request, clientId: wellId });
      deaf.answersHeartbeats = false;
      const missed = deaf.heartbeats + 2;
      await waitFor(() => deaf.heartbeats >= missed, 'heartbeats that are missed');
      await waitFor(() => member.sequences.includes(1), 'message 1 for the member that is well');
      const before = deafMember.messages.length;
      for (let i = 0; i < 10; i++) await well.publish({ clientId: wellId, subject: channel });
      await waitFor(() => new Set(member.sequences).size >= 11, 'all messages for the member that is well');
      assert.equal(deafMember.messages.length, before);
    });
  });
}
