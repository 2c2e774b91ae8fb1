import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { connect } from 'nats';
import { askStatus } from '../../../src/group/report/ask-status.js';
import { InProcess } from '../../harness/in-process.js';
import { StanClient } from '../../harness/stan-client.js';
import { waitFor, within } from '../../harness/wait.js';
import { NatsProcess } from '../../nats/nats-process.js';

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

/** What one test starts, ended in that order: the tests wait side by side. */
class World {
  readonly others: (() => unknown)[] = [];
  readonly #brokers: InProcess[] = [];
  readonly #servers: NatsProcess[] = [];
  readonly #clients: StanClient[] = [];

  constructor(t: TestContext) {
    t.after(async () => {
      for (const client of this.#clients) await client.drop();
      for (const broker of this.#brokers) await broker.stop();
      for (const close of this.others) await close();
      for (const server of this.#servers) await server.stop();
    });
  }

  async natsServer(config?: string): Promise<NatsProcess> {
    const server = await NatsProcess.start(config === undefined ? {} : { config });
    this.#servers.push(server);
    return server;
  }

  async start(server: { url: string }, flags: Record<string, string> = {}): Promise<InProcess> {
    const broker = await InProcess.start({ 'nats-server': server.url, ...flags });
    this.#brokers.push(broker);
    return broker;
  }

  async isServed(server: NatsProcess, login = '', clusterId = 'c'): Promise<void> {
    const url = server.url.replace('nats://', `nats://${login}`);
    const client = await StanClient.connect(url, clusterId, `client-${this.#clients.length}`);
    this.#clients.push(client);
    await within(client.publish('foo', 'x'), 'a publish is acknowledged');
  }
}

describe('A broker finds out by itself whether clients are served', { concurrency: true }, () => {
  const AS_CLIENT = 'client:p@';
  const AS_BROKER = { user: 'broker', pass: 'p' };

  it('is not ready where NATS does not let it hear clients, says what it must be permitted, and serves once it is', async (t) => {
    const world = new World(t);
    const server = await world.natsServer(withPermissions('{ publish: ">", subscribe: ["_INBOX.>"] }'));
    const broker = await world.start(server, AS_BROKER);
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
    await world.isServed(server, AS_CLIENT);
  });

  it('serves again after permissions were taken away by a reload and given back, with as few subscriptions as it has', async (t) => {
    const world = new World(t);
    // So many are on the data link, and one is to spare.
    const limit = 'max_subscriptions: 9';
    const server = await world.natsServer(withPermissions(MAY_ALL, limit));
    const broker = await world.start(server, AS_BROKER);
    await broker.isWell();
    for (const lost of ['_STAN.discover.>', '_INBOX.>']) {
      await server.reload(
        withPermissions(`{ publish: ">", subscribe: { allow: ">", deny: "${lost}" } }`, limit),
      );
      const said = lost === '_INBOX.>' ? lost : '_STAN.discover.c';
      await broker.complains(new RegExp(`does not let this broker subscribe to .*"${said}"`));
      // What it tries meanwhile is not in its own way.
      await broker.complains(/to "[^"]*"(, "[^"]*")*\. Give the user of the brokers the permissions/);
      await server.reload(withPermissions(MAY_ALL, limit));
      await broker.isWell();
    }
    await world.isServed(server, AS_CLIENT);
    assert.deepEqual(broker.log.matching(/have more subscriptions|does not come back/), []);
  });

  it('notices that it may not answer, from the start and later, and goes on where it may again', async (t) => {
    const world = new World(t);
    const server = await world.natsServer(
      withPermissions('{ publish: ["_STAN.>", "$SYS.>"], subscribe: ">" }'),
    );
    const broker = await world.start(server, AS_BROKER);
    const { readyz } = await broker.complains(
      /does not come back|does not let this broker publish to "_INBOX\./,
    );
    assert.equal(readyz, 503);
    await server.reload(withPermissions(MAY_ALL));
    await broker.isWell();
    await server.reload(withPermissions('{ publish: { allow: ">", deny: "_STAN.acks.>" }, subscribe: ">" }'));
    await broker.complains(/does not let this broker publish to "_STAN\.acks\./);
    await server.reload(withPermissions(MAY_ALL));
    await broker.isWell();
    assert.deepEqual(broker.log.matching(/data link lost/), [], 'no client has lost anything by that');
  });

  it('is not ready where NATS lets it have too few subscriptions', async (t) => {
    const world = new World(t);
    const server = await world.natsServer(withSubscriptionLimit(5));
    const broker = await world.start(server);
    const { readyz } = await broker.complains(
      /does not let this broker have more subscriptions \(.*maximum subscriptions exceeded/i,
    );
    assert.equal(readyz, 503);
  });

  it('is not ready in the system account, where no client is', async (t) => {
    const world = new World(t);
    const server = await world.natsServer(`
accounts {
  SYS {
    users = [{ user: broker, password: p }]
    exports = [{ service: "$SYS.REQ.SERVER.PING" }]
  }
  APP {
    users = [{ user: client, password: p }]
    imports = [{ service: { account: SYS, subject: "$SYS.REQ.SERVER.PING" } }]
  }
}
system_account: SYS
`);
    const broker = await world.start(server, AS_BROKER);
    const { readyz } = await broker.complains(/in to its system account, where clients are not/);
    assert.equal(readyz, 503);
    // Servers answer there as well.
    const other = await world.start(server, { user: 'client', pass: 'p' });
    await other.isWell();
  });

  it('says, as `status` does, that another server answers for its cluster id when their NATS servers are joined', async (t) => {
    const world = new World(t);
    const cluster = 'cluster { name: x, listen: "127.0.0.1:-1" }';
    const one = await world.natsServer(cluster);
    const other = await world.natsServer(cluster);
    const dir = mkdtempSync(join(tmpdir(), 'stanchion-self-check-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const member = { 'node-name': 'a', 'ft-group': 'g', store: 'file', dir };
    const [first, second] = [await world.start(one, member), await world.start(other)];
    await waitFor(() => first.log.matching(/Streaming Server is ready/).length > 0, 'the group serves');
    await Promise.all([first.isWell(), second.isWell()]);
    const between = await NatsProcess.join('x', [one, other]);
    t.after(() => between.stop());
    for (const broker of [first, second]) {
      const { healthz, readyz } = await broker.complains(
        /another streaming server answers for cluster id "c"/,
      );
      // A restart would make it refuse to start, and leave the clients to the other one.
      assert.deepEqual([healthz, readyz], [200, 503]);
    }
    const nc = await connect({ servers: one.url });
    const [status] = await askStatus(nc, 'c', 'g');
    await nc.close();
    assert.match(status?.trouble ?? '', /another streaming server answers/);
    await second.stop();
    await first.isWell();
  });
});
