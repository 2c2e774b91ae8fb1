/**
 * The longest turn of a broker's event loop, by what is asked of it: as long as that, publishes and the renewal of a lone broker's lease wait.
 *
 *   npm run build && node --import tsx test/bench/turns.ts [--channels 20000] [--clients 20000] [--subscriptions 5] [--main dist/cli/main.js]
 *     [--only WORD]
 *
 * A real broker with the file store, its clients over one NATS connection. `--main` measures another build. The waits are as seen from this
 * process, which makes the load at the same time, so only the turns are exact.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connect } from '@nats-io/transport-node';
import { StartPosition, type SubscriptionRequest } from '../../src/protocol/messages.js';
import { StanClient } from '../harness/stan-client.js';
import { Child } from './child.js';
import { addClients, inGroups } from './many-clients.js';
import { startNatsServer } from './programs.js';
import { takeTurns, turnWatch } from './turn-watch.js';

const CLUSTER = 'turns';
const START_MS = 120_000;
const HEARTBEAT_SECONDS = 5;
const ACK_WAIT_SECONDS = 10;
/** Each request is answered within it, or given up. */
const FLOOD_MS = 20_000;
const PROBE_MS = 20;

const { values } = parseArgs({
  options: {
    channels: { type: 'string', default: '20000' },
    clients: { type: 'string', default: '20000' },
    subscriptions: { type: 'string', default: '5' },
    main: { type: 'string', default: join(import.meta.dirname, '..', '..', 'dist', 'cli', 'main.js') },
    only: { type: 'string', default: '' },
    dir: { type: 'string', default: os.tmpdir() },
  },
});
const channels = Number(values.channels);
const clients = Number(values.clients);
const subscriptionsEach = Number(values.subscriptions);

/** Most are of a channel of its own, one in ten clients has one of a channel that all share. */
function subscriptionOf(client: number, number: number): Partial<SubscriptionRequest> {
  return {
    subject: number === 0 && client % 10 === 0 ? 'shared' : `channel.${(client + number) % channels}`,
    ...(number % 2 === 0 ? { durableName: `durable-${number}` } : { queueGroup: `group-${client % 3}` }),
    maxInFlight: 16,
    ackWaitSeconds: ACK_WAIT_SECONDS,
    startPosition: StartPosition.FIRST,
  };
}

interface Pipelines {
  readonly connections: number;
  readonly each: number;
  path(index: number): string;
}

/** Sends requests down each connection without a wait for the answers. @returns the answers, by status */
async function flood(port: number, { connections, each, path }: Pipelines): Promise<string> {
  const statuses = new Map<string, number>();
  let index = 0;
  const one = async (): Promise<void> => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {});
    let text = '';
    for (let i = 0; i < each; i++) text += `GET ${path(index++)} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    socket.write(text);
    let seen = 0;
    let tail = '';
    const timer = setTimeout(() => socket.destroy(), FLOOD_MS);
    socket.on('data', (chunk: Buffer) => {
      const all = tail + chunk.toString('latin1');
      for (const [, status] of all.matchAll(/HTTP\/1\.1 (\d\d\d) /g)) {
        statuses.set(status ?? '', (statuses.get(status ?? '') ?? 0) + 1);
        seen++;
      }
      tail = all.slice(-12).includes('HTTP/1.1') ? all.slice(all.lastIndexOf('HTTP/1.1')) : '';
      if (/HTTP\/1\.1 \d\d\d /.test(tail)) tail = '';
      if (seen >= each) socket.end();
    });
    await new Promise((resolve) => socket.once('close', resolve));
    clearTimeout(timer);
  };
  await Promise.all(Array.from({ length: connections }, one));
  return [...statuses].map(([status, count]) => `${count} x ${status}`).join(', ') || 'no answer';
}

const dir = mkdtempSync(join(values.dir, 'stanchion-turns-'));
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
const server = await startNatsServer();
const socketPath = join(dir, 'turns');

async function startBroker(): Promise<{ child: Child; httpPort: number }> {
  rmSync(socketPath, { force: true });
  const child = new Child('the broker', process.execPath, [
    ...['--import', turnWatch(socketPath), values.main, 'serve', '--cluster-id', CLUSTER],
    ...['--nats-server', `nats://127.0.0.1:${server.port}`, '--store', 'file', '--dir', join(dir, 'store')],
    ...['--max-channels', '0', '--max-subs', '0', '--metrics-max-channels', String(channels)],
    ...['--hb-interval', `${HEARTBEAT_SECONDS}s`, '--http-port', '-1', '--log-format', 'json'],
    ...['--file-sync=false'],
  ]);
  const [, port] = await child.matching(/"url":"http:[^"]*:(\d+)"[\s\S]*Streaming Server is ready/, START_MS);
  return { child, httpPort: Number(port) };
}

let broker = await startBroker();
const nats = await connect({ servers: `127.0.0.1:${server.port}` });
nats.subscribe('turns.heartbeat.*', { callback: (_error, message) => void message.respond() });
const publisher = await StanClient.connect(`nats://127.0.0.1:${server.port}`, CLUSTER, 'probe');

