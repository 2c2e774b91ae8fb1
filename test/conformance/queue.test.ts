import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Rig, STORES } from '../harness/rig.js';
import type { StanSubscription } from '../harness/stan-client.js';
import { waitFor } from '../harness/wait.js';

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

function total(members: readonly StanSubscription[]): number {
  return members.reduce((sum, member) => sum + member.messages.length, 0);
}

/** All sequences that the members got, in ascending order. */
function together(members: readonly StanSubscription[]): number[] {
  return members.flatMap(({ sequences }) => sequences).sort((a, b) => a - b);
}

for (const store of STORES) {
  describe(`A queue group (${store} store)`, () => {
    const rig = new Rig({ store });

    it('shares the messages of a channel: each goes to one member, and every member gets some', async () => {
      const channel = rig.name('channel');
      const clients = await Promise.all([rig.connect(), rig.connect(), rig.connect()]);
      const members: StanSubscription[] = [];
      for (const client of clients) members.push(await client.subscribe(channel, { queueGroup: 'group' }));
      await clients[0]!.publishMany(channel, 300);
      await waitFor(
        () => total(members) >= 300,
        () => `300 messages in all; got ${members.map((m) => m.messages.length)}`,
      );
      assert.deepEqual(together(members), upTo(300));
      for (const member of members) {
        assert.ok(member.messages.length > 0);
        assert.deepEqual(
          member.sequences,
          member.sequences.toSorted((a, b) => a - b),
        );
      }
    });

    it('with one member gives it everything, in order', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      await client.publishMany(channel, 100);
      const member = await client.subscribe(channel, { queueGroup: 'group', all: true, maxInFlight: 5 });
      await member.got(100);
      assert.deepEqual(member.sequences, upTo(100));
    });

    it('stands beside other groups and plain subscriptions: each gets everything', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const subscriptions = [
        await client.subscribe(channel, { queueGroup: 'a' }),
        await client.subscribe(channel, { queueGroup: 'b' }),
        await client.subscribe(channel, { queueGroup: 'a', durableName: 'dur' }),
        await client.subscribe(channel),
      ];
      await client.publishMany(channel, 10);
      for (const subscription of subscriptions) {
        await subscription.got(10);
        assert.deepEqual(subscription.sequences, upTo(10));
      }
    });

    it('starts where its first member asks; who joins later shares from where the group is', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      await client.publishMany(channel, 10);
      const first = await client.subscribe(channel, { queueGroup: 'group', all: true });
      await first.got(10);
      const second = await client.subscribe(channel, { queueGroup: 'group', all: true });
      await client.publishMany(channel, 10);
      await waitFor(() => total([first, second]) >= 20, '20 messages in all');
      assert.deepEqual(together([first, second]), upTo(20));
      assert.ok(second.sequences.every((sequence) => sequence > 10));
    });

    it('has members of one client as well as of several', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const members: StanSubscription[] = [];
      for (let i = 0; i < 4; i++) members.push(await client.subscribe(channel, { queueGroup: 'group' }));
      await client.publishMany(channel, 100);
      await waitFor(() => total(members) >= 100, '100 messages in all');
      assert.deepEqual(together(members), upTo(100));
    });

    it('is not held up by a member that does not ack', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const stalled = await client.subscribe(channel, {
        queueGroup: 'group',
        manualAcks: true,
        maxInFlight: 1,
      });
      const member = await client.subscribe(channel, { queueGroup: 'group' });
      await client.publishMany(channel, 50);
      await waitFor(() => total([stalled, member]) >= 50, '50 messages in all');
      assert.equal(stalled.messages.length, 1);
      assert.deepEqual(together([stalled, member]), upTo(50));
    });

    it('waits when all its members have their fill, and goes on with the first ack', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const options = { queueGroup: 'group', manualAcks: true, maxInFlight: 2 };
      const members = [await client.subscribe(channel, options), await client.subscribe(channel, options)];
      await client.publishMany(channel, 10);
      await waitFor(() => total(members) >= 4, 'four messages in all');
      const plain = await client.subscribe(channel, { all: true });
      await plain.got(10);
      assert.equal(total(members), 4);
      members[1]!.messages[0]!.ack();
      await members[1]!.got(3);
      assert.deepEqual(together(members), upTo(5));
    });

    it('goes on with a new member when the others have their fill', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const stalled = await client.subscribe(channel, {
        queueGroup: 'group',
        manualAcks: true,
        maxInFlight: 1,
      });
      await client.publishMany(channel, 5);
      await stalled.got(1);
      const helper = await client.subscribe(channel, { queueGroup: 'group' });
      await helper.got(4);
      assert.deepEqual(helper.sequences, [2, 3, 4, 5]);
    });

    for (const end of ['unsubscribe', 'close'] as const) {
      it(`hands what a leaving member has not acked to the others, flagged, soon (${end})`, async () => {
        const channel = rig.name('channel');
        const client = await rig.connect();
        const leaving = await client.subscribe(channel, { queueGroup: 'group', manualAcks: true });
        await client.publishMany(channel, 4);
        await leaving.got(4);
        leaving.messages[1]!.ack();
        const staying = [
          await client.subscribe(channel, { queueGroup: 'group' }),
          await client.subscribe(channel, { queueGroup: 'group' }),
        ];
        await leaving[end]();
        await waitFor(() => total(staying) >= 3, 'three messages again');
        assert.deepEqual(together(staying), [1, 3, 4]);
        for (const { redelivered } of staying.flatMap(({ messages }) => messages)) assert.ok(redelivered);
      });
    }

    it('hands what a dead client has not acked to the others when that client is replaced', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const mortal = await rig.connect(clientId);
      const survivor = await rig.connect();
      const leaving = await mortal.subscribe(channel, { queueGroup: 'group', manualAcks: true });
      await survivor.publishMany(channel, 3);
      await leaving.got(3);
      const staying = await survivor.subscribe(channel, { queueGroup: 'group' });
      mortal.drop();
      await rig.connect(clientId);
      await staying.got(3);
      assert.deepEqual(staying.sequences, [1, 2, 3]);
    });

    for (const end of ['unsubscribe', 'close'] as const) {
      it(`that is not durable ends with its last member (${end})`, async () => {
        const channel = rig.name('channel');
        const client = await rig.connect();
        await client.publishMany(channel, 3);
        for (let i = 0; i < 2; i++) {
          const member = await client.subscribe(channel, { queueGroup: 'group', all: true });
          await member.got(3);
          assert.deepEqual(member.sequences, [1, 2, 3]);
          await member[end]();
        }
      });
    }

    it('that is not durable ends with the client of its last member', async () => {
      const channel = rig.name('channel');
      for (let i = 0; i < 2; i++) {
        const client = await rig.connect();
        if (i === 0) await client.publishMany(channel, 3);
        const member = await client.subscribe(channel, { queueGroup: 'group', all: true });
        await member.got(3);
        await client.close();
      }
    });

    it('loses nothing, and gives nothing new twice, while members join and leave at any time', async () => {
      const channel = rig.name('channel');
      const publisher = await rig.connect();
      const clients = await Promise.all([rig.connect(), rig.connect(), rig.connect()]);
      const stays = await publisher.subscribe(channel, { queueGroup: 'group', maxInFlight: 10 });
      const members: StanSubscription[] = [stays];
      let isDone = false;
      const comings = clients.map(async (client, i) => {
        while (!isDone) {
          const member = await client.subscribe(channel, { queueGroup: 'group', maxInFlight: 5 + i });
          members.push(member);
          await member.got(1).catch(() => {});
          await (i % 2 === 0 ? member.close() : member.unsubscribe());
        }
      });
      for (let i = 0; i < 20; i++) await publisher.publishMany(channel, 100);
      isDone = true;
      await publisher.publishMany(channel, 10);
      await Promise.all(comings);
      await waitFor(
        () => new Set(together(members)).size === 2010,
        () => `2010 different messages; got ${new Set(together(members)).size}`,
      );
      const fresh = members.flatMap(({ freshSequences }) => freshSequences);
      assert.equal(new Set(fresh).size, fresh.length);
    });

    it('takes an ack from a member for what another holds by now', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const request = { clientId, subject: channel, queueGroup: 'group', maxInFlight: 1 };
      const one = await client.subscribe(request);
      await client.publish({ clientId, subject: channel });
      await one.got(1);
      const two = await client.subscribe(request);
      await client.publish({ clientId, subject: channel });
      await two.got(1);
      await client.publish({ clientId, subject: channel });
      // Member two acks message 1, which member one holds: member one has room again with its own next ack only.
      client.ack(two.response.ackInbox, channel, 1);
      client.ack(two.response.ackInbox, channel, 2);
      await waitFor(() => one.messages.length + two.messages.length >= 3, 'the third message');
      assert.deepEqual([...one.sequences, ...two.sequences].sort(), [1, 2, 3]);
    });
  });

  describe(`A durable queue group (${store} store)`, () => {
    const rig = new Rig({ store });
    const durable = { queueGroup: 'group', durableName: 'dur', all: true };

    it('goes on where it was when all its members have closed, for any client', async () => {
      const channel = rig.name('channel');
      const first = await rig.connect();
      const member = await first.subscribe(channel, durable);
      await first.publishMany(channel, 3);
      await member.got(3);
      await first.close();

      const second = await rig.connect();
      await second.publishMany(channel, 2);
      const again = await second.subscribe(channel, durable);
      await again.got(2);
      assert.deepEqual(again.sequences, [4, 5]);
    });

    it('goes on where it was after the close of its last subscription', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const member = await client.subscribe(channel, durable);
      await client.publishMany(channel, 3);
      await member.got(3);
      await member.close();
      await client.publishMany(channel, 2);
      const again = await client.subscribe(channel, durable);
      await again.got(2);
      assert.deepEqual(again.sequences, [4, 5]);
    });

    it('is forgotten when its last member unsubscribes', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const member = await client.subscribe(channel, durable);
      await client.publishMany(channel, 3);
      await member.got(3);
      await member.unsubscribe();
      const again = await client.subscribe(channel, durable);
      await again.got(3);
      assert.deepEqual(again.sequences, [1, 2, 3]);
    });

    it('lives on when one of several members unsubscribes', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const members = [await client.subscribe(channel, durable), await client.subscribe(channel, durable)];
      await client.publishMany(channel, 4);
      await waitFor(() => total(members) >= 4, 'four messages in all');
      await members[0]!.unsubscribe();
      await members[1]!.close();
      await client.publishMany(channel, 1);
      const again = await client.subscribe(channel, durable);
      await again.gotOne(({ sequence }) => sequence === 5, 'message 5');
      assert.deepEqual(again.freshSequences, [5]);
    });

    it('gives what was not acked to the first who comes back, flagged, before anything new', async () => {
      const channel = rig.name('channel');
      const first = await rig.connect();
      const member = await first.subscribe(channel, { ...durable, manualAcks: true });
      await first.publishMany(channel, 3);
      await member.got(3);
      member.messages[1]!.ack();
      await first.close();

      const second = await rig.connect();
      await second.publish(channel, '4');
      const again = await second.subscribe(channel, durable);
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

    it('is another group than the one of its name that is not durable', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      const members = [
        await client.subscribe(channel, durable),
        await client.subscribe(channel, { queueGroup: 'group' }),
        await client.subscribe(channel, { queueGroup: 'group', durableName: 'other' }),
      ];
      await client.publish(channel, 'x');
      for (const member of members) await member.got(1);
    });
  });
}
