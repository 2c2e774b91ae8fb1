import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createInbox } from 'nats';
import { channelCaseClash, STAN_ERROR } from '../../src/protocol/error-texts.js';
import { encodePubMsg, StartPosition } from '../../src/protocol/messages.js';
import { isOtherServer, Rig, STORES } from '../harness/rig.js';
import { waitFor } from '../harness/wait.js';

for (const store of STORES) {
  describe(`Publishing (${store} store)`, () => {
    const rig = new Rig({ store });

    it('is acknowledged with the guid of the message', async () => {
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const ack = await client.publish({ clientId, guid: 'my-guid', subject: rig.name('channel') });
      assert.deepEqual(ack, { guid: 'my-guid', error: '' });
    });

    it('creates the channel, and gives sequences from 1 without gaps in the order of the messages', async () => {
      const channel = rig.name('channel');
      const client = await rig.connect();
      await client.publishMany(channel, 500);
      const subscription = await client.subscribe(channel, { all: true });
      await subscription.got(500);
      assert.deepEqual(
        subscription.messages.map(({ sequence, data }) => [sequence, data]),
        Array.from({ length: 500 }, (_, i) => [i + 1, String(i + 1)]),
      );
    });

    it('from several clients keeps the order of each', async () => {
      const channel = rig.name('channel');
      const clients = await Promise.all([rig.connect(), rig.connect(), rig.connect()]);
      await Promise.all(clients.map((client, i) => client.publishMany(channel, 200, `${i}:`)));
      const subscription = await clients[0]!.subscribe(channel, { all: true });
      await subscription.got(600);
      assert.deepEqual(
        subscription.sequences,
        Array.from({ length: 600 }, (_, i) => i + 1),
      );
      for (const i of [0, 1, 2]) {
        const own = subscription.messages
          .filter(({ data }) => data.startsWith(`${i}:`))
          .map(({ data }) => data);
        assert.deepEqual(
          own,
          Array.from({ length: 200 }, (_, n) => `${i}:${n + 1}`),
        );
      }
    });

    it('keeps channels apart', async () => {
      const client = await rig.connect();
      const channels = [rig.name('a'), rig.name('a.b'), rig.name('a.b.c')];
      for (const channel of channels) await client.publish(channel, channel);
      for (const channel of channels) {
        const subscription = await client.subscribe(channel, { all: true });
        await subscription.got(1);
        assert.deepEqual(
          subscription.messages.map((m) => [m.sequence, m.channel, m.data]),
          [[1, channel, channel]],
        );
      }
    });

    it('keeps data, reply subject and channel name byte for byte', async () => {
      const clientId = rig.name('client');
      const channel = rig.name('Größe mit Leerzeichen');
      const client = await rig.raw();
      await client.join(clientId);
      const everyByte = Uint8Array.from({ length: 256 }, (_, i) => i);
      for (const data of [everyByte, new Uint8Array(0), new Uint8Array(100_000).fill(255)]) {
        assert.equal(
          (await client.publish({ clientId, subject: channel, reply: 'some.reply', data })).error,
          '',
        );
      }
      const subscription = await client.subscribe({
        clientId,
        subject: channel,
        startPosition: StartPosition.FIRST,
      });
      await subscription.got(3);
      assert.deepEqual(
        subscription.messages.map(({ subject, reply, data }) => [subject, reply, data.length]),
        [
          [channel, 'some.reply', 256],
          [channel, 'some.reply', 0],
          [channel, 'some.reply', 100_000],
        ],
      );
      assert.ok(Buffer.from(everyByte).equals(subscription.messages[0]!.data));
    });

    it('gives timestamps in nanoseconds that never go back within a channel', async () => {
      const clientId = rig.name('client');
      const channel = rig.name('channel');
      const client = await rig.raw();
      await client.join(clientId);
      const before = BigInt(Date.now()) * 1_000_000n;
      for (let i = 0; i < 300; i++) client.send({ clientId, subject: channel });
      const subscription = await client.subscribe({
        clientId,
        subject: channel,
        startPosition: StartPosition.FIRST,
      });
      await subscription.got(300);
      const after = BigInt(Date.now() + 1) * 1_000_000n;
      let previous = 0n;
      for (const { timestamp } of subscription.messages) {
        assert.ok(timestamp >= previous, `${timestamp} after ${previous}`);
        previous = timestamp;
      }
      // The two clocks read may differ by a little.
      const slack = 50_000_000n;
      assert.ok(subscription.messages[0]!.timestamp > before - slack);
      assert.ok(previous < after + slack);
    });

    it('needs no reply subject', async () => {
      const clientId = rig.name('client');
      const channel = rig.name('channel');
      const client = await rig.raw();
      await client.join(clientId);
      client.send({ clientId, subject: channel });
      const subscription = await client.subscribe({
        clientId,
        subject: channel,
        startPosition: StartPosition.FIRST,
      });
      await subscription.got(1);
    });

    it('goes by the connection id if there is one, else by the client id', async () => {
      const clientId = rig.name('client');
      const connId = Buffer.from(clientId);
      const subject = rig.name('channel');
      const client = await rig.raw();
      await client.join(clientId);
      const refused = STAN_ERROR.invalidPublishRequest;
      assert.equal((await client.publish({ connId, subject })).error, '');
      assert.equal((await client.publish({ clientId, connId, subject })).error, '');
      assert.equal((await client.publish({ clientId: 'other', connId, subject })).error, '');
      assert.equal((await client.publish({ clientId, subject })).error, '');
      assert.equal(
        (await client.publish({ clientId, connId: Buffer.from('wrong'), subject })).error,
        refused,
      );
      assert.equal((await client.publish({ connId: Buffer.from('wrong'), subject })).error, refused);
      assert.equal((await client.publish({ clientId: 'nobody', subject })).error, refused);
      assert.equal((await client.publish({ subject })).error, refused);
    });

    it('stores nothing that it refuses', async () => {
      const clientId = rig.name('client');
      const subject = rig.name('channel');
      const client = await rig.raw();
      await client.join(clientId);
      await client.publish({ clientId: 'nobody', subject });
      client.send({ clientId: 'nobody', subject });
      await client.publish({ clientId, subject, data: Buffer.from('good') });
      const subscription = await client.subscribe({ clientId, subject, startPosition: StartPosition.FIRST });
      await subscription.got(1);
      assert.deepEqual(
        subscription.messages.map(({ sequence, data }) => [sequence, Buffer.from(data).toString()]),
        [[1, 'good']],
      );
    });

    it('is refused without a guid, and to a channel name that is not literal or not valid', async () => {
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const refusal = STAN_ERROR.invalidPublishRequest;
      assert.deepEqual(await client.publish({ clientId, guid: '', subject: 'foo' }), {
        guid: '',
        error: refusal,
      });
      const names = [
        '',
        '*',
        '>',
        'foo.*',
        'foo.>',
        '*.foo',
        'f*o',
        'foo/bar',
        '/',
        '.',
        '.foo',
        'foo.',
        'foo..bar',
      ];
      for (const subject of names) {
        const ack = await client.publish({ clientId, guid: 'g', subject });
        assert.deepEqual(ack, { guid: 'g', error: refusal }, JSON.stringify(subject));
      }
    });

    it('is refused to a channel whose name differs from an existing one in case only', async () => {
      const name = rig.name('Channel');
      const client = await rig.connect();
      await client.publish(name, 'x');
      const other = name.toUpperCase();
      await assert.rejects(client.publish(other, 'x'), { message: channelCaseClash(other, name) });
      await assert.rejects(client.subscribe(other), { message: channelCaseClash(other, name) });
    });

    it('goes by the channel in the message, not by the subject that it came on', async () => {
      const clientId = rig.name('client');
      const subject = rig.name('channel');
      const client = await rig.raw();
      await client.join(clientId);
      const inbox = createInbox();
      let acks = 0;
      client.nats.subscribe(inbox, { callback: () => acks++ });
      const elsewhere = rig.name('channel');
      const message = encodePubMsg({ guid: 'g', clientId, subject, data: Buffer.from('x') });
      client.nats.publish(`${client.subjects.publish}.${elsewhere}`, message, { reply: inbox });
      await waitFor(() => acks === 1, 'the ack');
      const subscription = await client.subscribe({ clientId, subject, startPosition: StartPosition.FIRST });
      await subscription.got(1);
      const other = await client.subscribe({
        clientId,
        subject: elsewhere,
        startPosition: StartPosition.FIRST,
      });
      await client.publish({ clientId, subject: elsewhere, data: Buffer.from('first') });
      await other.got(1);
      assert.equal(Buffer.from(other.messages[0]!.data).toString(), 'first');
    });

    // The Go server answers acks and closes on two connections, which may overtake each other.
    it('is acknowledged before the close of the client is, however fast the close comes', {
      skip: isOtherServer,
    }, async () => {
      const count = 200;
      const channel = rig.name('channel');
      const client = await rig.connect();
      // The client itself takes no acks any more once it closes: what the broker sends, and in which order, shows on NATS.
      const { nats, subjects } = await rig.raw();
      let closeInbox: string | undefined;
      let acks = 0;
      let acksBeforeClose: number | undefined;
      nats.subscribe(subjects.close, {
        callback: (_, { reply }) => {
          closeInbox = reply;
        },
      });
      nats.subscribe('_STAN.acks.>', { callback: () => void acks++ });
      nats.subscribe('_INBOX.>', {
        callback: (_, { subject }) => {
          if (subject === closeInbox) acksBeforeClose = acks;
        },
      });
      await nats.flush();
      for (let i = 0; i < count; i++) client.publish(channel, 'x').catch(() => {});
      await client.close();
      await waitFor(() => acksBeforeClose !== undefined && acks === count, 'all is answered');
      assert.equal(acksBeforeClose, count);
      const reader = await rig.connect();
      const subscription = await reader.subscribe(channel, { all: true });
      await subscription.got(count);
    });
  });
}
