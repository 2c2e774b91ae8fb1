import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveOptions } from '../../src/client/connect-options.js';
import { FaultProxy } from '../harness/fault-proxy.js';
import { waitFor, within } from '../harness/wait.js';
import { ClientRig } from './client-rig.js';

describe('the options of time', () => {
  const rig = new ClientRig();

  it('let a broker be away for many pings', async () => {
    const connection = await rig.connect({ pingInterval: 1_000 });
    rig.rig.broker.signal('SIGSTOP');
    const publish = connection.publish(rig.channel(), 'x');
    const raw = await rig.rig.raw();
    let pings = 0;
    raw.nats.subscribe(raw.subjects.pings, { callback: () => void pings++ });
    await waitFor(() => pings >= 4, 'four pings');
    rig.rig.broker.signal('SIGCONT');
    await publish;
    assert.equal(connection.isClosed(), false);
  });

  it('find a connection to NATS that no longer sends, though much comes on it, and publish on another one', async (t) => {
    const proxy = await FaultProxy.start(rig.rig.nats.port);
    t.after(() => proxy.stop());
    const channel = rig.channel();
    const connection = await rig.connect({ servers: proxy.url, natsPingInterval: 200 });
    await connection.subscribe(channel, { callback: () => {} });
    await connection.publish(channel, 'x');
    const other = await rig.connect();
    const sending = setInterval(() => void other.publish(channel, 'y').catch(() => {}), 20);
    t.after(() => clearInterval(sending));
    proxy.fail({ on: 'both', way: 'toServer', fault: 'swallow' });
    await within(connection.publish(channel, 'z'), 'it is acknowledged', 10_000);
    // Without the option it is found after some seconds.
    const { natsOptions: nats } = resolveOptions({ clusterId: 'c', clientId: 'c' });
    assert.deepEqual([nats.pingInterval, nats.maxPingOut], [2_000, 2]);
  });

  it('round an ack wait up to whole seconds: nothing comes again before its time', async () => {
    const connection = await rig.connect();
    const channel = rig.channel();
    await connection.publish(channel, 'x');
    const subscription = await connection.subscribe(channel, {
      startAt: 'all',
      manualAck: true,
      ackWait: 1_400,
    });
    const messages = subscription[Symbol.asyncIterator]();
    await messages.next();
    const startMs = performance.now();
    assert.equal((await messages.next()).value.redelivered, true);
    // The first one was on its way for a moment.
    assert.ok(performance.now() - startMs > 1_300);
  });
});
