import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NatsConnection as ConnectionV3, NodeConnectionOptions } from '@nats-io/transport-node';
import type { ConnectionOptions, NatsConnection as ConnectionV2 } from 'nats';
import {
  AckTimeoutError,
  type Codec,
  type ConnectOptions,
  connect,
  jsonCodec,
  type Message,
  type StanConnection,
  StanError,
  type StartAt,
  type Status,
  type Subscription,
} from '../../src/index.js';

/** Exactly the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function check<_T extends true>(): void {}

// What is here is checked by the compiler: a mistake in the library's types, or a use that must not be, fails `npm test`.
describe('the types of the client', () => {
  it('are those that programs rely on', () => {
    check<Same<ReturnType<typeof connect>, Promise<StanConnection>>>();
    check<Same<ReturnType<StanConnection['publish']>, Promise<string>>>();
    check<Same<ReturnType<StanConnection['publishAsync']>, string>>();
    check<Same<ReturnType<StanConnection['subscribe']>, Promise<Subscription>>>();
    check<Same<Awaited<ReturnType<StanConnection['closed']>>, StanError | undefined>>();
    check<Same<ReturnType<Message['json']>, unknown>>();
    check<Same<Message['timestampNanos'], bigint>>();
    check<Same<Message['data'], Uint8Array>>();
    check<AckTimeoutError extends StanError ? true : false>();
    assert.ok(new AckTimeoutError('', '', true, { hint: '' }) instanceof StanError);
  });

  it('take connections and options of nats.js, of either version', () => {
    const uses = async (v2: ConnectionV2, v3: ConnectionV3, options: ConnectionOptions): Promise<void> => {
      await connect({ clusterId: 'c', clientId: 'me', natsConnection: v2 });
      const { natsConnection } = await connect({ clusterId: 'c', clientId: 'me', natsConnection: v3 });
      const answer = await natsConnection.request('time', '', { timeout: 1_000 });
      check<Same<typeof answer.data, Uint8Array>>();
      const { servers, timeout, pingInterval, maxPingOut, ...rest } = options;
      await connect({ clusterId: 'c', clientId: 'me', ...rest });
      const tls: NodeConnectionOptions['tls'] = { rejectUnauthorized: false };
      await connect({ clusterId: 'c', clientId: 'me', tls });
    };
    assert.equal(typeof uses, 'function');
  });

  it('take what can be, and nothing else', () => {
    const uses = async (connection: StanConnection, subscription: Subscription): Promise<void> => {
      // @ts-expect-error: a client id is needed
      await connect({ clusterId: 'c' });
      // @ts-expect-error: the NATS option of that name is natsPingInterval here
      const options: ConnectOptions = { clusterId: 'c', clientId: 'me', maxPingOut: 1 };
      await connect({ ...options, user: 'u', pass: 'p', tls: {}, natsPingInterval: 1 });
      // @ts-expect-error: the callback is needed
      connection.publishAsync('a', 'b');
      // @ts-expect-error: not a place
      const start: StartAt = 'first';
      await connection.subscribe('a', { startAt: start });
      await connection.subscribe('a', { startAt: { sequence: 1 } });
      // @ts-expect-error: one or the other
      await connection.subscribe('a', { startAt: { since: 1 } });
      for await (const message of subscription) {
        check<Same<typeof message, Message>>();
        check<Same<ReturnType<typeof message.json<{ a: number }>>, { a: number }>>();
        // @ts-expect-error: read only
        message.sequence = 1;
      }
      for await (const status of connection.status()) {
        check<Same<typeof status, Status>>();
        if (status.type === 'publishingPaused') check<Same<typeof status.reason, string>>();
      }
      const codec: Codec<{ a: number }> = jsonCodec<{ a: number }>();
      // @ts-expect-error: not what the codec takes
      codec.encode('x');
      await using _closed = connection;
    };
    assert.equal(typeof uses, 'function');
  });
});
