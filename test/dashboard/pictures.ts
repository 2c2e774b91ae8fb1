// The pictures of docs/dashboard.md: `node --import tsx test/dashboard/pictures.ts [FOLDER]` makes them anew, in two and a half
// minutes. Needs chromium, and the ports of `npm start`.
/// <reference lib="dom" />
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect as connectNats } from 'nats';
import { chromium } from 'playwright-core';
import { askStatus } from '../../src/group/report/ask-status.js';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import { connect, type StanConnection } from '../../src/index.js';
import { LocalGroup } from '../../src/local-group/local-group.js';
import { silentLogger } from '../../src/log/logger.js';
import { findTool } from '../deploy/tools.js';
import { askToHandOver } from '../harness/hand-over.js';
import { waitFor } from '../harness/wait.js';

const [CLUSTER_ID, GROUP] = ['test-cluster', 'local'];
const [PORT, HTTP_PORT] = [4222, 8222];
const DESKTOP = { width: 1280, height: 1014 };
const PHONE = { width: 390, height: 1000 };
const GROUP_PART = { x: 0, y: 0, width: 1280, height: 346 };
const WAIT_MS = 30_000;
/** Between the takeovers, before the first and after the last. */
const PART_MS = 45_000;

const pictures = resolve(process.argv[2] ?? fileURLToPath(new URL('../../docs/images', import.meta.url)));
mkdirSync(pictures, { recursive: true });
const folder = mkdtempSync(join(tmpdir(), 'stan-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

const group = await LocalGroup.start({
  nodes: 3,
  dir: join(folder, 'data'),
  port: PORT,
  httpPort: HTTP_PORT,
  clusterId: CLUSTER_ID,
  group: GROUP,
  flags: ['--max-channels', '0', '--log-level', 'warn'],
  log: silentLogger,
  onLine: (node, line) => console.log(`${node}: ${line}`),
});
const nats = await connectNats({ servers: group.urls });
const connections: StanConnection[] = [];
let isStopping = false;

async function activeAbove(epoch: number): Promise<MemberStatus> {
  let found: MemberStatus | undefined;
  await waitFor(
    async () => {
      const all = await askStatus(nats, CLUSTER_ID, GROUP);
      found = all.find((member) => member.role === 'active' && member.epoch > epoch);
      return found !== undefined;
    },
    'a member is active',
    WAIT_MS,
  );
  return found!;
}

async function attach(clientId: string): Promise<StanConnection> {
  const connection = await connect({
    servers: group.urls,
    clusterId: CLUSTER_ID,
    clientId,
    connectTimeout: 10_000,
  });
  connections.push(connection);
  return connection;
}

/** Orders that come and go in waves, as with people. */
async function publishOrders(shop: StanConnection): Promise<void> {
  for (let i = 0; !isStopping; i++) {
    const perTick = 6 + 5 * Math.sin(i / 500);
    const batch = Array.from({ length: Math.round(perTick) }, () =>
      shop.publish('orders', 'o'.repeat(60 + (i % 120))).catch(() => {}),
    );
    if (i % 20 === 0) batch.push(shop.publish('payments', 'p'.repeat(80)).catch(() => {}));
    await Promise.all([...batch, sleep(20)]);
  }
}

try {
  let active = await activeAbove(0);
  const shop = await attach('shop');
  await Promise.all(
    Array.from({ length: 300 }, (_, i) =>
      shop.publish(`sensors.room-${String(i).padStart(3, '0')}`, 't'.repeat(20 + (i % 9))),
    ),
  );
  const callback = (): void => {};
  const billing = await attach('billing');
  await billing.subscribe('orders', { durable: 'ledger', callback });
  await billing.subscribe('payments', { durable: 'ledger', callback });
  const report = await billing.subscribe('orders', { durable: 'yearly-report', startAt: 'all', callback });
  await report.close();
  for (const clientId of ['kitchen-1', 'kitchen-2']) {
    const kitchen = await attach(clientId);
    await kitchen.subscribe('orders', { queue: 'kitchen', durable: 'orders', callback });
  }
  const printer = await attach('printer');
  await printer.subscribe('orders', { queue: 'labels', manualAck: true, maxInFlight: 16, callback });
  const publishing = publishOrders(shop);

  await sleep(PART_MS);
  await askToHandOver(nats, { clusterId: CLUSTER_ID, group: GROUP, dir: join(folder, 'data') });
  active = await activeAbove(active.epoch);
  await sleep(PART_MS);
  const paused = active;
  process.kill(paused.pid, 'SIGSTOP');
  active = await activeAbove(active.epoch);
  await sleep(2_000);
  process.kill(paused.pid, 'SIGCONT');
  await sleep(PART_MS);

  const standby = group.brokers.find(({ node }) => node !== paused.node && node !== active.node)!.node;
  const origin = `http://127.0.0.1:${HTTP_PORT + Number(standby.split('-')[1]) - 1}`;
  const browser = await chromium.launch({ executablePath: findTool('chromium')!, args: ['--no-sandbox'] });
  for (const [name, path, viewport, colorScheme] of [
    ['light', '/', DESKTOP, 'light'],
    ['channel', '/#channel=orders', DESKTOP, 'light'],
    ['phone', '/#channel=orders', PHONE, 'light'],
    ['dark', '/', DESKTOP, 'dark'],
  ] as const) {
    const page = await browser.newPage({ viewport, colorScheme });
    await page.goto(origin + path);
    await page.waitForFunction(() => document.querySelector('#live')?.textContent === 'live');
    if (path !== '/') await page.waitForSelector('dialog[open] #subscriptions tbody tr:nth-child(5)');
    await page.waitForFunction(() =>
      /Published \/s[1-9]/.test(document.querySelector('#totals')?.textContent ?? ''),
    );
    await page.screenshot({ path: join(pictures, `dashboard-${name}.png`) });
    await page.close();
  }
  // The other standby stands still.
  process.kill(paused.pid, 'SIGSTOP');
  const page = await browser.newPage({ viewport: DESKTOP, colorScheme: 'light' });
  await page.goto(origin);
  await page.waitForFunction(() =>
    /not heard for 1[2-9] s/.test(document.querySelector('#members')?.textContent ?? ''),
  );
  await page.screenshot({ path: join(pictures, 'dashboard-missing.png'), clip: GROUP_PART });
  process.kill(paused.pid, 'SIGCONT');
  await browser.close();
  isStopping = true;
  await publishing;
} finally {
  isStopping = true;
  for (const connection of connections) await connection.close().catch(() => {});
  await nats.close();
  await group.stop();
}
