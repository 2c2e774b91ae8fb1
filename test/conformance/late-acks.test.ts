import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StartPosition } from '../../src/protocol/messages.js';
import type { RawClient, RawSubscription } from '../harness/raw-client.js';
import { isOtherServer, Rig, STORES } from '../harness/rig.js';

const COUNT = 50;
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

/** Ways to end a subscription. Each asks at once, so that acks can follow in the same write. */
const ENDS = {
  'close of the subscription': (client: RawClient, sub: RawSubscription, channel: string, clientId: string) =>
    client.closeSubscription({ clientId, subject: channel, inbox: sub.response.ackInbox }),
  unsubscribe: (client: RawClient, sub: RawSubscription, channel: string, clientId: string) =>
    client.unsubscribe({ clientId, subject: channel, inbox: sub.response.ackInbox }),
  'close of the connection': (client: RawClient, _sub: RawSubscription, _channel: string, clientId: string) =>
    client.close(clientId),
};
type End = keyof typeof ENDS;

async function publish(client: RawClient, clientId: string, subject: string): Promise<void> {
  await Promise.all(upTo(COUNT).map(() => client.publish({ clientId, subject })));
}

/** Applications acknowledge in one thread and close in another: both leave in one write, in either order. */
const ORDERS = ['in the same write behind', 'in the same write before'] as const;

for (const store of STORES) {
  describe(`Acks beside an end (${store} store)`, () => {
    const rig = new Rig({ store });

    /** Sends the acks and the request that ends the subscription in one write, and waits for the answer. */
    async function endAndAck(
      order: (typeof ORDERS)[number],
      end: End,
      client: RawClient,
      sub: RawSubscription,
      channel: string,
      clientId: string,
      sequences: readonly number[],
    ): Promise<void> {
      const ack = (): void => {
        for (const sequence of sequences) client.ack(sub.response.ackInbox, channel, sequence);
      };
      if (order === 'in the same write before') ack();
      const answer = ENDS[end](client, sub, channel, clientId);
      if (order === 'in the same write behind') ack();
      assert.equal((await answer).error, '');
    }

    for (const order of ORDERS) {
      for (const end of ['close of the subscription', 'close of the connection'] as const) {
        for (const queueGroup of ['', 'group']) {
          const what = queueGroup === '' ? 'durable' : 'durable queue group';
          it(`count for a ${what} that comes back: ${order} the ${end}`, async () => {
            const channel = rig.name('channel');
            const clientId = rig.name('client');
            const client = await rig.raw();
            await client.join(clientId);
            const request = {
              clientId,
              subject: channel,
              queueGroup,
              durableName: 'dur',
              startPosition: StartPosition.FIRST,
            };
            const before = await client.subscribe(request);
            await publish(client, clientId, channel);
            await before.got(COUNT);
            await endAndAck(order, end, client, before, channel, clientId, upTo(COUNT - 1));
            if (end === 'close of the connection') await client.join(clientId);
            await client.publish({ clientId, subject: channel });
            const after = await client.subscribe(request);
            await after.got(2);
            assert.deepEqual(
              after.messages.map(({ sequence, redelivered }) => [sequence, redelivered]),
              [
                [COUNT, true],
                [COUNT + 1, false],
              ],
            );
          });
        }
      }

      for (const end of Object.keys(ENDS) as End[]) {
        for (const durableName of ['', 'dur']) {
          const what = durableName === '' ? 'queue group' : 'durable queue group';
          it(`count for the other members of a ${what}: ${order} the ${end}`, async () => {
            const channel = rig.name('channel');
            const [leavingId, stayingId] = [rig.name('client'), rig.name('client')];
            const [leaving, staying] = [await rig.raw(), await rig.raw()];
            await leaving.join(leavingId);
            await staying.join(stayingId);
            const request = { subject: channel, queueGroup: 'group', durableName };
            const one = await leaving.subscribe({ ...request, clientId: leavingId });
            await publish(staying, stayingId, channel);
            await one.got(COUNT);
            const other = await staying.subscribe({ ...request, clientId: stayingId });
            // What it does not acknowledge shows when the others get what it leaves.
            await endAndAck(order, end, leaving, one, channel, leavingId, upTo(COUNT - 1));
            await other.got(1);
            assert.deepEqual(
              other.messages.map(({ sequence, redelivered }) => [sequence, redelivered]),
              [[COUNT, true]],
            );
          });
        }
      }
    }
  });
}

describe('Acks that come after the close of a durable and a restart of its broker', {
  skip: isOtherServer,
}, () => {
  const rig = new Rig({ store: 'file' });

  it('count when it comes back', async () => {
    const channel = rig.name('channel');
    const clientId = rig.name('client');
    const client = await rig.raw();
    await client.join(clientId);
    const request = { clientId, subject: channel, durableName: 'dur', startPosition: StartPosition.FIRST };
    const before = await client.subscribe(request);
    for (let i = 0; i < 3; i++) await client.publish({ clientId, subject: channel });
    await before.got(3);
    await client.closeSubscription({ clientId, subject: channel, inbox: before.response.ackInbox });
    await rig.broker.restart();
    client.ack(before.response.ackInbox, channel, 1);
    client.ack(before.response.ackInbox, channel, 3);
    const after = await client.subscribe(request);
    await client.publish({ clientId, subject: channel });
    await after.got(2);
    assert.deepEqual(after.sequences, [2, 4]);
  });
});
