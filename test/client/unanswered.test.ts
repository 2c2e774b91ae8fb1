import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { waitFor } from '../harness/wait.js';
import { ClientRig } from './client-rig.js';

describe('a request of a subscription that is not answered in time', () => {
  const rig = new ClientRig();
  afterEach(() => void rig.rig.broker.signal('SIGCONT'));

  const pause = (): void => void rig.rig.broker.signal('SIGSTOP');
  const goOn = (): void => void rig.rig.broker.signal('SIGCONT');

  it('leaves no durable in use that no client has', async () => {
    const connection = await rig.connect({ connectTimeout: 300 });
    const channel = rig.channel();
    pause();
    await assert.rejects(connection.subscribe(channel, { durable: 'd' }), { code: 'REQUEST_TIMEOUT' });
    goOn();
    await waitFor(async () => {
      // The broker answers in order: what was asked before is done.
      const subscription = await connection.subscribe(channel, { durable: 'd' }).catch(() => undefined);
      return subscription !== undefined;
    }, 'the durable is free');
  });

  for (const how of ['close', 'unsubscribe'] as const) {
    it(`can be tried again: ${how}`, async () => {
      const connection = await rig.connect({ connectTimeout: 300 });
      const subscription = await connection.subscribe(rig.channel(), { durable: 'd' });
      pause();
      await assert.rejects(subscription[how](), { code: 'REQUEST_TIMEOUT' });
      assert.equal(subscription.isClosed(), true);
      await assert.rejects(subscription[how](), { code: 'REQUEST_TIMEOUT' });
      goOn();
      await subscription[how]();
      await assert.rejects(subscription[how](), { code: 'SUBSCRIPTION_CLOSED' });
    });
  }

  it('is not tried again when the connection is closed', async () => {
    const connection = await rig.connect({ connectTimeout: 300 });
    const subscription = await connection.subscribe(rig.channel());
    pause();
    await assert.rejects(subscription.close(), { code: 'REQUEST_TIMEOUT' });
    goOn();
    await connection.close();
    await assert.rejects(subscription.close(), { code: 'SUBSCRIPTION_CLOSED' });
  });
});

describe('a connection whose close is not answered', () => {
  const rig = new ClientRig();
  afterEach(() => void rig.rig.broker.signal('SIGCONT'));

  it('is closed all the same, and says so', async () => {
    const connection = await rig.connect({ connectTimeout: 300 });
    rig.rig.broker.signal('SIGSTOP');
    await assert.rejects(connection.close(), { code: 'REQUEST_TIMEOUT' });
    assert.equal(connection.isClosed(), true);
    assert.equal(connection.natsConnection.isClosed(), true);
  });

  it('can be closed again if that is allowed', async () => {
    const connection = await rig.connect({ connectTimeout: 300, allowCloseRetry: true });
    const subscription = await connection.subscribe(rig.channel());
    rig.rig.broker.signal('SIGSTOP');
    const publish = assert.rejects(connection.publish(rig.channel(), 'x'), { code: 'CONNECTION_CLOSED' });
    await assert.rejects(connection.close(), { code: 'REQUEST_TIMEOUT' });
    await publish;
    assert.equal(subscription.isClosed(), true);
    assert.deepEqual([connection.isClosed(), connection.natsConnection.isClosed()], [false, false]);
    await assert.rejects(connection.publish(rig.channel(), 'x'), { code: 'CONNECTION_CLOSED' });
    rig.rig.broker.signal('SIGCONT');
    await connection.close();
    assert.equal(connection.isClosed(), true);
    assert.equal(await connection.closed(), undefined);
    await connection.close();
    await (await rig.connect({ clientId: connection.clientId })).publish(rig.channel(), 'the id is free');
  });

  it('asks again, as a takeover may have come between', async () => {
    const { broker } = rig.rig;
    const connection = await rig.connect({ connectTimeout: 20_000 });
    broker.signal('SIGSTOP');
    const raw = await rig.rig.raw();
    let asked = 0;
    raw.nats.subscribe(raw.subjects.close, { callback: () => void asked++ });
    await raw.nats.flush();
    const close = connection.close();
    await waitFor(() => asked > 0, 'the close has been sent');
    await broker.restart();
    const startMs = performance.now();
    await close;
    assert.ok(performance.now() - startMs < 10_000);
    await (await rig.connect({ clientId: connection.clientId })).publish(rig.channel(), 'the id is free');
  });
});
