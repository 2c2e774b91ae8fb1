// What runs in the page knows the browser.
/// <reference lib="dom" />
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { type Browser, chromium, type Page } from 'playwright-core';
import { findTool } from '../deploy/tools.js';
import { Broker, mainScript } from '../harness/broker.js';
import { freePorts } from '../harness/free-ports.js';
import { NatsServer } from '../harness/nats-server.js';
import { waitFor } from '../harness/wait.js';

const CLUSTER_ID = 'lost';
const NODES = ['a', 'b', 'c', 'd'] as const;
type Node = (typeof NODES)[number];
const ONE_MISSING = /^[ab] is active, 1 standing by\. Missing: c, not heard since \d\d:\d\d:\d\d$/;
/** Where pictures of the page go; nowhere unless it is said. */
const PICTURES = process.env.DASHBOARD_PICTURES;
const path = findTool('chromium');

// Real processes, each of which is killed, frozen or cut off while somebody looks on: `a` is active at first, and the page is that of `b`.
describe('the dashboard, on what is not known any more', {
  skip: path === undefined && "there is no chromium here (Debian's package chromium)",
}, () => {
  let folder: string;
  let nats: NatsServer;
  let httpPort: number;
  const brokers = new Map<Node, Broker>();
  let browser: Browser;
  let page: Page;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'stanchion-lost-'));
    nats = await NatsServer.start();
    httpPort = await freePorts(NODES.length);
    const launching = chromium.launch({ executablePath: path!, args: ['--no-sandbox'] });
    launching.catch(() => {});
    await startMember('a');
    await isActive('a');
    await Promise.all([startMember('b'), startMember('c')]);
    browser = await launching;
    page = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: 'light' });
    await page.goto(`http://127.0.0.1:${portOf('b')}/`);
    await says(/^a is active, 2 standing by$/, 'good');
  });

  after(async () => {
    await browser?.close();
    for (const broker of brokers.values()) await broker.destroy();
    await nats?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  async function startMember(node: Node): Promise<void> {
    const flags = ['--ft-group', 'g', '--node-name', node, '--http-port', String(portOf(node))];
    const settings = { natsUrl: nats.url, clusterId: CLUSTER_ID, store: 'file', flags } as const;
    brokers.set(node, await Broker.start({ ...settings, dir: join(folder, 'store') }));
  }

  function portOf(node: Node): number {
    return httpPort + NODES.indexOf(node);
  }

  function broker(node: Node): Broker {
    const found = brokers.get(node);
    assert.ok(found);
    return found;
  }

  async function isActive(node: Node): Promise<void> {
    const asked = `http://127.0.0.1:${portOf(node)}/streaming/isFTActive`;
    await waitFor(async () => (await fetch(asked)).status === 200, `${node} is active`);
  }

  /** Waits until the page says how the group stands, in these words and that colour. */
  async function says(words: RegExp, colour: 'good' | 'warn' | 'bad'): Promise<void> {
    let seen: string[] = [];
    await waitFor(
      async () => {
        seen = await page.evaluate(() => {
          const { textContent, className } = document.querySelector('#verdict')!;
          return [textContent ?? '', className];
        });
        return words.test(seen[0]!) && seen[1] === `state ${colour}`;
      },
      () => `the page says ${words} in ${colour}, and not: ${seen}`,
    );
  }

  /** The row of a member: its cells, whether it is grey, and the colour of its role. */
  function row(node: Node): Promise<{ cells: string[]; isGrey: boolean; colour: string | undefined }> {
    return page.evaluate((name) => {
      const rows = Array.from(document.querySelectorAll<HTMLTableRowElement>('#members tbody tr'));
      const found = rows.find(({ cells }) => cells[0]?.textContent === name);
      const cells = Array.from(found?.cells ?? [], (cell) => cell.textContent ?? '');
      const colour = found?.querySelector('.state')?.className;
      return { cells, isGrey: found?.className === 'gone', colour };
    }, node);
  }

  async function picture(name: string): Promise<void> {
    if (PICTURES === undefined) return;
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(PICTURES, `${name}-${colorScheme}.png`) });
    }
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 390, height: 900 });
    await page.screenshot({ path: join(PICTURES, `${name}-phone.png`) });
    await page.setViewportSize({ width: 1280, height: 900 });
  }

  async function status(): Promise<string> {
    const own = ['status', '--nats-server', nats.url, '--cluster-id', CLUSTER_ID];
    const { stdout } = await promisify(execFile)(process.execPath, [...(await mainScript()), ...own]);
    return stdout;
  }

  it('keeps the row of a standby that was killed, and says since when it is missing; so does `stanchion status`', async () => {
    await broker('c').kill('SIGKILL');
    await says(/^a is active, 1 standing by\. Missing: c, not heard since \d\d:\d\d:\d\d$/, 'warn');
    const { cells, isGrey } = await row('c');
    assert.ok(isGrey);
    assert.match(cells[1]!, /^not heard for \d+ s$/);
    assert.equal(cells.at(-1), 'last role: standby');
    await picture('missing');
    // Whoever comes later learns it too.
    await page.reload();
    await says(/Missing: c, not heard since/, 'warn');
    const line = (await status()).split('\n').find((text) => text.startsWith('c '));
    assert.match(line ?? '', /^c +g +\(standby\) .* no answer, not heard for [\d.]+ s$/);
  });

  it('says that an active that stands still is missing, beside the one that has taken over', async () => {
    broker('a').signal('SIGSTOP');
    await says(
      /^b is active, and no standby can take over\. Missing: a, not heard since .*; c, not heard/,
      'warn',
    );
    assert.equal((await row('a')).cells.at(-1), 'last role: active');
    broker('a').signal('SIGCONT');
    await says(ONE_MISSING, 'warn');
  });

  it('says within some 3 s that its own broker has stopped answering, and shows in grey what it knew', async () => {
    await page.evaluate(() => {
      const verdict = document.querySelector('#verdict')!;
      const watch = new MutationObserver(() => {
        if (!verdict.textContent?.startsWith('No')) return;
        document.body.dataset.first = verdict.textContent;
        watch.disconnect();
      });
      watch.observe(verdict, { childList: true, characterData: true, subtree: true });
    });
    const opacity = (): Promise<string[]> =>
      page.evaluate(() =>
        ['#members', '#totals', '#charts', '#channel-table tbody'].map(
          (part) => getComputedStyle(document.querySelector(part)!).opacity,
        ),
      );
    assert.deepEqual(await opacity(), ['1', '1', '1', '1']);
    broker('b').signal('SIGSTOP');
    await says(/^No answer from this broker for \d+ s\. The page shows the state at \d\d:\d\d:\d\d$/, 'bad');
    // A busy machine is late by itself.
    assert.match((await page.evaluate(() => document.body.dataset.first)) ?? '', /broker for [3-7] s/);
    assert.deepEqual(await opacity(), ['0.5', '0.5', '0.5', '0.5']);
    await picture('frozen');
    broker('b').signal('SIGCONT');
    await says(ONE_MISSING, 'warn');
    assert.deepEqual(await opacity(), ['1', '1', '1', '1']);
  });

  it('calls no member active that is not heard, and says why it hears nothing', async () => {
    await nats.stop();
    const active = '^No active has been heard since \\d\\d:\\d\\d:\\d\\d \\(it was [ab]\\)';
    await says(new RegExp(`${active}\\. This member: no connection to NATS since `), 'bad');
    assert.equal((await row('a')).isGrey, true);
    const own = await row('b');
    assert.match(own.cells.at(-1) ?? '', /no connection to NATS/);
    assert.equal(own.colour, 'state bad');
    // Nor is there anything new of channels.
    await page.waitForFunction(() => document.querySelector('#channel-table')?.className === 'stale');
    assert.equal(await page.locator('#found').textContent(), 'no active broker has answered');
    await picture('cut-off');
  });

  it('says of a broker that still starts what it waits for', async () => {
    const flags = ['--http-port', String(portOf('d'))];
    const starting = Broker.start({ natsUrl: nats.url, clusterId: 'alone', store: 'memory', flags });
    starting.catch(() => {});
    const other = await browser.newPage();
    const url = `http://127.0.0.1:${portOf('d')}/`;
    await waitFor(
      async () => (await fetch(url).catch(() => undefined)) !== undefined,
      'its page is answered',
    );
    assert.equal((await other.goto(url))?.status(), 503);
    const verdict = async (): Promise<string> => (await other.locator('#verdict').textContent()) ?? '';
    await waitFor(async () => (await verdict()).startsWith('no connection to NATS'), 'what it waits for');
    await nats.start();
    brokers.set('d', await starting);
    await waitFor(async () => (await verdict()) === 'Serving', 'it serves');
    await other.close();
    await says(ONE_MISSING, 'warn');
  });

  it('says that there is no connection to a broker that has died', async () => {
    await broker('b').kill('SIGKILL');
    await says(
      /^No connection to this broker for \d+ s\. The page shows the state at \d\d:\d\d:\d\d$/,
      'bad',
    );
  });
});
