import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { STAN_ERROR } from '../../src/protocol/error-texts.js';
import { decodeCloseResponse, encodeCloseRequest } from '../../src/protocol/messages.js';
import { InMemoryBroker } from './in-memory.js';

const CLOSE = '_STAN.close.c';

describe('a close request that names its connection', () => {
  async function close(world: InMemoryBroker, connId: string): Promise<string> {
    const request = encodeCloseRequest({ clientId: 'a', connId: Buffer.from(connId) });
    return decodeCloseResponse(await world.request(CLOSE, request)).error;
  }

  it('closes that one', async () => {
    const world = await InMemoryBroker.start();
    await world.connect('a');
    assert.equal(await close(world, 'conn-a'), '');
    assert.equal(world.broker.clients.size, 0);
    assert.equal(await close(world, 'conn-a'), STAN_ERROR.unknownClient);
  });

  it('closes no other that has the id since, as one does that names none', async () => {
    const world = await InMemoryBroker.start();
    await world.connect('a');
    assert.equal(await close(world, 'conn-of-before'), STAN_ERROR.unknownClient);
    assert.equal(world.broker.clients.size, 1);
    assert.equal(await world.close('a'), '');
    assert.equal(world.broker.clients.size, 0);
  });
});
