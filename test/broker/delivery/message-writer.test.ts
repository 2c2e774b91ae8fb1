import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { OutBuffer } from '../../../src/link/writer.js';
import { encodePubMsg, StartPosition } from '../../../src/protocol/messages.js';
import { InMemoryBroker } from '../in-memory.js';

const KIB = 1024;
const MESSAGES = 500;

describe('the output of deliveries', () => {
  it('goes to the link in buffers that have not grown beyond 256 KiB, in the order of the messages', async () => {
    const broker = await InMemoryBroker.start();
    await broker.connect('s');
    for (let i = 0; i < MESSAGES; i++) {
      const message = { clientId: 's', guid: `g${i}`, subject: 'foo', data: Buffer.alloc(3 * KIB, 'x') };
      await broker.message('_STAN.pub.c.foo', encodePubMsg(message));
    }
    const sizes: number[] = [];
    const send = broker.link.send.bind(broker.link);
    broker.link.send = (out: OutBuffer) => {
      sizes.push(out.buf.length);
      send(out);
    };
    await broker.subscribe({ clientId: 's', startPosition: StartPosition.FIRST, maxInFlight: MESSAGES });
    assert.deepEqual(
      broker.taken('s').map(({ sequence }) => sequence),
      Array.from({ length: MESSAGES }, (_, i) => i + 1),
    );
    assert.ok(Math.max(...sizes) <= 256 * KIB, `buffers of ${sizes.join(', ')} bytes`);
  });
});
