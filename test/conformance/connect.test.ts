import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createInbox } from 'nats';
import { STAN_ERROR } from '../../src/protocol/error-texts.js';
import { decodePingResponse, encodePing } from '../../src/protocol/messages.js';
import { isOtherServer, Rig, STORES } from '../harness/rig.js';
import { waitFor } from '../harness/wait.js';

for (const store of STORES) {
  describe(`Connecting (${store} store)`, () => {
    const rig = new Rig({ store });

    it('is answered with the subjects to use, the protocol level, and the ping settings asked for', async () => {
      const client = await rig.raw();
      const id = rig.broker.clusterId;
      const response = await client.connect({
        clientId: rig.name('client'),
        connId: Buffer.from(rig.name('conn')),
        pingInterval: 7,
        pingMaxOut: 4,
      });
      assert.deepEqual(response, {
        pubPrefix: `_STAN.pub.${id}`,
        subRequests: `_STAN.sub.${id}`,
        unsubRequests: `_STAN.unsub.${id}`,
        closeRequests: `_STAN.close.${id}`,
        subCloseRequests: `_STAN.subclose.${id}`,
        pingRequests: `_STAN.discover.${id}.pings`,
        pingInterval: 7,
        pingMaxOut: 4,
        protocol: 1,
        publicKey: '',
        guidMemory: 0,
        error: '',
      });
    });

    it('of a client of protocol level 0 is answered without pings', async () => {
      const client = await rig.raw();
      const response = await client.connect({ clientId: rig.name('client'), protocol: 0 });
      assert.equal(response.error, '');
      assert.equal(response.pingRequests, '');
      assert.equal(response.pingInterval, 0);
      assert.equal(response.pingMaxOut, 0);
      assert.equal(response.protocol, 1);
    });

    it('lets a client of protocol level 0 publish, subscribe, ack and close by its client id alone', async () => {
      const client = await rig.raw();
      const clientId = rig.name('client');
      const channel = rig.name('channel');
      await client.connect({ clientId, protocol: 0 });
      const subscription = await client.subscribe({ clientId, subject: channel, maxInFlight: 1 });
      assert.equal(subscription.response.error, '');
      for (const text of ['1', '2']) {
        assert.equal(
          (await client.publish({ clientId, subject: channel, data: Buffer.from(text) })).error,
          '',
        );
      }
      await subscription.got(1);
      client.ack(subscription.response.ackInbox, channel, 1);
      await subscription.got(2);
      assert.deepEqual(subscription.sequences, [1, 2]);
      assert.deepEqual(await client.close(clientId), { error: '' });
    });

    it('is refused for a client id with other characters than letters, digits, - and _', async () => {
      const client = await rig.raw();
      for (const clientId of ['', 'a b', 'a.b', 'a:b', 'a/b', 'ä', '*', 'a\n']) {
        const { error } = await client.connect({ clientId });
        assert.equal(error, STAN_ERROR.invalidClientId, JSON.stringify(clientId));
      }
      assert.equal((await client.connect({ clientId: rig.name('Az_09-') })).error, '');
    });

    it('is refused without a heartbeat inbox', async () => {
      const client = await rig.raw();
      const { error } = await client.connect({ clientId: rig.name('client'), heartbeatInbox: '' });
      assert.equal(error, STAN_ERROR.invalidConnectRequest);
    });

    it('is refused under the id of a client that is alive, which goes on undisturbed', async () => {
      const clientId = rig.name('client');
      const channel = rig.name('channel');
      const first = await rig.connect(clientId);
      const subscription = await first.subscribe(channel);
      await assert.rejects(rig.connect(clientId), { message: STAN_ERROR.clientIdRegistered });
      await first.publish(channel, 'still here');
      await subscription.got(1);
    });

    it('under the id of a client that is dead replaces it', async () => {
      const clientId = rig.name('client');
      const channel = rig.name('channel');
      const first = await rig.raw();
      await first.connect({ clientId, connId: Buffer.from('first') });
      const old = await first.subscribe({ clientId, subject: channel });
      first.answersHeartbeats = false;

      const second = await rig.connect(clientId);
      const subscription = await second.subscribe(channel);
      await second.publish(channel, 'hello');
      await subscription.got(1);

      assert.deepEqual(old.sequences, [], 'the subscription of the old client has ended');
      assert.equal((await first.ping(Buffer.from('first'))).error, STAN_ERROR.pingUnknownConnection);
      const refused = await first.publish({ clientId, connId: Buffer.from('first'), subject: channel });
      assert.equal(refused.error, STAN_ERROR.invalidPublishRequest);
    });

    it('under one id by two at once is granted to one', async () => {
      const clientId = rig.name('client');
      const results = await Promise.allSettled([rig.connect(clientId), rig.connect(clientId)]);
      const refusals = results.flatMap((result) =>
        result.status === 'rejected' ? [result.reason.message] : [],
      );
      assert.deepEqual(refusals, [STAN_ERROR.clientIdRegistered]);
    });

    it('is refused while the dead client of that id is still being asked for the sake of another', async () => {
      const clientId = rig.name('client');
      const dead = await rig.raw();
      dead.answersHeartbeats = false;
      await dead.join(clientId);
      const ends: string[] = [];
      const connect = (): Promise<unknown> =>
        rig.connect(clientId).then(
          () => ends.push('granted'),
          (error: Error) => ends.push(error.message),
        );
      await Promise.all([connect(), connect()]);
      // At once: the other one waits for the dead client's answer.
      assert.deepEqual(ends, [STAN_ERROR.clientIdRegistered, 'granted']);
    });

    it('works again at once after a close', async () => {
      const clientId = rig.name('client');
      for (let i = 0; i < 3; i++) {
        const client = await rig.connect(clientId);
        await client.close();
      }
    });
  });

  // The Go server has this option in its config file only.
  describe(`The discover prefix (${store} store)`, { skip: isOtherServer }, () => {
    const rig = new Rig({ store, flags: ['--discover-prefix', 'find.me'] });

    it('is where clients of that prefix connect', async () => {
      const client = await rig.connect(undefined, { discoverPrefix: 'find.me' });
      await client.publish(rig.name('channel'), 'x');
    });
  });

  describe(`A ping (${store} store)`, () => {
    const rig = new Rig({ store });

    it('of a known connection is answered by an empty response', async () => {
      const client = await rig.raw();
      const clientId = rig.name('client');
      await client.join(clientId);
      assert.equal(
        (await client.request(client.subjects.pings, encodePing({ connId: Buffer.from(clientId) }))).length,
        0,
      );
    });

    it('of an unknown connection is answered by an error', async () => {
      const client = await rig.raw();
      const expected = { error: 'client has been replaced or is no longer registered' };
      assert.deepEqual(await client.ping(Buffer.from('nobody')), expected);
    });

    it('that is empty or not a Ping is not answered', async () => {
      const client = await rig.raw();
      const answers: string[] = [];
      const inbox = createInbox();
      client.nats.subscribe(inbox, {
        callback: (_error, message) => answers.push(decodePingResponse(message.data).error),
      });
      client.nats.publish(client.subjects.pings, new Uint8Array(0), { reply: inbox });
      client.nats.publish(client.subjects.pings, Uint8Array.of(0x0a, 0x7f), { reply: inbox });
      client.nats.publish(client.subjects.pings, encodePing({ connId: Buffer.from('x') }), { reply: inbox });
      await waitFor(() => answers.length > 0, 'the third ping is answered');
      assert.equal(answers.length, 1);
    });

    it('after a close shows a client of the field that it is out', async () => {
      const clientId = rig.name('client');
      const client = await rig.connect(clientId, { stanPingInterval: 1000 });
      const other = await rig.raw();
      assert.deepEqual(await other.close(clientId), { error: '' });
      await waitFor(() => client.lost !== undefined, 'the client hears of it');
      assert.equal(client.lost, STAN_ERROR.pingUnknownConnection);
    });
  });

  describe(`Closing a client (${store} store)`, () => {
    const rig = new Rig({ store });

    it('ends its subscriptions, and refuses what it still publishes', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const subscription = await client.subscribe({ clientId, subject: channel });
      assert.deepEqual(await client.close(clientId), { error: '' });

      const connId = Buffer.from(clientId);
      for (const identity of [{ clientId }, { connId }, { clientId, connId }]) {
        const { error } = await client.publish({ ...identity, subject: channel });
        assert.equal(error, STAN_ERROR.invalidPublishRequest);
      }
      const other = await rig.connect();
      const watcher = await other.subscribe(channel);
      await other.publish(channel, 'hello');
      await watcher.got(1);
      assert.deepEqual(watcher.sequences, [1]);
      assert.deepEqual(subscription.sequences, []);
    });

    it('is refused if it is not known', async () => {
      const client = await rig.raw();
      assert.deepEqual(await client.close('nobody'), { error: STAN_ERROR.unknownClient });
      assert.deepEqual(await client.close(''), { error: STAN_ERROR.unknownClient });
    });

    // The Go server answers acks and closes on two connections, which may overtake each other.
    it('is answered when everything that it published before is stored and acked', {
      skip: isOtherServer,
    }, async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const ackInbox = createInbox();
      let acks = 0;
      client.nats.subscribe(ackInbox, { callback: () => acks++ });
      for (let i = 0; i < 1000; i++) {
        client.send(
          { clientId, connId: Buffer.from(clientId), subject: channel, data: Buffer.from('x') },
          ackInbox,
        );
      }
      const answer = client.close(clientId);
      assert.deepEqual(await answer, { error: '' });
      assert.equal(acks, 1000);

      const reader = await rig.connect();
      const all = await reader.subscribe(channel, { all: true });
      await all.got(1000);
    });

    it('comes after the acks that it sent before: they count', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const request = { clientId, subject: channel, durableName: 'dur' };
      const subscription = await client.subscribe(request);
      for (let i = 0; i < 10; i++) await client.publish({ clientId, subject: channel });
      await subscription.got(10);
      for (let i = 1; i <= 10; i++) client.ack(subscription.response.ackInbox, channel, i);
      assert.deepEqual(await client.close(clientId), { error: '' });

      await client.join(clientId);
      const again = await client.subscribe(request);
      await client.publish({ clientId, subject: channel });
      await again.got(1);
      assert.deepEqual(again.sequences, [11]);
    });
  });

  // Each of these waits for heartbeats to be missed: all at once.
  describe(`Heartbeats (${store} store)`, { concurrency: true }, () => {
    const flags = ['--hb-interval', '200ms', '--hb-timeout', '1s', '--hb-fail-count', '1'];
    const rig = new Rig({ store, flags, keepClients: true });

    for (const protocol of [0, 1]) {
      it(`close a client of protocol level ${protocol} that stops answering, and end its subscriptions`, async () => {
        const channel = rig.name('channel');
        const clientId = rig.name('client');
        const connId = Buffer.from(clientId);
        const client = await rig.raw();
        await client.connect({ clientId, protocol, ...(protocol === 1 ? { connId } : {}) });
        const subscription = await client.subscribe({ clientId, subject: channel });
        client.answersHeartbeats = false;
        await waitFor(
          async () =>
            (await client.publish({ clientId, subject: channel })).error === STAN_ERROR.invalidPublishRequest,
          'the client is closed',
        );
        if (protocol === 1) assert.equal((await client.ping(connId)).error, STAN_ERROR.pingUnknownConnection);

        const before = subscription.messages.length;
        const other = await rig.connect();
        const watcher = await other.subscribe(channel);
        await other.publish(channel, 'hello');
        await watcher.got(1);
        assert.equal(subscription.messages.length, before);
      });
    }

    it('leave a client alone that answers', async () => {
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      await waitFor(() => client.heartbeats >= 5, 'five heartbeats');
      assert.equal((await client.publish({ clientId, subject: rig.name('channel') })).error, '');
    });

    it('leave a client alone that missed one and answers the next', async () => {
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      for (let i = 0; i < 3; i++) {
        const seen = client.heartbeats;
        client.answersHeartbeats = false;
        await waitFor(() => client.heartbeats > seen, 'a heartbeat to miss');
        client.answersHeartbeats = true;
        await waitFor(() => client.heartbeats > seen + 1, 'the next heartbeat');
      }
      assert.equal((await client.publish({ clientId, subject: rig.name('channel') })).error, '');
    });

    it('that close a client leave its durable to be resumed', async () => {
      const channel = rig.name('channel');
      const clientId = rig.name('client');
      const client = await rig.raw();
      await client.join(clientId);
      const subscription = await client.subscribe({ clientId, subject: channel, durableName: 'dur' });
      await client.publish({ clientId, subject: channel });
      await subscription.got(1);
      client.ack(subscription.response.ackInbox, channel, 1);
      client.answersHeartbeats = false;
      const connId = Buffer.from(clientId);
      await waitFor(async () => (await client.ping(connId)).error !== '', 'the client is closed');

      const next = await rig.connect(clientId);
      await next.publish(channel, '2');
      const resumed = await next.subscribe(channel, { durableName: 'dur' });
      await resumed.got(1);
      assert.deepEqual(resumed.sequences, [2]);
    });
  });
}