async function measure(name: string, act: () => Promise<string>): Promise<void> {
  if (!name.includes(values.only) && !name.startsWith('clients connect')) return;
  await sleep(500);
  await takeTurns(socketPath);
  let isOver = false;
  let publishMs = 0;
  let liveMs = 0;
  const publishing = (async () => {
    while (!isOver) {
      const begunMs = performance.now();
      await publisher.publish('probe', 'x').catch(() => {});
      publishMs = Math.max(publishMs, performance.now() - begunMs);
      await sleep(PROBE_MS);
    }
  })();
  const asking = (async () => {
    while (!isOver) {
      const begunMs = performance.now();
      await fetch(`http://127.0.0.1:${broker.httpPort}/livez`).then(
        (answer) => answer.text(),
        () => {},
      );
      liveMs = Math.max(liveMs, performance.now() - begunMs);
      await sleep(PROBE_MS);
    }
  })();
  const begunMs = performance.now();
  const outcome = await act();
  const tookMs = performance.now() - begunMs;
  isOver = true;
  await Promise.all([publishing, asking]);
  const turns = await takeTurns(socketPath);
  const ms = (value: number): string => `${value.toFixed(0)} ms`.padStart(9);
  console.log(
    `${ms(turns.longestCpuMs)} ${ms(turns.longestMs)} ${ms(publishMs)} ${ms(liveMs)} ${ms(tookMs)}  ${name}: ${outcome}`,
  );
}

async function get(path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${broker.httpPort}${path}`);
  return `${response.status}, ${((await response.text()).length / 1e6).toFixed(1)} MB`;
}

/** The same requests by 100 connections, each several at a time. */
function crowd(path: (index: number) => string, each = 10): () => Promise<string> {
  return () => flood(broker.httpPort, { connections: 100, each, path });
}

try {
  await inGroups(channels, (i) => publisher.publish(`channel.${i}`, 'x'));
  console.log(
    ` CPU time  the turn   publish    /livez      took  of ${channels} channels, ${clients} clients, ${clients * subscriptionsEach} subscriptions`,
  );
  await measure('clients connect and subscribe', async () => {
    await addClients(nats, {
      clusterId: CLUSTER,
      count: clients,
      subscriptions: (i) => Array.from({ length: subscriptionsEach }, (_, j) => subscriptionOf(i, j)),
    });
    return 'done';
  });
  await sleep(2_000);
  await measure('at rest', async () => {
    await sleep(2_000);
    return 'done';
  });
  await measure('heartbeats, ack waits', async () => {
    await sleep(ACK_WAIT_SECONDS * 1_000 + 2_000);
    return 'done';
  });
  await measure('one table', () => get('/dashboard/channels?q=a&sort=rate'));
  await measure('one table of 32 requests', () =>
    flood(broker.httpPort, { connections: 1, each: 32, path: () => '/dashboard/channels?q=a&sort=rate' }),
  );
  await measure(
    'the same table',
    crowd(() => '/dashboard/channels?q=a&sort=rate'),
  );
  await measure(
    'tables of many kinds',
    crowd((i) => `/dashboard/channels?q=${i}&sort=lag&offset=${i}`),
  );
  await measure('one metrics', () => get('/metrics'));
  await measure(
    'metrics',
    crowd(() => '/metrics', 2),
  );
  await measure('one channelsz with subs', () => get('/streaming/channelsz?subs=1&limit=100000'));
  await measure(
    'channelsz with subs',
    crowd((i) => `/streaming/channelsz?subs=1&limit=${10_000 + i}`, 2),
  );
  await measure(
    'channelsz names',
    crowd((i) => `/streaming/channelsz?limit=${100_000 + i}`, 10),
  );
  await measure('one clientsz', () => get('/streaming/clientsz?subs=1&limit=100000'));
  await measure(
    'clientsz',
    crowd((i) => `/streaming/clientsz?limit=${100 + i}`, 10),
  );
  await measure('one channel of many', () => get('/streaming/channelsz?channel=shared&subs=1'));
  await measure(
    'channel of many',
    crowd(() => '/streaming/channelsz?channel=shared&subs=1', 10),
  );
  await measure(
    'dashboard/channel',
    crowd(() => '/dashboard/channel?name=shared', 10),
  );
  await measure(
    'serverz, storez',
    crowd((i) => (i % 2 === 0 ? '/streaming/serverz' : '/streaming/storez'), 50),
  );
  await measure(
    'dashboard/state',
    crowd(() => '/dashboard/state', 10),
  );
  await measure('events', async () => {
    const sockets = Array.from({ length: 100 }, () => {
      const socket = net.connect(broker.httpPort, '127.0.0.1');
      socket.on('error', () => {}).resume();
      socket.write('GET /dashboard/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
      return socket;
    });
    await sleep(5_000);
    for (const socket of sockets) socket.destroy();
    return 'done';
  });
  await measure(
    'livez',
    crowd(() => '/livez', 2_000),
  );
  await measure(
    'no such page',
    crowd(() => '/nothing', 2_000),
  );
  await measure('a burst of publishes to all channels', async () => {
    await inGroups(channels, (i) => publisher.publish(`channel.${i}`, 'x'));
    return 'done';
  });
  process.kill(broker.child.pid, 'SIGKILL');
  const begunMs = performance.now();
  broker = await startBroker();
  const restartMs = performance.now() - begunMs;
  const start = await takeTurns(socketPath);
  console.log(
    `restarted in ${restartMs.toFixed(0)} ms; the longest turns of the start: ${start.longestMs.toFixed(0)} ms by the clock, ${start.longestCpuMs.toFixed(0)} ms of CPU time`,
  );
  await measure('after a restart', async () => {
    await sleep(HEARTBEAT_SECONDS * 2_000 + 5_000);
    return 'done';
  });
} finally {
  await publisher.close().catch(() => {});
  await nats.close();
  await broker.child.stop();
  await server.child.stop();
}
