import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { connect as connectNatsV3 } from '@nats-io/transport-node';
import { connect as connectNats } from 'nats';
import {
  ConnectError,
  ConnectionLostError,
  type ConnectOptions,
  connect,
  InvalidOptionError,
  type StanConnection,
  type Status,
} from '../../src/index.js';
import { HoldingProxy } from '../harness/holding-proxy.js';
import { isOtherServer } from '../harness/rig.js';
import { waitFor } from '../harness/wait.js';
import { ClientRig, texts } from './client-rig.js';

describe('connecting', () => {
  const rig = new ClientRig();

  it('says which option cannot be, before anything is sent', async () => {
    const good = { clusterId: 'c', clientId: 'me', servers: 'nats://127.0.0.1:1' };
    const bad: [Record<string, unknown>, RegExp][] = [
      [{ clusterId: '' }, /clusterId ""/],
      [{ clusterId: 'a b' }, /clusterId "a b"/],
      [{ clientId: 'a.b' }, /clientId "a.b".*letters, digits/],
      [{ connectTimeout: 0 }, /connectTimeout 0.*from 1 to/],
      [{ ackTimeout: 1.5 }, /ackTimeout 1.5/],
      [{ maxPubAcksInFlight: 0 }, /maxPubAcksInFlight 0/],
      [{ pingInterval: 999 }, /pingInterval 999.*from 1000/],
      [{ pingMaxOut: 0 }, /pingMaxOut 0/],
      [{ discoverPrefix: 'a.>' }, /discoverPrefix "a.>"/],
      [{ retry: 'yes' }, /retry "yes"/],
      [{ natsConnection: {} }, /servers and natsConnection/],
      [{ servers: undefined, natsConnection: {} }, /natsConnection \{\} cannot be/],
      // Else a NATS connection was made, and taken for a borrowed one when it was to be closed.
      [{ servers: undefined, natsConnection: null }, /natsConnection null cannot be/],
      [{ servers: {} }, /servers \{\}/],
      [{ servers: ['a', 5] }, /servers \[ 'a', 5 \]/],
      [{ codec: {} }, /codec \{\}.*encode and decode/],
      [{ resume: 'no' }, /resume "no".*true or false/],
      [{ clientID: 'me' }, /^connect has no option "clientID"\. Did you mean clientId\?/],
      [{ maxPubAcksInflight: 5 }, /"maxPubAcksInflight"\. Did you mean maxPubAcksInFlight\?/],
      [{ reconect: true }, /"reconect"\. Did you mean reconnect\?/],
      [{ uri: undefined }, /connect has no option "uri"\. It has clusterId, clientId, servers, .*, tls/],
    ];
    for (const [options, message] of bad) {
      await assert.rejects(
        connect({ ...good, ...options } as ConnectOptions),
        (error: InvalidOptionError) => {
          assert.ok(error instanceof InvalidOptionError, `${JSON.stringify(options)}: ${error}`);
          assert.match(error.message, message);
          return true;
        },
      );
    }
    await assert.rejects(connect(undefined as unknown as ConnectOptions), InvalidOptionError);
  });

  it('says that NATS cannot be reached, and where', async () => {
    await assert.rejects(
      connect({ clusterId: 'c', clientId: 'me', servers: 'nats://127.0.0.1:1' }),
      (error: ConnectError) => {
        assert.ok(error instanceof ConnectError);
        assert.match(
          error.message,
          /NATS cannot be reached at nats:\/\/127\.0\.0\.1:1.*Is a nats-server there/,
        );
        return true;
      },
    );
  });

  it('shows no password of a URL in its errors, whatever is wrong with it', async () => {
    const address = '127.0.0.1:1';
    for (const servers of [
      `nats://bob:kanarienvogel@${address}`,
      `nats://bob:kanarien#vogel@${address}`,
      `nats://bob:kanarienvogel@${address}99999`,
      [`nats://${address}`, `nats://kanarienvogel@ho st`],
      [`nats://bob:kanarienvogel@${address}`, 7 as unknown as string],
    ])
      await assert.rejects(connect({ clusterId: 'c', clientId: 'me', servers }), (error: Error) => {
        assert.doesNotMatch(inspect(error), /kanarien/);
        return /NATS cannot be reached at nats:|cannot be/.test(error.message);
      });
  });

  it('says that no broker answers, within its time', async () => {
    // A slow machine takes longer to dial NATS.
    const natsConnection = await connectNats({ servers: rig.rig.nats.url });
    try {
      const connecting = rig.connect({ clusterId: 'nobody', connectTimeout: 200, natsConnection });
      await assert.rejects(connecting, (error: ConnectError) => {
        assert.equal(error.code, 'CONNECT_TIMEOUT');
        assert.match(error.message, /cluster id "nobody".*200 ms.*stanchion status --cluster-id nobody/);
        return true;
      });
    } finally {
      await natsConnection.close();
    }
  });

  it('waits for a broker that is being started', async () => {
    const settings = rig.rig.settings();
    const connecting = rig.connect({ clusterId: settings.clusterId, connectTimeout: 20_000 });
    await rig.rig.startBroker(settings);
    const connection = await connecting;
    await connection.publish(rig.channel(), 'x');
  });

  it("is refused a client id that is in use, in the server's words", async () => {
    const first = await rig.connect();
    await assert.rejects(rig.connect({ clientId: first.clientId }), (error: ConnectError) => {
      assert.equal(error.code, 'CONNECT_REFUSED');
      assert.equal(error.serverText, 'stan: clientID already registered');
      return true;
    });
    await first.close();
    await (await rig.connect({ clientId: first.clientId })).publish(rig.channel(), 'x');
  });

  it('hears that guids are stored once if it asks, and not otherwise', {
    skip: isOtherServer,
  }, async () => {
    const raw = await rig.rig.raw();
    const clientId = rig.rig.name('client');
    const request = { clientId, connId: Buffer.from(clientId), wantsGuidMemory: true };
    assert.equal((await raw.connect(request)).guidMemory, 1);
    // The same connection asks again: it is known, and so are its guids.
    assert.equal((await raw.connect(request)).guidMemory, 2);
    assert.equal((await raw.connect({ ...request, wantsGuidMemory: false })).guidMemory, 0);
  });

  it('finds a broker behind another discover prefix', { skip: isOtherServer }, async () => {
    const broker = await rig.rig.startBroker({ flags: ['--discover-prefix', 'other.place'] });
    const connection = await rig.connect({ clusterId: broker.clusterId, discoverPrefix: 'other.place' });
    await connection.publish(rig.channel(), 'x');
  });

  for (const [version, connectIt] of [
    ['nats.js v3', connectNatsV3],
    ['the nats package (v2)', connectNats],
  ] as const)
    it(`uses a NATS connection of ${version} that it is given, and leaves it open`, async () => {
      const proxy = await HoldingProxy.start(rig.rig.nats.port);
      const nats = await connectIt({ servers: proxy.url, reconnectTimeWait: 10 });
      try {
        const connection = await rig.connect({ natsConnection: nats });
        assert.equal(connection.natsConnection, nats);
        const statuses = collect(connection);
        const channel = rig.channel();
        const messages = (await connection.subscribe(channel))[Symbol.asyncIterator]();
        await connection.publish(channel, '1');
        assert.deepEqual(await texts(messages, 1), ['1']);
        proxy.cut();
        await waitFor(() => statuses.some(({ type }) => type === 'reconnect'), 'NATS is there again');
        await connection.publish(channel, '2');
        assert.deepEqual(await texts(messages, 1), ['2']);
        const [server] = statuses.flatMap((status) => (status.type === 'disconnect' ? [status.server] : []));
        assert.match(String(server), /^127\.0\.0\.1:\d+$/);
        await connection.close();
        assert.equal(nats.isClosed(), false);
        // It has left nothing in it.
        const { subscriptions } = (nats as unknown as { protocol: { subscriptions: { size(): number } } })
          .protocol;
        assert.equal(subscriptions.size(), 0);
      } finally {
        await nats.close();
        await proxy.stop();
      }
    });

  it('says that the NATS connection that it was given is of no use any more', async () => {
    const natsConnection = await connectNats({ servers: rig.rig.nats.url });
    const connection = await rig.connect({ natsConnection });
    void natsConnection.drain();
    await assert.rejects(connection.subscribe(rig.channel()), { code: 'CONNECTION_LOST' });
    await assert.rejects(rig.connect({ natsConnection }), { code: 'CONNECT_REFUSED' });
    await connection.closed();
    await assert.rejects(rig.connect({ natsConnection }), { code: 'CONNECT_REFUSED' });
  });

  it('is closed also while the NATS connection that it was given is drained', async () => {
    const natsConnection = await connectNats({ servers: rig.rig.nats.url });
    const connection = await rig.connect({ natsConnection });
    const drained = natsConnection.drain();
    await connection.close();
    assert.equal(await connection.closed(), undefined);
    await drained;
    // The broker has been told, and has not to find out by heartbeats.
    await (await rig.connect({ clientId: connection.clientId })).publish(rig.channel(), 'the id is free');
  });

  it('closes the NATS connection that it made, and says that it is closed', async () => {
    const connection = await rig.connect();
    assert.equal(connection.isClosed(), false);
    await connection.close();
    await connection.close();
    assert.equal(connection.isClosed(), true);
    assert.equal(connection.natsConnection.isClosed(), true);
    assert.equal(await connection.closed(), undefined);
  });

  it('is closed at the end of its block', async () => {
    let kept: StanConnection;
    {
      await using connection = await rig.connect();
      await connection.publish(rig.channel(), 'x');
      kept = connection;
    }
    assert.equal(kept.isClosed(), true);
  });

  it('answers heartbeats, and stays connected', async () => {
    const broker = await rig.rig.startBroker({
      flags: ['--hb-interval', '100ms', '--hb-timeout', '100ms', '--hb-fail-count', '5'],
    });
    const connection = await rig.connect({ clusterId: broker.clusterId });
    // Whoever answers none of them is out by now, though it came later.
    const silent = await rig.rig.raw(broker);
    silent.answersHeartbeats = false;
    await silent.join('silent');
    await waitFor(
      async () => (await silent.ping(Buffer.from('silent'))).error !== '',
      'the client that does not answer is closed',
    );
    await connection.publish(rig.channel(), 'x');
    assert.equal(connection.isClosed(), false);
  });

  it('is lost when the server has another client under its id', async () => {
    const connection = await rig.connect({ pingInterval: 1_000 });
    const statuses = collect(connection);
    const waiting = connection.subscribe(rig.channel(), {});
    const subscription = await waiting;
    // Somebody else says goodbye in its name.
    await rig.closeAtBroker(connection);
    const error = await connection.closed();
    assert.ok(error instanceof ConnectionLostError);
    assert.equal(error.serverText, 'client has been replaced or is no longer registered');
    assert.equal(await subscription.closed, error);
    await assert.rejects(subscription[Symbol.asyncIterator]().next(), ConnectionLostError);
    await assert.rejects(connection.publish(rig.channel(), 'x'), { code: 'CONNECTION_CLOSED' });
    assert.deepEqual(
      statuses.map(({ type }) => type),
      ['connectionLost'],
    );
  });

  it('is lost when the server answers no pings, and fails what waits for an ack', async () => {
    const connection = await rig.connect({ pingInterval: 1_000, pingMaxOut: 1 });
    rig.rig.broker.signal('SIGSTOP');
    try {
      const publish = connection.publish(rig.channel(), 'x');
      await assert.rejects(publish, ConnectionLostError);
      assert.match(String(await connection.closed()), /has not answered 1 pings in 1 s/);
    } finally {
      rig.rig.broker.signal('SIGCONT');
    }
  });

  it('comes back by itself, with its subscriptions, if resume is set', async () => {
    const connection = await rig.connect({ pingInterval: 1_000, resume: true });
    const statuses = collect(connection);
    const channel = rig.channel();
    const durable = await connection.subscribe(channel, { durable: 'd', startAt: 'all' });
    const regular = await connection.subscribe(channel, { startAt: 'new' });
    const [ofDurable, ofRegular] = [durable[Symbol.asyncIterator](), regular[Symbol.asyncIterator]()];
    await connection.publish(channel, '1');
    assert.deepEqual(await texts(ofDurable, 1), ['1']);
    assert.deepEqual(await texts(ofRegular, 1), ['1']);
    await rig.closeAtBroker(connection);
    const other = await rig.connect();
    // Stored while it is away.
    await other.publish(channel, '2');
    await waitFor(() => statuses.some(({ type }) => type === 'resumed'), 'it is back');
    await connection.publish(channel, '3');
    const [first, ...rest] = await texts(ofDurable, 3);
    // What was not acked yet comes again.
    assert.deepEqual(first === '1' ? rest : [first, ...rest.slice(0, 1)], ['2', '3']);
    assert.deepEqual(await texts(ofRegular, 2), ['2', '3']);
    assert.equal(connection.isClosed(), false);
  });

  it('goes on when its nats-server is restarted', { skip: isOtherServer }, async () => {
    const connection = await rig.connect();
    const statuses = collect(connection);
    const channel = rig.channel();
    const subscription = await connection.subscribe(channel);
    const messages = subscription[Symbol.asyncIterator]();
    await connection.publish(channel, '1');
    // What is on its way when a nats-server dies comes again after its ack wait: not now.
    assert.deepEqual(await texts(messages, 1), ['1']);
    await rig.rig.nats.stop();
    await waitFor(() => statuses.some(({ type }) => type === 'disconnect'), 'it notices');
    const waiting = [connection.publish(channel, '2'), connection.publish(channel, '3')];
    await rig.rig.nats.start();
    await Promise.all(waiting);
    assert.deepEqual(await texts(messages, 2), ['2', '3']);
    assert.ok(statuses.some(({ type }) => type === 'reconnect'));
  });

  it('is not disturbed by a dial to NATS that has timed out and comes up late', async () => {
    const { nats } = rig.rig;
    const proxy = await HoldingProxy.start(nats.port);
    try {
      proxy.hold(true);
      const connection = await rig.connect({
        servers: [proxy.url, nats.url],
        noRandomize: true,
        connectTimeout: 1_000,
      });
      assert.ok(proxy.heldCount > 0);
      const statuses = collect(connection);
      const channel = rig.channel();
      const subscription = await connection.subscribe(channel);
      const messages = subscription[Symbol.asyncIterator]();
      await proxy.releaseAndEnd();
      await connection.publish(channel, '1');
      await connection.publish(channel, '2');
      assert.deepEqual(await texts(messages, 2), ['1', '2']);
      assert.deepEqual(statuses, []);
    } finally {
      await proxy.stop();
    }
  });

  it('leaves no socket behind at a NATS server that hangs', async () => {
    const proxy = await HoldingProxy.start(rig.rig.nats.port);
    try {
      proxy.hold(true);
      const options = { servers: proxy.url, connectTimeout: 100 };
      for (let tries = 0; tries < 3; tries++)
        await assert.rejects(rig.connect(options), { code: 'CONNECT_REFUSED' });
      assert.equal(proxy.heldCount, 3);
      await waitFor(() => proxy.openHeldCount === 0, 'all are closed');
      proxy.hold(false);
      await (await rig.connect({ servers: proxy.url })).publish(rig.channel(), 'x');
    } finally {
      await proxy.stop();
    }
  });

  it('leaves a dial that has timed out while it connects again', async () => {
    const { nats } = rig.rig;
    const proxy = await HoldingProxy.start(nats.port);
    try {
      const connection = await rig.connect({ servers: proxy.url, connectTimeout: 200 });
      const statuses = collect(connection);
      const channel = rig.channel();
      const messages = (await connection.subscribe(channel))[Symbol.asyncIterator]();
      proxy.hold(true);
      proxy.cut();
      await waitFor(() => proxy.heldCount >= 2, 'it dials again and again');
      await waitFor(() => proxy.openHeldCount <= 1, 'those that have timed out are closed');
      proxy.hold(false);
      await waitFor(() => statuses.some(({ type }) => type === 'reconnect'), 'it is back');
      await proxy.releaseAndEnd();
      await connection.publish(channel, '1');
      await connection.publish(channel, '2');
      assert.deepEqual(await texts(messages, 2), ['1', '2']);
      assert.equal(statuses.filter(({ type }) => type === 'disconnect').length, 1);
    } finally {
      await proxy.stop();
    }
  });
});

describe('connecting to NATS with credentials', () => {
  const rig = new ClientRig({
    store: 'memory',
    natsConfig: 'authorization { user: u, password: p }',
    flags: ['--user', 'u', '--pass', 'p'],
  });

  it('hands on what nats.js takes', async () => {
    const connection = await rig.connect({ user: 'u', pass: 'p' });
    await connection.publish(rig.channel(), 'x');
  });

  it('says what is wrong with them', async () => {
    await assert.rejects(rig.connect({ user: 'u', pass: 'wrong' }), (error: ConnectError) => {
      assert.equal(error.code, 'CONNECT_REFUSED');
      assert.match(error.message, /Authorization Violation.*user, password, token or TLS/i);
      return true;
    });
  });
});

function collect(connection: StanConnection): Status[] {
  const statuses: Status[] = [];
  void (async () => {
    for await (const status of connection.status()) statuses.push(status);
  })();
  return statuses;
}
