import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Rig, STORES } from '../harness/rig.js';
import type { StanClient } from '../harness/stan-client.js';

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

/** Publishes until it is acked: the client or the broker may still be reconnecting. */
async function publishUntilAcked(client: StanClient, channel: string, data: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await client.publish(channel, data);
      return;
    } catch (error) {
      if (tries === 20) throw error;
    }
  }
}

for (const store of STORES) {
  describe(`A nats-server that goes away and comes back (${store} store)`, () => {
    const rig = new Rig({ store });

    for (const outageMs of [0, 1500]) {
      it(`after ${outageMs} ms finds the broker and its clients going on where they were`, async () => {
        const channel = rig.name('channel');
        const client = await rig.connect(undefined, { ackTimeout: 500 });
        const plain = await client.subscribe(channel, { ackWaitMs: 1000 });
        const queue = await client.subscribe(channel, { queueGroup: 'g', ackWaitMs: 1000 });
        const durable = await client.subscribe(channel, { durableName: 'dur', ackWaitMs: 1000 });
        await client.publishMany(channel, 10);
        await plain.got(10);
        const { pid } = rig.broker;

        await rig.nats.stop();
        // The outage is the subject: clients try again meanwhile.
        await sleep(outageMs);
        await rig.nats.start();

        await publishUntilAcked(client, channel, 'after');
        for (const subscription of [plain, queue, durable]) {
          await subscription.gotOne(({ data }) => data === 'after', 'the message after');
        }
        assert.equal(rig.broker.pid, pid);
        assert.ok(!rig.broker.hasExited);

        const all = await client.subscribe(channel, { all: true });
        await all.gotOne(({ data }) => data === 'after', 'the message after');
        assert.deepEqual(all.sequences, upTo(all.sequences.length));
        assert.deepEqual(
          all.messages.slice(0, 10).map(({ data }) => data),
          upTo(10).map(String),
        );
      });
    }
  });
}
