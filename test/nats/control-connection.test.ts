import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { usernamePasswordAuthenticator } from '@nats-io/transport-node';
import { connect, type NatsConnection } from 'nats';
import { ControlConnection } from '../../src/nats/control-connection.js';
import { waitFor } from '../harness/wait.js';
import { NatsProcess } from './nats-process.js';

describe('the control connection, with a real nats-server and others that use the nats package, of the version before', () => {
  let server: NatsProcess;
  let others: NatsConnection;
  const open: ControlConnection[] = [];

  before(async () => {
    server = await NatsProcess.start({
      config:
        'authorization { users: [ { user: u, password: p, permissions: { subscribe: { deny: "no" } } } ] }',
    });
    others = await connect({ servers: server.url, user: 'u', pass: 'p' });
  });
  after(async () => {
    for (const control of open) control.close();
    await others.close();
    await server.stop();
  });

  async function control(onDown: (reason: string) => void = () => {}): Promise<ControlConnection> {
    const connection = await ControlConnection.connect(
      {
        server: `127.0.0.1:${server.port}`,
        name: 'test',
        authenticators: [usernamePasswordAuthenticator('u', 'p')],
        tls: undefined,
        tlsFirst: false,
        connectTimeoutMs: 5_000,
      },
      { onDown },
    );
    open.push(connection);
    return connection;
  }

  it('asks and is answered, with and without a payload', async () => {
    others.subscribe('echo', { callback: (_, message) => void message.respond(message.data) });
    await others.flush();
    const asking = await control();
    const answer = await asking.request('echo', JSON.stringify({ a: 'ä' }), { timeout: 5_000 });
    assert.deepEqual(answer.json(), { a: 'ä' });
    const empty = await asking.request('echo', undefined, { timeout: 5_000 });
    assert.equal(empty.data.length, 0);
  });

  it('answers', async () => {
    const answering = await control();
    answering.subscribe('question', { callback: (_, message) => void message.respond(message.data) });
    await answering.flush();
    const answer = await others.request('question', 'ä', { timeout: 5_000 });
    assert.equal(answer.string(), 'ä');
    answering.close();
  });

  it('knows at once that there is no listener', async () => {
    const asking = await control();
    await assert.rejects(asking.request('nobody', undefined, { timeout: 60_000 }), /no responders: 'nobody'/);
  });

  it('gives up a question that has no answer in time', async () => {
    others.subscribe('silent', { callback: () => {} });
    await others.flush();
    const asking = await control();
    await assert.rejects(asking.request('silent', undefined, { timeout: 10 }), { name: 'TimeoutError' });
  });

  it('ends what waits for an answer when it is lost, and says why', async () => {
    const reasons: string[] = [];
    const asking = await control((reason) => reasons.push(reason));
    const ended = assert.rejects(asking.request('silent', undefined, { timeout: 60_000 }));
    await server.reload('authorization { users: [ { user: u, password: q } ] }');
    await ended;
    await waitFor(() => reasons.length > 0, 'its owner is told');
    assert.match(reasons.join(), /Authorization Violation/i);
    assert.ok(asking.isClosed());
    await assert.rejects(asking.request('echo', undefined, { timeout: 60_000 }));
  });
});
