import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type BrokerOptions, startBroker } from '../../src/server.js';
import { NatsServer } from '../harness/nats-server.js';

describe('Members of one group in one process', () => {
  it('have names of their own: a second one of a name is refused, until the first has ended', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'stanchion-members-'));
    const nats = await NatsServer.start();
    const options: BrokerOptions = {
      store: 'file',
      dir: join(folder, 'store'),
      ftGroup: 'g',
      nodeName: 'a',
      natsServer: nats.url,
    };
    const first = await startBroker(options);
    try {
      await assert.rejects(
        startBroker(options),
        /has a member "a" of the group on .*store already.*its own nodeName/,
      );
      await (await startBroker({ ...options, nodeName: 'b' })).stop();
      await first.stop();
      await (await startBroker(options)).stop();
    } finally {
      await first.stop();
      await nats.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
