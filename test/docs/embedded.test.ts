import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { connect } from '../../src/index.js';
import { startBroker } from '../../src/server.js';
import { NatsServer } from '../harness/nats-server.js';

describe('a broker in the same process', () => {
  it('says where it is, serves when it has started, and stops', async () => {
    const broker = await startBroker({ clusterId: 'mine', addr: '127.0.0.1', port: 0, httpPort: -1 });
    const health = await fetch(`${broker.httpUrl}/readyz`);
    assert.equal(health.status, 200);
    const connection = await connect({ servers: [...broker.urls], clusterId: 'mine', clientId: 'me' });
    await connection.publish('foo', 'x');
    await connection.close();
    await broker.stop();
    assert.deepEqual(await broker.stopped, { exitCode: 0 });
  });

  it('logs to the logger that it is given', async () => {
    const nats = await NatsServer.start();
    const messages: string[] = [];
    const say = (_fields: unknown, message: string): void => void messages.push(message);
    const log = { debug: say, info: say, warn: say, error: say, child: () => log };
    try {
      const broker = await startBroker({ clusterId: 'mine', natsServer: nats.url, dir: 'x', log });
      await assert.rejects(
        startBroker({ clusterId: 'mine', natsServer: [nats.url] }),
        /another streaming server/,
      );
      await broker.stop();
    } finally {
      await nats.stop();
    }
    assert.ok(
      messages.some((message) => message.includes('Streaming Server is ready')),
      messages.join(),
    );
    assert.ok(
      messages.some((message) => message.includes('dir has no effect')),
      messages.join(),
    );
  });
});
