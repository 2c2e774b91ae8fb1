import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { ChannelCopy } from '../../../src/import/stan/channel-copy.js';
import type { StanConnection } from '../../../src/index.js';

/** A server that takes subscriptions and delivers nothing. */
function silentServer(): { connection: StanConnection; subscriptions: number[] } {
  const subscriptions: number[] = [];
  const subscription = { close: async () => {}, unsubscribe: async () => {} };
  const subscribe = async (_channel: string, { startAt }: { startAt: 'all' | { sequence: number } }) => {
    subscriptions.push(startAt === 'all' ? 1 : startAt.sequence);
    return subscription;
  };
  return { connection: { subscribe } as unknown as StanConnection, subscriptions };
}

async function runWith(hasMore: () => Promise<boolean>): Promise<{ subscriptions: number[]; error?: Error }> {
  mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  try {
    const { connection, subscriptions } = silentServer();
    const stop = new AbortController();
    const options = { connection, channel: 'orders', maxInFlight: 10, stop: stop.signal, hasMore };
    const copy = new ChannelCopy({ ...options, onMessage: () => undefined });
    let isOver = false;
    let failed: Error | undefined;
    const run = copy
      .run(() => 100)
      .catch((error: Error) => {
        failed = error;
      });
    void run.finally(() => {
      isOver = true;
    });
    for (let i = 0; i < 1_000 && !isOver; i++) {
      mock.timers.tick(500);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(isOver, 'it ends');
    return { subscriptions, ...(failed !== undefined && { error: failed }) };
  } finally {
    mock.timers.reset();
  }
}

describe('the copy of a channel', () => {
  it('ends before its end when the server says that there is nothing more', async () => {
    const { subscriptions, error } = await runWith(async () => false);
    assert.equal(error, undefined);
    assert.deepEqual(subscriptions, [1, 1]);
  });

  it('takes a server that hangs for none that has nothing more: it asks again, and ends with an error at last', async () => {
    const { subscriptions, error } = await runWith(async () => true);
    assert.match(
      error?.message ?? '',
      /channel orders: the server has messages behind 0, and does not deliver them/,
    );
    assert.equal(subscriptions.length, 20);
  });
});
