import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connect } from '../../src/index.js';
import { checkPortIsFree } from '../../src/local-group/free-port.js';
import { type BrokerOptions, type Logger, startBroker } from '../../src/server.js';
import { Child } from '../harness/child.js';
import { freePort } from '../harness/free-ports.js';
import { NatsServer } from '../harness/nats-server.js';
import { waitFor, within } from '../harness/wait.js';

const ALONE = fileURLToPath(new URL('./give-up-start.ts', import.meta.url));
const REASON = new Error('the program has thought better of it');

let folder: string;
let nats: NatsServer;
let stores = 0;
let dir: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'stanchion-signal-'));
  nats = await NatsServer.start();
});

after(async () => {
  await nats.stop();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(() => {
  dir = join(folder, String(++stores));
});

describe('a signal that comes while a broker starts gives the start up', () => {
  it('before it has begun: nothing is made', async () => {
    await assert.rejects(
      startBroker({ store: 'file', dir, natsServer: nats.url, signal: AbortSignal.abort(REASON) }),
      (error) => error === REASON,
    );
    assert.equal(existsSync(dir), false);
  });

  it('while no NATS server is there: the store is free, and HTTP has ended', async () => {
    const httpPort = await freePort();
    const natsServer = `nats://127.0.0.1:${await freePort()}`;
    const common: BrokerOptions = { store: 'file', dir, httpPort, httpAddr: '127.0.0.1' };
    await givenUpAt('cannot connect to NATS', { ...common, natsServer });
    const next = await startBroker({ ...common, natsServer: nats.url });
    await next.stop();
  });

  it('while a NATS server takes the connection and says nothing: the connection is closed', async () => {
    const silent = net.createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const given = new AbortController();
    const { port } = silent.address() as net.AddressInfo;
    const starting = startBroker({ natsServer: `nats://127.0.0.1:${port}`, signal: given.signal });
    starting.catch(() => {});
    const [socket] = (await once(silent, 'connection')) as [net.Socket];
    socket.resume();
    socket.on('error', () => {});
    const closed = once(socket, 'close');
    given.abort(REASON);
    await assert.rejects(starting, (error) => error === REASON);
    await within(closed, 'the connection is closed');
    silent.close();
  });

  it('while its own nats-server starts: that has ended', async () => {
    const port = await freePort();
    // Its first line comes before it listens.
    await givenUpAt('Starting nats-server', { addr: '127.0.0.1', port });
    await checkPortIsFree(port, 'a test');
  });

  it('while another broker has the store: that one keeps it', async () => {
    const holder = await startBroker({ store: 'file', dir, clusterId: 'a', natsServer: nats.url });
    await givenUpAt('"url"', { store: 'file', dir, clusterId: 'a', natsServer: nats.url, httpPort: -1 });
    const connection = await connect({ servers: nats.url, clusterId: 'a', clientId: 'me' });
    await connection.publish('foo', 'x');
    await connection.close();
    await holder.stop();
  });

  it('while a member of a group waits for NATS, or joins: no other member sees anything of it', async () => {
    const common: BrokerOptions = { store: 'file', dir, ftGroup: 'g', ftLease: 300 };
    await givenUpAt('cannot connect to NATS', {
      ...common,
      natsServer: `nats://127.0.0.1:${await freePort()}`,
    });
    await givenUpAt('connected to NATS', { ...common, natsServer: nats.url });
    const member = await startBroker({ ...common, natsServer: nats.url });
    await member.stop();
  });

  it('and nothing of it keeps the process alive', async () => {
    for (const url of [`nats://127.0.0.1:${await freePort()}`, nats.url]) {
      for (const group of [[], ['g']]) {
        const child = new Child(process.execPath, ['--import', 'tsx', ALONE, url, dir, ...group]);
        const { code } = await within(child.exit, 'the process ends by itself');
        assert.deepEqual([code, child.output], [0, 'given up: enough\n']);
      }
    }
  });
});

describe('a signal that comes once a broker has started', () => {
  it('stops it as stop does', async () => {
    const given = new AbortController();
    const broker = await startBroker({ store: 'file', dir, natsServer: nats.url, signal: given.signal });
    given.abort(REASON);
    assert.deepEqual(await broker.stopped, { exitCode: 0 });
    const next = await startBroker({ store: 'file', dir, natsServer: nats.url });
    await next.stop();
  });

  it('has an active hand over', async () => {
    const given = new AbortController();
    const common: BrokerOptions = { store: 'file', dir, ftGroup: 'h', natsServer: nats.url };
    const active = await startBroker({ ...common, nodeName: 'one', httpPort: -1, signal: given.signal });
    const metrics = async (url: string | undefined): Promise<string> =>
      (await fetch(`${url}/metrics`)).text();
    const says = (url: string | undefined, series: RegExp) => async () => series.test(await metrics(url));
    await waitFor(says(active.httpUrl, /\nnss_server_active\{[^}]*\} 1\n/), 'the first is active');
    const standby = await startBroker({ ...common, nodeName: 'two', httpPort: -1 });
    await waitFor(says(active.httpUrl, /group_members\{role="standby"\} 1\n/), 'it hears the other one');
    given.abort();
    assert.deepEqual(await active.stopped, { exitCode: 0 });
    const handover = /stanchion_takeovers_total\{reason="handover"\} 1\n/;
    await waitFor(says(standby.httpUrl, handover), 'the other one has been handed the lease');
    await standby.stop();
  });

  it('is not listened to any more when the broker has stopped', async () => {
    const { signal } = new AbortController();
    const broker = await startBroker({ natsServer: nats.url, signal });
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    await broker.stop();
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });
});

/** Starts a broker, gives it up as soon as its log has the text, and waits until it says that it was. */
async function givenUpAt(text: string, options: BrokerOptions): Promise<void> {
  const given = new AbortController();
  const say = (fields: unknown, message: string): void => {
    if (`${JSON.stringify(fields)} ${message}`.includes(text)) given.abort(REASON);
  };
  const log: Logger = { debug: say, info: say, warn: say, error: say, child: () => log };
  await within(
    assert.rejects(startBroker({ ...options, log, signal: given.signal }), (error) => error === REASON),
    `the start ends after "${text}"`,
  );
}
