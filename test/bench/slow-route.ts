/**
 * What comes late when a broker's NATS server dies, and how long subscribers get nothing.
 *
 *   node --import tsx test/bench/slow-route.ts [--route-ms 300] [--every-ms 2]
 *
 * Three nats-servers: the broker is at the first, its clients are at the third, and the route between the two takes so long.
 * The first is killed; the broker goes on at the second. Prints which messages came as new behind later ones. With
 * CONFORMANCE_SERVER=PATH it is another streaming server's turn.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Broker, isOtherServer } from '../harness/broker.js';
import { Child } from '../harness/child.js';
import { freePorts } from '../harness/free-ports.js';
import { RawClient, type RawSubscription } from '../harness/raw-client.js';
import { waitFor } from '../harness/wait.js';

const CLUSTER_ID = 'slow-route';
const CLIENT_ID = 'client';
const CHANNEL = 'numbers';
/** Servers find each other, and what is subscribed, within it. */
const SETTLE_MS = 3_000;
const BEFORE_MS = 3_000;
const AFTER_MS = 2_000;

/** A TCP proxy that takes its time with every byte, also with those of a server that has died since. */
function slowProxy(port: number, toPort: number, delayMs: number): net.Server {
  return net
    .createServer((client) => {
      const server = net.connect(toPort, '127.0.0.1');
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        from.setNoDelay(true);
        from.on('data', (chunk) => setTimeout(() => to.write(chunk), delayMs));
        from.on('close', () => setTimeout(() => to.end(), delayMs));
        from.on('error', () => {});
      }
    })
    .listen(port, '127.0.0.1');
}

function startServer(dir: string, port: number, routePort: number, routes: readonly number[]): Child {
  const path = join(dir, `${port}.conf`);
  const urls = routes.map((route) => `"nats://127.0.0.1:${route}"`).join(', ');
  writeFileSync(
    path,
    `cluster { name: slow, listen: "127.0.0.1:${routePort}", routes: [${urls}], no_advertise: true }\n`,
  );
  return new Child('nats-server', ['-a', '127.0.0.1', '-p', String(port), '-c', path]);
}

function report({ messages }: RawSubscription, timesMs: readonly number[], killedMs: number): void {
  let highest = 0;
  const late: number[] = [];
  for (const { sequence, redelivered } of messages) {
    if (!redelivered && sequence < highest) late.push(sequence);
    highest = Math.max(highest, sequence);
  }
  const missing = highest - new Set(messages.map(({ sequence }) => sequence)).size;
  const next = timesMs.findIndex((timeMs) => timeMs > killedMs);
  const pausesMs = timesMs
    .slice(next, next + 100)
    .map((timeMs, i) => timeMs - (timesMs[next + i - 1] ?? timeMs));
  console.log(
    `${messages.length} messages, ${late.length} of them came as new behind later ones, ${missing} never came; ` +
      `longest pause of the 100 after the kill ${Math.max(...pausesMs).toFixed(0)} ms`,
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      'route-ms': { type: 'string', default: '300' },
      'every-ms': { type: 'string', default: '2' },
    },
  });
  const dir = mkdtempSync(join(tmpdir(), 'stanchion-slow-route-'));
  const first = await freePorts(7);
  const [second, third, firstRoute, secondRoute, thirdRoute, slow] = [
    first + 1,
    first + 2,
    first + 3,
    first + 4,
    first + 5,
    first + 6,
  ];
  const proxy = slowProxy(slow, thirdRoute, Number(values['route-ms']));
  const ended: (() => Promise<unknown>)[] = [];
  const start = async (...args: [number, number, readonly number[]]): Promise<Child> => {
    const server = startServer(dir, ...args);
    ended.unshift(() => server.destroy());
    await sleep(SETTLE_MS);
    return server;
  };
  try {
    await start(third, thirdRoute, []);
    const dying = await start(first, firstRoute, [slow]);
    // The second is not there yet: so the broker is at the first.
    const broker = await Broker.start({
      natsUrl: `nats://127.0.0.1:${first},nats://127.0.0.1:${second}`,
      clusterId: CLUSTER_ID,
      store: 'memory',
      flags: isOtherServer ? [] : ['--nats-in-order'],
    });
    ended.unshift(() => broker.destroy());
    await start(second, secondRoute, [thirdRoute]);
    const client = await RawClient.open(`nats://127.0.0.1:${third}`, CLUSTER_ID);
    ended.unshift(() => client.drop());
    await client.join(CLIENT_ID);
    const subscription = await client.subscribe({
      clientId: CLIENT_ID,
      subject: CHANNEL,
      maxInFlight: 100_000,
    });
    const timesMs: number[] = [];
    client.nats.subscribe(subscription.inbox, { callback: () => void timesMs.push(performance.now()) });
    const publishing = setInterval(
      () => client.send({ clientId: CLIENT_ID, connId: Buffer.from(CLIENT_ID), subject: CHANNEL }),
      Number(values['every-ms']),
    );
    await sleep(BEFORE_MS);
    const killedMs = performance.now();
    dying.signal('SIGKILL');
    await sleep(AFTER_MS);
    clearInterval(publishing);
    let count = -1;
    await waitFor(async () => {
      const isAll = count === subscription.messages.length;
      count = subscription.messages.length;
      if (!isAll) await sleep(500);
      return isAll;
    }, 'nothing comes any more');
    report(subscription, timesMs, killedMs);
  } finally {
    for (const end of ended) await end();
    proxy.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

await main();
process.exit();
