import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConnectOptions, StanConnection, Status } from '../../src/index.js';
import { waitFor } from '../harness/wait.js';
import { ClientRig, texts } from './client-rig.js';

describe('a connection that comes back by itself', () => {
  const rig = new ClientRig();

  function connect(options: Partial<ConnectOptions> = {}): Promise<StanConnection> {
    return rig.connect({ pingInterval: 1_000, resume: true, ...options });
  }

  /** The server forgets the client. */
  function forget(connection: StanConnection): Promise<void> {
    return rig.closeAtBroker(connection);
  }

  async function until(type: Status['type'], connection: StanConnection): Promise<void> {
    for await (const status of connection.status()) if (status.type === type) return;
  }

  async function publish(channel: string, ...data: string[]): Promise<void> {
    const other = await rig.connect();
    for (const each of data) await other.publish(channel, each);
  }

  it('misses nothing that had come and was not read yet', async () => {
    const connection = await connect();
    const channel = rig.channel();
    await publish(channel, '1', '2', '3', '4', '5');
    const subscription = await connection.subscribe(channel, { startAt: 'all' });
    const messages = subscription[Symbol.asyncIterator]();
    assert.deepEqual(await texts(messages, 1), ['1']);
    await waitFor(() => subscription.getPending() === 4, 'the others have come');
    const resumed = until('resumed', connection);
    await forget(connection);
    await resumed;
    await publish(channel, '6');
    assert.deepEqual(await texts(messages, 5), ['2', '3', '4', '5', '6']);
  });

  it('misses nothing that comes while it is away, if nothing had come before', async () => {
    const connection = await connect();
    const starts = ['new', 'last', { timeAgo: 0 }, { sequence: 1 }] as const;
    const channels = starts.map(() => rig.channel());
    const subscriptions = await Promise.all(
      starts.map((startAt, i) => connection.subscribe(channels[i]!, { startAt })),
    );
    const resumed = until('resumed', connection);
    await forget(connection);
    for (const channel of channels) await publish(channel, '1', '2');
    await resumed;
    for (const channel of channels) await publish(channel, '3');
    for (const [i, subscription] of subscriptions.entries()) {
      const all = await texts(subscription[Symbol.asyncIterator](), 3);
      assert.deepEqual(all, ['1', '2', '3'], JSON.stringify(starts[i]));
    }
  });

  it('calls back for one message at a time, also when a callback is still busy with one from before', async () => {
    const connection = await connect();
    const channel = rig.channel();
    await publish(channel, '1');
    let running = 0;
    let mostAtOnce = 0;
    const begun: string[] = [];
    let finish = (): void => {};
    await connection.subscribe(channel, {
      durable: 'd',
      startAt: 'all',
      callback: async (_error, message) => {
        mostAtOnce = Math.max(mostAtOnce, ++running);
        begun.push(message.string());
        if (begun.length === 1)
          await new Promise<void>((resolve) => {
            finish = resolve;
          });
        running--;
      },
    });
    await waitFor(() => begun.length === 1, 'the first one');
    const resumed = until('resumed', connection);
    await forget(connection);
    await resumed;
    await publish(channel, '2', '3');
    assert.deepEqual(begun, ['1']);
    finish();
    await waitFor(() => begun.includes('3'), 'the last one');
    assert.equal(mostAtOnce, 1);
  });

  it('takes subscriptions that are asked for meanwhile, once it is back', async () => {
    const connection = await connect();
    const channel = rig.channel();
    const lost = until('connectionLost', connection);
    await forget(connection);
    await lost;
    const subscription = await connection.subscribe(channel, { durable: 'd' });
    await connection.publish(channel, 'x');
    assert.deepEqual(await texts(subscription[Symbol.asyncIterator](), 1), ['x']);
  });

  it('does not resume what was closed meanwhile', async () => {
    const connection = await connect();
    const channel = rig.channel();
    const subscription = await connection.subscribe(channel, { durable: 'd' });
    const [lost, resumed] = [until('connectionLost', connection), until('resumed', connection)];
    await forget(connection);
    await lost;
    await subscription.close();
    await resumed;
    // It would be in use.
    await connection.subscribe(channel, { durable: 'd' });
  });

  it('leaves the next client of its id alone when it is closed while it is away', async () => {
    const connection = await connect({ connectTimeout: 500 });
    const lost = until('connectionLost', connection);
    await forget(connection);
    const next = await rig.connect({ clientId: connection.clientId });
    await lost;
    const publishing = connection.publish(rig.channel(), 'x');
    await Promise.all([connection.close(), assert.rejects(publishing, { code: 'CONNECTION_CLOSED' })]);
    assert.equal(await connection.closed(), undefined);
    await next.publish(rig.channel(), 'it is still there');
  });
});
