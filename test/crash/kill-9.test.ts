import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Rig } from '../harness/rig.js';
import type { StanSubscription } from '../harness/stan-client.js';
import { waitFor } from '../harness/wait.js';
import {
  assertAllReceived,
  assertInOrder,
  assertNothingLost,
  readChannel,
  SteadyPublisher,
} from './traffic.js';

const KILLS = 20;
// The client gives up after three pings in a row without an answer, which come every five seconds: with a broker that is
// down half of the time, by no fault of its own, that happens.
const CHANNELS = ['orders', 'audit.log'];

describe('a broker on the file store that is killed (SIGKILL) and started again, twenty times at random moments', () => {
  const rig = new Rig({ store: 'file', keepClients: true });

  it('loses nothing it acknowledged, shows one message per sequence, and every subscriber gets everything without reconnecting', async () => {
    const publishers: { channel: string; publisher: SteadyPublisher }[] = [];
    for (const channel of CHANNELS) {
      for (const inFlight of [1, 20]) {
        const client = await rig.connect(undefined, { ackTimeout: 1_500 });
        publishers.push({ channel, publisher: new SteadyPublisher(client, channel, inFlight) });
      }
    }
    const subscribers = new Map<string, { channel: string; all: StanSubscription[] }>();
    const subscribe = async (who: string, options: Parameters<typeof join>[2]): Promise<void> => {
      for (const channel of CHANNELS) {
        const all: StanSubscription[] = [];
        for (let i = 0; i < (options.queueGroup === undefined ? 1 : 2); i++) {
          all.push(await join(await rig.connect(), channel, options));
        }
        subscribers.set(`${who} on ${channel}`, { channel, all });
      }
    };
    await subscribe('a regular subscriber', {});
    await subscribe('a durable', { durableName: 'd' });
    await subscribe('a queue group', { queueGroup: 'q' });
    await subscribe('a durable queue group', { queueGroup: 'q', durableName: 'd' });
    await subscribe('a slow durable with one in flight', { durableName: 'slow', maxInFlight: 1 });

    for (let kill = 0; kill < KILLS; kill++) {
      // Any moment will do, and each run should have others.
      await sleep(randomInt(20, 500));
      await rig.broker.kill('SIGKILL');
      await rig.broker.startAgain();
    }
    await Promise.all(publishers.map(({ publisher }) => publisher.stop()));

    const last = await rig.connect();
    for (const channel of CHANNELS) {
      await last.publish(channel, 'last');
      const stored = await readChannel(last, channel, 'last');
      const logs = publishers.filter((one) => one.channel === channel).map((one) => one.publisher.log);
      assertNothingLost(stored.slice(0, -1), logs);
      for (const [who, { channel: listensTo, all }] of subscribers) {
        if (listensTo !== channel) continue;
        await waitFor(
          () => all.some((subscription) => subscription.messages.some(({ data }) => data === 'last')),
          `${who} gets the last message`,
          30_000,
        );
        // A queue group's other member may still be waiting for a redelivery.
        await waitFor(
          () => new Set(all.flatMap((subscription) => subscription.sequences)).size === stored.length,
          () =>
            `${who} gets all ${stored.length} messages; it has ${new Set(all.flatMap((s) => s.sequences)).size}`,
          30_000,
        );
        assertAllReceived(stored, all, who);
        if (all.length === 1) assertInOrder(all[0]!, who);
      }
    }
  });
});

function join(
  client: Awaited<ReturnType<Rig['connect']>>,
  channel: string,
  options: { durableName?: string; queueGroup?: string; maxInFlight?: number },
): Promise<StanSubscription> {
  return client.subscribe(channel, { all: true, ackWaitMs: 1_000, maxInFlight: 200, ...options });
}
