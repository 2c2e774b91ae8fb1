import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { STAN_ERROR } from '../../src/protocol/error-texts.js';
import { encodeMsgProtoMessage } from '../../src/protocol/messages.js';
import { isOtherServer, Rig, STORES } from '../harness/rig.js';
import type { StanClient } from '../harness/stan-client.js';
import { waitFor } from '../harness/wait.js';

/** What a new reader finds in a channel, from its first message to one published as a mark. */
async function contents(client: StanClient, channel: string): Promise<string[]> {
  const reader = await client.subscribe(channel, { all: true });
  await client.publish(channel, 'mark');
  await reader.gotOne(({ data }) => data === 'mark', 'the mark');
  await reader.unsubscribe();
  return reader.messages.filter(({ data }) => data !== 'mark').map(({ data }) => data);
}

for (const store of STORES) {
  describe(`The limit of messages (${store} store)`, () => {
    const rig = new Rig({ store, flags: ['--max-msgs', '5'] });

    it('keeps the newest of each channel; sequences go on', async () => {
      const client = await rig.connect();
      for (const channel of [rig.name('channel'), rig.name('channel')]) {
        await client.publishMany(channel, 12);
        const reader = await client.subscribe(channel, { all: true });
        await reader.got(5);
        assert.deepEqual(
          reader.messages.map(({ sequence, data }) => [sequence, data]),
          [8, 9, 10, 11, 12].map((i) => [i, String(i)]),
        );
      }
    });

    it('is exact at every moment', async () => {
      const client = await rig.connect();
      const channel = rig.name('channel');
      for (let count = 1; count <= 8; count++) {
        await client.publish(channel, String(count));
        const reader = await client.subscribe(channel, { all: true });
        const expected = Math.min(count, 5);
        await reader.got(expected);
        assert.equal(reader.sequences[0], count - expected + 1);
        await reader.unsubscribe();
      }
    });

    it('lets a slow subscription go on at the oldest there is', async () => {
      const client = await rig.connect();
      const channel = rig.name('channel');
      const slow = await client.subscribe(channel, { manualAcks: true, maxInFlight: 1 });
      await client.publish(channel, 'x');
      await slow.got(1);
      await client.publishMany(channel, 19);
      slow.messages[0]!.ack();
      await slow.got(2);
      assert.deepEqual(slow.sequences, [1, 16]);
    });

    it('lets a queue group go on at the oldest there is', async () => {
      const client = await rig.connect();
      const channel = rig.name('channel');
      const slow = await client.subscribe(channel, { queueGroup: 'g', manualAcks: true, maxInFlight: 1 });
      await client.publish(channel, 'x');
      await slow.got(1);
      await client.publishMany(channel, 19);
      slow.messages[0]!.ack();
      await slow.got(2);
      assert.deepEqual(slow.sequences, [1, 16]);
    });
  });

  // The Go server's file store counts its own records' overhead in.
  describe(`The limit of bytes (${store} store)`, { skip: isOtherServer && store === 'file' }, () => {
    const sample = encodeMsgProtoMessage({
      sequence: 1,
      subject: 'channel-1',
      data: Buffer.alloc(10),
      timestamp: BigInt(Date.now()) * 1_000_000n,
    });
    const rig = new Rig({ store, flags: ['--max-bytes', String(sample.length * 4)] });

    it('keeps the newest messages whose sizes fit together', async () => {
      const client = await rig.connect();
      // As long as the name in the sample, which counts too.
      const channel = 'channel-a';
      for (let i = 0; i < 9; i++) await client.publish(channel, `message  ${i}`);
      const reader = await client.subscribe(channel, { all: true });
      await reader.got(4);
      assert.deepEqual(
        reader.messages.map(({ data }) => data),
        ['message  5', 'message  6', 'message  7', 'message  8'],
      );
    });

    it('drops as many as a large message needs', async () => {
      const client = await rig.connect();
      const channel = 'channel-b';
      for (let i = 0; i < 4; i++) await client.publish(channel, `message  ${i}`);
      await client.publish(channel, 'x'.repeat(10 + sample.length * 2));
      const reader = await client.subscribe(channel, { all: true });
      await reader.got(2);
      assert.deepEqual(reader.sequences, [4, 5]);
    });

    it('keeps a message that is larger than all of it', async () => {
      const client = await rig.connect();
      const channel = 'channel-c';
      await client.publish(channel, 'small');
      await client.publish(channel, 'x'.repeat(sample.length * 10));
      const reader = await client.subscribe(channel, { all: true });
      await reader.got(1);
      assert.deepEqual(reader.sequences, [2]);
    });
  });

  describe(`The limit of age (${store} store)`, () => {
    const rig = new Rig({ store, flags: ['--max-age', '1s'] });

    it('drops what is older, and sequences go on', async () => {
      const client = await rig.connect();
      const channel = rig.name('channel');
      await client.publishMany(channel, 3, 'old');
      assert.deepEqual(await contents(client, channel), ['old1', 'old2', 'old3']);
      // So much younger that there is a time when only the old ones are gone.
      await sleep(700);
      await client.publish(channel, 'young');
      await waitFor(async () => (await contents(client, channel))[0] === 'young', 'the old ones are gone');
      await waitFor(async () => (await contents(client, channel)).length === 0, 'the young one is gone');
      const reader = await client.subscribe(channel);
      const sequenceBefore = reader.sequences.length;
      await client.publish(channel, 'x');
      await reader.got(sequenceBefore + 1);
      assert.ok(reader.sequences[0]! > 4);
    });

    it('leaves an empty channel on which every start position waits for the next message', async () => {
      const client = await rig.connect();
      const channel = rig.name('channel');
      await client.publishMany(channel, 3);
      // Longer than the limit. To look whether they are gone would store a message more.
      await sleep(1300);
      const subscriptions = [
        await client.subscribe(channel),
        await client.subscribe(channel, { all: true }),
        await client.subscribe(channel, { lastReceived: true }),
        await client.subscribe(channel, { sequence: 1 }),
        await client.subscribe(channel, { sequence: 100 }),
        await client.subscribe(channel, { timeDeltaMs: 60_000 }),
      ];
      await client.publish(channel, 'next');
      for (const subscription of subscriptions) {
        await subscription.got(1);
        assert.deepEqual(subscription.sequences, [4]);
      }
    });
  });

  describe(`The limit of channels (${store} store)`, () => {
    const rig = new Rig({ store, flags: ['--max-channels', '2'] });

    it('refuses publishes and subscriptions to more; the channels there are go on', async () => {
      const client = await rig.connect();
      await client.publish('one', 'x');
      await client.subscribe('two');
      await assert.rejects(client.publish('three', 'x'), { message: STAN_ERROR.tooManyChannels });
      await assert.rejects(client.subscribe('three'), { message: STAN_ERROR.tooManyChannels });
      await client.publish('two', 'x');
      await client.publish('one', 'x');
    });
  });

  describe(`The limit of subscriptions on a channel (${store} store)`, () => {
    const rig = new Rig({ store, flags: ['--max-subs', '2'] });
    const refusal = { message: STAN_ERROR.tooManySubscriptions };

    it('refuses more of any kind, on that channel only, until one ends', async () => {
      const client = await rig.connect();
      const channel = rig.name('channel');
      const first = await client.subscribe(channel);
      await client.subscribe(channel, { queueGroup: 'g' });
      await assert.rejects(client.subscribe(channel), refusal);
      await assert.rejects(client.subscribe(channel, { durableName: 'dur' }), refusal);
      await assert.rejects(client.subscribe(channel, { queueGroup: 'g' }), refusal);
      await assert.rejects(client.subscribe(channel, { queueGroup: 'h', durableName: 'dur' }), refusal);
      await client.subscribe(rig.name('channel'));
      await first.unsubscribe();
      await client.subscribe(channel);
      await client.publish(channel, 'x');
    });

    it('counts durables that are offline, which can come back', async () => {
      const client = await rig.connect();
      const channel = rig.name('channel');
      const durable = await client.subscribe(channel, { durableName: 'dur' });
      await durable.close();
      await client.subscribe(channel);
      await assert.rejects(client.subscribe(channel), refusal);
      const again = await client.subscribe(channel, { durableName: 'dur' });
      await again.unsubscribe();
      await client.subscribe(channel);
    });

    it('counts a durable queue group without members, which can be joined again', async () => {
      const client = await rig.connect();
      const channel = rig.name('channel');
      const options = { durableName: 'dur', queueGroup: 'g' };
      const member = await client.subscribe(channel, options);
      await member.close();
      await client.subscribe(channel);
      await assert.rejects(client.subscribe(channel), refusal);
      const again = await client.subscribe(channel, options);
      await client.publish(channel, 'x');
      await again.got(1);
    });
  });

  describe(`The limit of inactivity (${store} store)`, { concurrency: true }, () => {
    const rig = new Rig({ store, flags: ['--max-inactivity', '1s'], keepClients: true });

    /** Publishes, and tells the sequence that the message got: 1 again once the channel has been deleted. */
    async function isGone(client: StanClient, channel: string): Promise<boolean> {
      const reader = await client.subscribe(channel, { all: true });
      await client.publish(channel, 'mark');
      const mark = await reader.gotOne(({ data }) => data === 'mark', 'the mark');
      await reader.unsubscribe();
      return mark.sequence === 1;
    }

    /** Both brokers say so, with the name in quotes. */
    async function deleted(channel: string): Promise<void> {
      await waitFor(
        () =>
          rig.broker.output
            .split('\n')
            .some((line) => line.includes(`"${channel}"`) && line.includes('deleted')),
        `${channel} is deleted`,
      );
    }

    it('deletes a channel without publishers and subscriptions; its name starts anew', async () => {
      const client = await rig.connect();
      const channel = rig.name('channel');
      await client.publishMany(channel, 3);
      await deleted(channel);
      assert.ok(await isGone(client, channel));
    });

    it('counts from the last message', async () => {
      const client = await rig.connect();
      const channel = rig.name('channel');
      for (let i = 0; i < 5; i++) {
        await client.publish(channel, 'x');
        // Less than the limit, and all of them are more.
        await sleep(400);
      }
      assert.equal(await isGone(client, channel), false);
    });

    it('counts from the end of the last subscription, and an active one keeps the channel', async () => {
      const client = await rig.connect();
      const channel = rig.name('channel');
      await client.publish(channel, 'x');
      const subscription = await client.subscribe(channel);
      // Longer than the limit, and then less.
      await sleep(1500);
      await subscription.unsubscribe();
      await sleep(500);
      assert.equal(await isGone(client, channel), false);
      await deleted(channel);
      assert.ok(await isGone(client, channel));
    });

    it('is not held up by offline durables, which go with the channel', async () => {
      const client = await rig.connect();
      const channel = rig.name('channel');
      const durable = await client.subscribe(channel, { durableName: 'dur' });
      const member = await client.subscribe(channel, { durableName: 'dur', queueGroup: 'g' });
      await client.publishMany(channel, 3);
      await durable.close();
      await member.close();
      await deleted(channel);
      const again = await client.subscribe(channel, { durableName: 'dur', all: true });
      await client.publish(channel, 'x');
      await again.got(1);
      assert.deepEqual(again.sequences, [1]);
    });

    it('lasts over the close of the client that had the subscription', async () => {
      const first = await rig.connect();
      const channel = rig.name('channel');
      await first.publish(channel, 'x');
      await first.subscribe(channel);
      await first.close();
      await deleted(channel);
      assert.ok(await isGone(await rig.connect(), channel));
    });
  });

  describe(`Limits by channel in the config file (${store} store)`, { skip: isOtherServer }, () => {
    const rig = new Rig({ store, broker: false });

    it('hold for a name or a pattern, the narrowest counts, and what is not said is inherited', async () => {
      const config = join(rig.folder(), 'stanchion.yaml');
      writeFileSync(
        config,
        `
max-msgs: 5
max-subs: 1
channels:
  ">": { max-msgs: 4 }
  "foo.>": { max-msgs: 3 }
  "foo.*": { max-subs: 2 }
  "foo.bar": { max-msgs: 2 }
  "foo.baz.qux": { max-msgs: 0 }
`,
      );
      const broker = await rig.startBroker({ flags: ['--config', config] });
      const client = await rig.connect(undefined, { broker });
      const expected: [string, number, number][] = [
        ['other', 4, 1],
        ['foo', 4, 1],
        ['foo.x', 3, 2],
        ['foo.bar', 2, 2],
        ['foo.x.y', 3, 1],
        ['foo.baz.qux', 10, 1],
      ];
      for (const [channel, maxMessages, maxSubscriptions] of expected) {
        await client.publishMany(channel, 10);
        for (let i = 0; i < maxSubscriptions; i++) {
          const reader = await client.subscribe(channel, { all: true });
          await reader.got(maxMessages);
          assert.equal(reader.sequences[0], 11 - maxMessages, channel);
        }
        await assert.rejects(
          client.subscribe(channel),
          { message: STAN_ERROR.tooManySubscriptions },
          channel,
        );
      }
    });
  });

  describe(`Without limits, 0 (${store} store)`, () => {
    const flags = [
      '--max-channels',
      '0',
      '--max-msgs',
      '0',
      '--max-bytes',
      '0',
      '--max-subs',
      '0',
      '--max-age',
      '0s',
    ];
    const rig = new Rig({ store, flags });

    it('there are more channels and subscriptions than by default', async () => {
      const client = await rig.connect();
      const prefix = rig.name('channel');
      for (let i = 0; i < 150; i++) await client.publish(`${prefix}.${i}`, 'x');
      const raw = await rig.raw();
      const clientId = rig.name('client');
      await raw.join(clientId);
      const request = { clientId, subject: `${prefix}.0`, maxInFlight: 1, ackWaitSeconds: 30 };
      const answers = [];
      for (let i = 0; i < 1100; i++)
        answers.push(raw.requestSubscription({ ...request, inbox: `inbox.${prefix}.${i}` }));
      for (const answer of answers) assert.equal((await answer).error, '');
    });
  });
}
