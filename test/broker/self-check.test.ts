import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { InProcess } from '../harness/in-process.js';
import { freePort } from '../harness/nats-server.js';
import { StanClient } from '../harness/stan-client.js';
import { waitFor, within } from '../harness/wait.js';
import { NatsProcess } from '../nats/nats-process.js';

const MAY_ALL = '{ publish: ">", subscribe: ">" }';

/** Clients may do everything; the broker's user, what is said. */
function withPermissions(broker: string, more = ''): string {
  return `${more}
authorization {
  users = [
    { user: client, password: p, permissions: ${MAY_ALL} }
    { user: broker, password: p, permissions: ${broker} }
  ]
}
`;
}

/** One account in which a broker's user may have so many subscriptions. */
function withSubscriptionLimit(count: number): string {
  return `max_subscriptions: ${count}`;
}

describe('A broker finds out by itself whether clients are served', () => {
  const brokers: InProcess[] = [];
  const servers: NatsProcess[] = [];
  const clients: StanClient[] = [];
  const others: (() => unknown)[] = [];

  afterEach(async () => {
    for (const client of clients.splice(0)) await client.drop();
    for (const broker of brokers.splice(0)) await broker.stop();
    for (const close of others.splice(0)) await close();
    for (const server of servers.splice(0)) await server.stop();
  });

  async function natsServer(config?: string): Promise<NatsProcess> {
    const server = await NatsProcess.start(config === undefined ? {} : { config });
    servers.push(server);
    return server;
  }

  async function start(server: { url: string }, flags: Record<string, string> = {}): Promise<InProcess> {
    const broker = await InProcess.start({ 'nats-server': server.url, ...flags });
    brokers.push(broker);
    return broker;
  }

  async function isServed(server: NatsProcess, login = '', clusterId = 'c'): Promise<void> {
    const url = server.url.replace('nats://', `nats://${login}`);
    const client = await StanClient.connect(url, clusterId, `client-${clients.length}-${Date.now()}`);
    clients.push(client);
    await within(client.publish('foo', 'x'), 'a publish is acknowledged');
  }

  const AS_CLIENT = 'client:p@';
  const AS_BROKER = { user: 'broker', pass: 'p' };

  it('is not ready where NATS does not let it hear clients, says what it must be permitted, and serves once it is', async () => {
    const server = await natsServer(withPermissions('{ publish: ">", subscribe: ["_INBOX.>"] }'));
    const broker = await start(server, AS_BROKER);
    const { healthz, readyz, reasons } = await broker.complains(
      /does not let this broker subscribe to .*"_STAN\.pub\.c\.>"/,
    );
    assert.deepEqual([healthz, readyz], [503, 503], reasons.join());
    assert.deepEqual(broker.log.matching(/Streaming Server is ready/), []);
    assert.equal(
      broker.log.matching(/^clients are not served: the NATS server at .* does not let/).length,
      1,
    );
    await server.reload(withPermissions(MAY_ALL));
    await broker.isWell();
    await isServed(server, AS_CLIENT);
  });

  it('serves again after a permission was taken away by a reload and given back', async () => {
    const server = await natsServer(withPermissions(MAY_ALL));
    const broker = await start(server, AS_BROKER);
    await broker.isWell();
    await server.reload(
      withPermissions('{ publish: ">", subscribe: { allow: ">", deny: "_STAN.discover.>" } }'),
    );
    await broker.complains(/does not let this broker subscribe to .*"_STAN\.discover\.c"/);
    await server.reload(withPermissions(MAY_ALL));
    await broker.isWell();
    await isServed(server, AS_CLIENT);
  });

  it('notices that it may not answer', async () => {
    const server = await natsServer(withPermissions('{ publish: ["_STAN.>", "$SYS.>"], subscribe: ">" }'));
    const broker = await start(server, AS_BROKER);
    const { readyz } = await broker.complains(
      /does not come back|does not let this broker publish to "_INBOX\./,
    );
    assert.equal(readyz, 503);
    await server.reload(withPermissions(MAY_ALL));
    await broker.isWell();
  });

  it('is not ready where NATS lets it have too few subscriptions', async () => {
    const server = await natsServer(withSubscriptionLimit(5));
    const broker = await start(server);
    const { readyz } = await broker.complains(
      /does not let this broker have more subscriptions \(.*maximum subscriptions exceeded/i,
    );
    assert.equal(readyz, 503);
  });

  it('is not ready in the system account, where no client is', async () => {
    const server = await natsServer(`
accounts {
  SYS { users = [{ user: broker, password: p }] }
  APP { users = [{ user: client, password: p }] }
}
system_account: SYS
`);
    const broker = await start(server, AS_BROKER);
    const { readyz } = await broker.complains(/in to its system account, where clients are not/);
    assert.equal(readyz, 503);
  });

  it('makes a data link anew that no longer carries what it sends, though NATS is heard on it', async () => {
    const server = await natsServer();
    const proxy = await swallowingProxy(server.port);
    others.push(proxy.close);
    const broker = await start({ url: proxy.url });
    await broker.isWell();
    // The control connection is first, the data link follows it.
    proxy.swallow(1);
    await waitFor(() => broker.log.matching(/data link lost/).length > 0, 'it gives up the link');
    await broker.isWell();
    await isServed(server);
  });

  it('says that another server answers for its cluster id when their NATS servers are joined', async () => {
    const [onePort, otherPort] = [await freePort(), await freePort()];
    const cluster = (port: number, routes = ''): string =>
      `cluster { name: x, listen: "127.0.0.1:${port}", routes: [${routes}] }`;
    const one = await natsServer(cluster(onePort));
    const other = await natsServer(cluster(otherPort));
    const [first, second] = [await start(one), await start(other)];
    await Promise.all([first.isWell(), second.isWell()]);
    await other.reload(cluster(otherPort, `"nats-route://127.0.0.1:${onePort}"`));
    for (const broker of [first, second]) {
      const { healthz, readyz } = await broker.complains(
        /another streaming server answers for cluster id "c"/,
      );
      // A restart would make it refuse to start, and leave the clients to the other one.
      assert.deepEqual([healthz, readyz], [200, 503]);
    }
    await second.stop();
    await first.isWell();
  });
});

/** A TCP proxy that can drop what one of its clients sends from now on. */
async function swallowingProxy(
  serverPort: number,
): Promise<{ url: string; swallow(index: number): void; close(): void }> {
  const pairs: { client: net.Socket; server: net.Socket }[] = [];
  const listener = net.createServer((client) => {
    const server = net.connect(serverPort, '127.0.0.1');
    pairs.push({ client, server });
    client.pipe(server).pipe(client);
    for (const [socket, peer] of [
      [client, server],
      [server, client],
    ] as const)
      socket.on('error', () => {}).on('close', () => peer.destroy());
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  const { port } = listener.address() as net.AddressInfo;
  return {
    url: `nats://127.0.0.1:${port}`,
    swallow(index) {
      const pair = pairs[index];
      assert.ok(pair !== undefined, 'there is such a connection');
      pair.client.unpipe(pair.server).resume();
    },
    close() {
      for (const { client } of pairs) client.destroy();
      listener.close();
    },
  };
}
