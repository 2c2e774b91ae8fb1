import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { STAN_ERROR } from '../../src/protocol/error-texts.js';
import { StartPosition, type SubscriptionRequest } from '../../src/protocol/messages.js';
import { Rig, STORES } from '../harness/rig.js';

/** A start position that the protocol does not have. */
function outside(value: number): StartPosition {
  return value as StartPosition;
}

for (const store of STORES) {
  describe(`Where a subscription starts (${store} store)`, () => {
    const rig = new Rig({ store });

    /** A channel with so many messages, and a client on it. */
    async function channelWith(count: number) {
      const channel = rig.name('channel');
      const client = await rig.connect();
      await client.publishMany(channel, count);
      return { channel, client };
    }

    it('new only: at what is published after it', async () => {
      const { channel, client } = await channelWith(5);
      const subscription = await client.subscribe(channel);
      await client.publish(channel, 'x');
      await subscription.got(1);
      assert.deepEqual(subscription.sequences, [6]);
    });

    it('all available: at the first', async () => {
      const { channel, client } = await channelWith(5);
      const subscription = await client.subscribe(channel, { all: true });
      await subscription.got(5);
      assert.deepEqual(subscription.sequences, [1, 2, 3, 4, 5]);
    });

    it('last received: at the last one, and goes on', async () => {
      const { channel, client } = await channelWith(5);
      const subscription = await client.subscribe(channel, { lastReceived: true });
      await client.publish(channel, 'x');
      await subscription.got(2);
      assert.deepEqual(subscription.sequences, [5, 6]);
    });

    it('sequence: at that one', async () => {
      const { channel, client } = await channelWith(5);
      const subscription = await client.subscribe(channel, { sequence: 4 });
      await subscription.got(2);
      assert.deepEqual(subscription.sequences, [4, 5]);
    });

    it('sequence 0: at the first', async () => {
      const { channel, client } = await channelWith(3);
      const subscription = await client.subscribe(channel, { sequence: 0 });
      await subscription.got(3);
      assert.deepEqual(subscription.sequences, [1, 2, 3]);
    });

    it('sequence beyond the end: new only, even for the largest there is', async () => {
      const { channel, client } = await channelWith(3);
      const clientId = rig.name('client');
      const raw = await rig.raw();
      await raw.join(clientId);
      const next = await client.subscribe(channel, { sequence: 4 });
      const far = await client.subscribe(channel, { sequence: 1000 });
      const farthest = await raw.subscribe({
        clientId,
        subject: channel,
        startPosition: StartPosition.SEQUENCE_START,
        startSequence: Number.MAX_SAFE_INTEGER,
      });
      await client.publish(channel, 'x');
      for (const subscription of [next, far, farthest]) {
        await subscription.got(1);
        assert.deepEqual(subscription.sequences, [4]);
      }
    });

    it('time delta: at the first message that is no older', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      await client.publishMany(channel, 3);
      const gapMs = 600;
      await sleep(gapMs);
      const startMs = performance.now();
      await client.publishMany(channel, 3);
      // As old as the younger ones at most, and a machine that stands still for a moment is given most of the gap.
      const timeDeltaMs = Math.floor(performance.now() - startMs + 0.9 * gapMs);
      const subscription = await client.subscribe(channel, { timeDeltaMs });
      await subscription.got(3);
      assert.deepEqual(subscription.sequences, [4, 5, 6]);
    });

    it('time delta longer than the channel is old: at the first', async () => {
      const { channel, client } = await channelWith(3);
      const subscription = await client.subscribe(channel, { timeDeltaMs: 3_600_000 });
      await subscription.got(3);
      assert.deepEqual(subscription.sequences, [1, 2, 3]);
    });

    it('time delta longer than since 1970, or the longest there is: at the first', async () => {
      const { channel } = await channelWith(2);
      const clientId = rig.name('client');
      const raw = await rig.raw();
      await raw.join(clientId);
      for (const startTimeDelta of [4_000_000_000_000_000_000n, (1n << 63n) - 1n]) {
        const startPosition = StartPosition.TIME_DELTA_START;
        const subscription = await raw.subscribe({
          clientId,
          subject: channel,
          startPosition,
          startTimeDelta,
        });
        await subscription.got(2);
        assert.deepEqual(subscription.sequences, [1, 2]);
      }
    });

    it('time delta of zero, or into the future: new only', async () => {
      const { channel, client } = await channelWith(2);
      const clientId = rig.name('client');
      const raw = await rig.raw();
      await raw.join(clientId);
      // The present is another millisecond than the last message's.
      await sleep(5);
      const subscriptions = [];
      for (const startTimeDelta of [0n, -3_600_000_000_000n]) {
        const startPosition = StartPosition.TIME_DELTA_START;
        subscriptions.push(
          await raw.subscribe({ clientId, subject: channel, startPosition, startTimeDelta }),
        );
      }
      await client.publish(channel, 'x');
      for (const subscription of subscriptions) {
        await subscription.got(1);
        assert.deepEqual(subscription.sequences, [3]);
      }
    });

    it('on a channel without messages: at its first message, wherever it was asked to start', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const subscriptions = [
        await client.subscribe(channel),
        await client.subscribe(channel, { all: true }),
        await client.subscribe(channel, { lastReceived: true }),
        await client.subscribe(channel, { sequence: 10 }),
        await client.subscribe(channel, { timeDeltaMs: 1000 }),
      ];
      await client.publish(channel, 'x');
      for (const subscription of subscriptions) {
        await subscription.got(1);
        assert.deepEqual(subscription.sequences, [1]);
      }
    });
  });

  describe(`Where a subscription starts when the oldest messages are gone (${store} store)`, () => {
    const rig = new Rig({ store, flags: ['--max-msgs', '3'] });

    it('at the first there is, if it asks for one before', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      await client.publishMany(channel, 10);
      const subscriptions = [
        await client.subscribe(channel, { all: true }),
        await client.subscribe(channel, { sequence: 1 }),
        await client.subscribe(channel, { sequence: 7 }),
        await client.subscribe(channel, { timeDeltaMs: 3_600_000 }),
      ];
      for (const subscription of subscriptions) {
        await subscription.got(3);
        assert.deepEqual(subscription.sequences, [8, 9, 10]);
      }
      const later = await client.subscribe(channel, { sequence: 9 });
      await later.got(2);
      assert.deepEqual(later.sequences, [9, 10]);
    });
  });

  describe(`A subscription (${store} store)`, () => {
    const rig = new Rig({ store });

    it('is answered before its first message comes', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      for (let i = 0; i < 100; i++) client.send({ clientId, subject: channel });
      for (let i = 0; i < 20; i++) {
        const subscription = await client.subscribe({
          clientId,
          subject: channel,
          startPosition: StartPosition.FIRST,
        });
        assert.equal(subscription.countAtResponse, 0);
        await subscription.got(100);
      }
    });

    it('has each message before the ack of its publish comes, if one client does both', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const plain = await client.subscribe(channel);
      const queue = await client.subscribe(channel, { queueGroup: 'group', durableName: 'durable' });
      for (let i = 1; i <= 50; i++) {
        await client.publish(channel, 'one at a time');
        assert.deepEqual([plain.messages.length, queue.messages.length], [i, i]);
      }
    });

    it('has them so too when many are published at once', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const subscription = await client.subscribe(channel, { maxInFlight: 10_000 });
      const late: number[] = [];
      const acks = Array.from({ length: 5000 }, async (_, i) => {
        await client.publish(channel, 'one of many');
        if (subscription.messages.length <= i) late.push(i);
      });
      await Promise.all(acks);
      assert.deepEqual(late, []);
    });

    it('gets every message of its channel in order, while old ones are read and new ones come', async () => {
      const channel = rig.name('channel');
      const publisher = await rig.connect();
      const reader = await rig.connect();
      await publisher.publishMany(channel, 500);
      const rest = publisher.publishMany(channel, 1500);
      const subscription = await reader.subscribe(channel, { all: true, maxInFlight: 50 });
      await rest;
      await subscription.got(2000);
      assert.deepEqual(
        subscription.sequences,
        Array.from({ length: 2000 }, (_, i) => i + 1),
      );
    });

    it('shares nothing with another on the same channel: each gets everything', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const other = await rig.connect();
      const subscriptions = [
        await client.subscribe(channel),
        await client.subscribe(channel),
        await other.subscribe(channel),
      ];
      await client.publishMany(channel, 20);
      for (const subscription of subscriptions) {
        await subscription.got(20);
        assert.deepEqual(
          subscription.sequences,
          Array.from({ length: 20 }, (_, i) => i + 1),
        );
      }
    });

    it('has no more messages in flight than its MaxInflight, and gets one more for each ack', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const subscription = await client.subscribe({ clientId, subject: channel, maxInFlight: 3 });
      for (let i = 0; i < 10; i++) await client.publish({ clientId, subject: channel });
      for (let acked = 0; acked < 7; acked++) {
        await subscription.got(3 + acked);
        // An answer to something later shows that nothing more was on its way.
        await client.ping(Buffer.from(clientId));
        assert.equal(subscription.messages.length, 3 + acked);
        client.ack(subscription.response.ackInbox, channel, acked + 1);
      }
      await subscription.got(10);
      assert.deepEqual(subscription.sequences, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    });

    it('is not moved on by acks of what it was not sent, or has acked before', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const subscription = await client.subscribe({ clientId, subject: channel, maxInFlight: 1 });
      for (let i = 0; i < 5; i++) await client.publish({ clientId, subject: channel });
      await subscription.got(1);
      const { ackInbox } = subscription.response;
      for (const sequence of [0, 2, 5, 1000, Number.MAX_SAFE_INTEGER])
        client.ack(ackInbox, channel, sequence);
      await client.ping(Buffer.from(clientId));
      assert.deepEqual(subscription.sequences, [1]);
      for (let i = 0; i < 5; i++) client.ack(ackInbox, channel, 1);
      await subscription.got(2);
      await client.ping(Buffer.from(clientId));
      assert.deepEqual(subscription.sequences, [1, 2]);
    });

    it('gets nothing more after its end', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const watcher = await client.subscribe({ clientId, subject: channel });
      for (const end of ['unsubscribe', 'closeSubscription'] as const) {
        const subscription = await client.subscribe({ clientId, subject: channel });
        const { ackInbox } = subscription.response;
        assert.deepEqual(await client[end]({ clientId, subject: channel, inbox: ackInbox }), {
          ackInbox: '',
          error: '',
        });
        const before = watcher.messages.length;
        await client.publish({ clientId, subject: channel });
        await watcher.got(before + 1);
        assert.deepEqual(subscription.sequences, []);
      }
    });

    it('can be ended by its inbox, for a client that never got the ack inbox', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      for (const end of ['unsubscribe', 'closeSubscription'] as const) {
        const { inbox } = await client.subscribe({ clientId, subject: channel });
        const request = { clientId, subject: channel, inbox };
        assert.equal((await client[end](request)).error, '');
        assert.equal((await client[end](request)).error, STAN_ERROR.invalidSubscription);
      }
    });

    it('has an ack inbox of its own', async () => {
      const channel = rig.name('channel');
      const client = await rig.raw();
      const clientId = rig.name('client');
      await client.join(clientId);
      const inboxes = new Set<string>();
      for (let i = 0; i < 5; i++) {
        const { response } = await client.subscribe({ clientId, subject: channel });
        assert.notEqual(response.ackInbox, '');
        inboxes.add(response.ackInbox);
      }
      assert.equal(inboxes.size, 5);
    });
  });

  describe(`Subscribing is refused (${store} store)`, () => {
    const rig = new Rig({ store });
    const valid = { subject: 'foo', inbox: 'inbox', maxInFlight: 1, ackWaitSeconds: 1 };

    it('for what is wrong first, in this order', async () => {
      const client = await rig.raw();
      const clientId = rig.name('client');
      const cases: [Partial<SubscriptionRequest>, string][] = [
        [{}, STAN_ERROR.clientIdMissing],
        [{ clientId }, STAN_ERROR.invalidAckWait],
        [{ clientId, ackWaitSeconds: -1 }, STAN_ERROR.invalidAckWait],
        [{ clientId, ackWaitSeconds: 1 }, STAN_ERROR.invalidMaxInFlight],
        [{ clientId, ackWaitSeconds: 1, maxInFlight: -1 }, STAN_ERROR.invalidMaxInFlight],
        [{ clientId, ackWaitSeconds: 1, maxInFlight: 1, startPosition: outside(5) }, STAN_ERROR.invalidStart],
        [
          { clientId, ackWaitSeconds: 1, maxInFlight: 1, startPosition: outside(-1) },
          STAN_ERROR.invalidStart,
        ],
        [{ clientId, ackWaitSeconds: 1, maxInFlight: 1 }, STAN_ERROR.invalidSubject],
        [
          { clientId, ackWaitSeconds: 1, maxInFlight: 1, subject: 'foo', inbox: 'inbox' },
          STAN_ERROR.unknownClient,
        ],
      ];
      for (const [request, error] of cases) {
        assert.deepEqual(
          await client.requestSubscription(request),
          { ackInbox: '', error },
          JSON.stringify(request),
        );
      }
    });

    it('for a channel name that is not literal or not valid', async () => {
      const client = await rig.raw();
      const clientId = rig.name('client');
      await client.join(clientId);
      for (const subject of [
        '',
        '*',
        '>',
        'foo.*',
        'foo.>',
        'f*o',
        'foo/bar',
        '.',
        '.foo',
        'foo.',
        'foo..bar',
      ]) {
        const { error } = await client.requestSubscription({ ...valid, clientId, subject });
        assert.equal(error, STAN_ERROR.invalidSubject, JSON.stringify(subject));
      }
    });

    it('for a durable queue group whose durable name has a colon; without a queue group it may', async () => {
      const client = await rig.raw();
      const clientId = rig.name('client');
      await client.join(clientId);
      const request = { ...valid, clientId, subject: rig.name('channel'), durableName: 'a:b' };
      const { error } = await client.requestSubscription({ ...request, queueGroup: 'group' });
      assert.equal(error, STAN_ERROR.invalidDurableName);
      const withoutInbox = { ...request, queueGroup: 'group', inbox: '' };
      assert.equal((await client.requestSubscription(withoutInbox)).error, STAN_ERROR.invalidDurableName);
      assert.equal((await client.requestSubscription(request)).error, '');
    });
  });

  describe(`Ending a subscription is refused (${store} store)`, () => {
    const rig = new Rig({ store });

    for (const end of ['unsubscribe', 'closeSubscription'] as const) {
      it(`for what is wrong first: channel, inbox, client (${end})`, async () => {
        const channel = rig.name('channel');
        const clientId = rig.name('client');
        const client = await rig.raw();
        await client.join(clientId);
        const { response } = await client.subscribe({ clientId, subject: channel });
        const inbox = response.ackInbox;
        const cases = [
          [{}, STAN_ERROR.unknownChannel],
          [{ clientId, subject: 'no-such-channel', inbox }, STAN_ERROR.unknownChannel],
          [{ clientId, subject: channel, inbox: 'wrong' }, STAN_ERROR.invalidSubscription],
          [{ clientId: 'wrong', subject: channel, inbox }, STAN_ERROR.unknownClient],
        ] as const;
        for (const [request, error] of cases)
          assert.deepEqual(await client[end](request), { ackInbox: '', error });
        assert.equal((await client[end]({ clientId, subject: channel, inbox })).error, '');
        assert.equal(
          (await client[end]({ clientId, subject: channel, inbox })).error,
          STAN_ERROR.invalidSubscription,
        );
      });
    }

    it('for a client that does not own it', async () => {
      const channel = rig.name('channel');
      const [owner, other] = [rig.name('client'), rig.name('client')];
      const client = await rig.raw();
      await client.join(owner);
      await client.join(other);
      const { response } = await client.subscribe({ clientId: owner, subject: channel });
      const request = { clientId: other, subject: channel, inbox: response.ackInbox };
      assert.equal((await client.unsubscribe(request)).error, STAN_ERROR.unknownClient);
    });
  });
}
