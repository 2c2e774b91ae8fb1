import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { waitFor } from '../harness/wait.js';
import { ClientRig } from './client-rig.js';

describe('a request of a subscription that is not answered in time', () => {
  const rig = new ClientRig();
  afterEach(() => void rig.rig.broker.signal('SIGCONT'));

  const pause = (): void => void rig.rig.broker.signal('SIGSTOP');
  const goOn = (): void => void rig.rig.broker.signal('SIGCONT');

  it('leaves no durable in use that nobody has', async () => {
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
