// What runs in the page knows the browser.
/// <reference lib="dom" />
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectNats } from 'nats';
import { type Browser, chromium, type Page } from 'playwright-core';
import { MAX_PAGES } from '../../src/dashboard/event-feed.js';
import { askStatus } from '../../src/group/report/ask-status.js';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import { connect, type StanConnection } from '../../src/index.js';
import { LocalGroup } from '../../src/local-group/local-group.js';
import { silentLogger } from '../../src/log/logger.js';
import { findTool } from '../deploy/tools.js';
import { freePorts } from '../harness/free-ports.js';
import { waitFor } from '../harness/wait.js';

const CLUSTER_ID = 'seen';
const CHANNELS = 10_000;
/** With the one that the load is in. */
const AS_SHOWN = (CHANNELS + 1).toLocaleString('en');
const WAIT_MS = 30_000;
/** Where pictures of the page go; nowhere unless it is said. */
const PICTURES = process.env.DASHBOARD_PICTURES;
const path = findTool('chromium');

describe('the dashboard', {
  skip: path === undefined && "there is no chromium here (Debian's package chromium)",
}, () => {
  let folder: string;
  let group: LocalGroup;
  let browser: Browser;
  let page: Page;
  let httpPort: number;
  let connection: StanConnection;
  let isStopping = false;
  let publishing: Promise<void> = Promise.resolve();
  /** What the page complained of, and what it asked others for. */
  const complaints: string[] = [];
  let isProblemExpected = false;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'stanchion-dashboard-'));
    httpPort = await freePorts(3);
    group = await LocalGroup.start({
      nodes: 3,
      dir: join(folder, 'store'),
      port: 0,
      httpPort,
      clusterId: CLUSTER_ID,
      group: 'g',
      flags: ['--max-channels', '0', '--log-level', 'warn'],
      log: silentLogger,
      onLine: () => {},
    });
    await active();
    connection = await connect({
      servers: group.urls,
      clusterId: CLUSTER_ID,
      clientId: 'load',
      connectTimeout: 10_000,
    });
    await Promise.all(
      Array.from({ length: CHANNELS }, (_, i) =>
        connection.publish(`channel.${String(i).padStart(4, '0')}`, 'x'),
      ),
    );
    await connection.subscribe('orders', { durable: 'ledger', startAt: 'all', callback: () => {} });
    await connection.subscribe('orders', { queue: 'slow', startAt: 'all', manualAck: true, maxInFlight: 2 });
    publishing = publish();
    browser = await chromium.launch({ executablePath: path!, args: ['--no-sandbox'] });
    page = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: 'light' });
    page.on('console', (message) => {
      if (message.type() === 'error' && !isProblemExpected) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (url.protocol !== 'data:' && url.hostname !== '127.0.0.1') complaints.push(`asked ${url.href}`);
    });
  });

  after(async () => {
    isStopping = true;
    await publishing;
    await browser?.close();
    await connection?.close().catch(() => {});
    await group?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  async function publish(): Promise<void> {
    while (!isStopping) {
      await connection.publish('orders', 'x'.repeat(100)).catch(() => {});
      // The pace of the load.
      await sleep(2);
    }
  }

  async function active(above = 0): Promise<MemberStatus> {
    const nats = await connectNats({ servers: group.urls });
    let found: MemberStatus | undefined;
    await waitFor(
      async () => {
        const all = await askStatus(nats, CLUSTER_ID, 'g');
        found = all.find(({ role, epoch }) => role === 'active' && epoch > above);
        return found !== undefined;
      },
      'a member is active',
      WAIT_MS,
    );
    await nats.close();
    return found!;
  }

  function portOf(node: string): number {
    return httpPort + Number(node.split('-')[1]) - 1;
  }

  async function text(selector: string): Promise<string> {
    return (await page.locator(selector).textContent()) ?? '';
  }

  /** Cells that nobody sees without moving sideways. */
  async function outsideOfPage(cells: string): Promise<(string | null)[]> {
    // In one go: rows are replaced by the next sample.
    return page.evaluate(
      (selector) =>
        Array.from(document.querySelectorAll(selector))
          .filter((cell) => {
            const { left, right } = cell.getBoundingClientRect();
            return right <= left || left < 0 || right > window.innerWidth;
          })
          .map((cell) => cell.textContent),
      cells,
    );
  }

  async function picture(name: string): Promise<void> {
    if (PICTURES !== undefined)
      await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
  }

  async function channelNames(): Promise<string[]> {
    return page.locator('#channel-table tbody td.name').allTextContents();
  }

  it('shows, on a standby, which member is active and which are standbys', async () => {
    const { node } = await active();
    const standby = ['stan-1', 'stan-2', 'stan-3'].find((other) => other !== node)!;
    await page.goto(`http://127.0.0.1:${portOf(standby)}/`);
    await page.waitForFunction(() => document.querySelector('#live')?.textContent === 'live');
    let verdict = '';
    await waitFor(
      async () => {
        verdict = await text('#verdict');
        return verdict === `${node} is active, 2 standing by`;
      },
      () => `${standby} says that ${node} is active, and not: ${verdict}`,
      WAIT_MS,
    );
    assert.match(await text('#where'), new RegExp(`cluster seen, group g; this is ${standby}, standby`));
    const roles = await page.locator('#members tbody tr td:nth-child(2)').allTextContents();
    assert.deepEqual(roles.sort(), ['active', 'standby', 'standby']);
    assert.match(await text('#members'), /\d+ of 600 ms/);
  });

  it('draws what is published, delivered and stored, from the samples that come', async () => {
    await waitFor(async () => /Published \/s[1-9]/.test(await text('#totals')), 'a rate', WAIT_MS);
    const captions = await page.locator('#charts figcaption').allTextContents();
    assert.equal(captions.length, 6);
    await waitFor(
      async () => /p50 [\d.]+ (ms|µs)/.test((await page.locator('#charts figcaption').allTextContents())[2]!),
      'the time from publish to ack',
      WAIT_MS,
    );
    // Something is drawn: the canvas has more than one colour.
    const colours = await page.evaluate(() => {
      const canvas = document.querySelector<HTMLCanvasElement>('#charts canvas')!;
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      return new Set(
        Array.from(
          { length: data.length / 4 },
          (_, i) => `${data[i * 4]},${data[i * 4 + 1]},${data[i * 4 + 3]}`,
        ),
      ).size;
    });
    assert.ok(colours > 3);
  });

  it('lets one look closer until one goes back, whatever comes meanwhile', async () => {
    const other = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    // The charts are not to be had from outside: each is kept as it is made. (As text: tsx puts helpers into functions.)
    await other.addInitScript({
      content: `
        globalThis.kept = [];
        let kind;
        Object.defineProperty(globalThis, 'uPlot', {
          get: () => kind,
          set: (made) => {
            kind = class extends made {
              constructor(...args) {
                kept.push(super(...args));
              }
            };
          },
        });
      `,
    });
    await other.goto(page.url());
    await other.waitForSelector('.u-over');
    const chart = (): Promise<{ from: number; to: number; samples: number }> =>
      other.evaluate(() => {
        interface Plot {
          scales: { x: { min: number; max: number } };
          data: number[][];
        }
        const [{ scales, data }] = (globalThis as unknown as { kept: [Plot] }).kept;
        return { from: scales.x.min, to: scales.x.max, samples: data[0]!.length };
      });
    const afterMore = async (): Promise<{ from: number; to: number }> => {
      const { samples } = await chart();
      await waitFor(async () => (await chart()).samples > samples, 'another sample', WAIT_MS);
      const { from, to } = await chart();
      return { from, to };
    };
    await afterMore();
    const { x, y, width, height } = (await other.locator('.u-over').first().boundingBox())!;
    await other.mouse.move(x + width * 0.4, y + height / 2);
    await other.mouse.down();
    await other.mouse.move(x + width * 0.6, y + height / 2, { steps: 4 });
    await other.mouse.up();
    const { from, to } = await chart();
    assert.deepEqual(await afterMore(), { from, to });
    await other.locator('.u-over').first().dblclick();
    const whole = await afterMore();
    assert.ok(whole.from < from, `${whole.from} < ${from}`);
    assert.ok((await afterMore()).to >= whole.to);
    await other.close();
  });

  it('writes midnight as any other hour', async () => {
    const text = await page.evaluate(async () => {
      const { moment } = (await import('/dashboard/format.js' as string)) as { moment(ms: number): string };
      return moment(new Date(2026, 10, 25, 0, 5, 9).getTime());
    });
    assert.equal(text, 'Nov 25 00:05:09');
  });

  it('lists the channels, sorted and searched on the server, page by page', async () => {
    await waitFor(async () => (await text('#found')) === `1 to 50 of ${AS_SHOWN}`, 'the first page');
    assert.equal((await channelNames())[0], 'channel.0000');
    await page.locator('#next').click();
    await waitFor(async () => (await channelNames())[0] === 'channel.0050', 'the second page');
    await page.locator('th[data-sort=messages] button').click();
    await waitFor(async () => (await channelNames())[0] === 'orders', 'the largest first');
    assert.equal(await page.locator('th[data-sort=messages]').getAttribute('aria-sort'), 'descending');
    await page.keyboard.press('/');
    await page.keyboard.type('l.411');
    await waitFor(async () => (await text('#found')) === '1 to 10 of 10', 'what is found');
    await page.keyboard.press('Escape');
    await waitFor(async () => (await text('#found')) === `1 to 50 of ${AS_SHOWN}`, 'all again');
  });

  it('shows the subscriptions of a channel: how far behind, in flight, stalled', async () => {
    await page.locator('#channel-table tbody tr', { hasText: 'orders' }).focus();
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog[open]');
    let rows: string[] = [];
    await waitFor(
      async () => {
        rows = await page.locator('#subscriptions tbody tr').allTextContents();
        const isThere = (row: RegExp): boolean => rows.some((text) => row.test(text));
        return isThere(/load.*durable.*ledger.*receiving/) && isThere(/load.*queue.*slow.*stalled.*2 of 2/);
      },
      () => rows.join('\n'),
      WAIT_MS,
    );
    await picture('channel');
    // Drawn anew: where one was in the table must not be lost with the row.
    await page.evaluate(() => {
      document.querySelector('#channel-table tbody tr')!.setAttribute('data-drawn', 'before');
    });
    await page.waitForFunction(() => document.querySelector('[data-drawn]') === null);
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => !document.querySelector('dialog')!.open);
    await page.waitForFunction(
      () => (document.activeElement as HTMLElement | null)?.dataset.name === 'orders',
    );
  });

  it('opens the channel that its address names, also one that is typed while it is open', async () => {
    const go = (name: string): Promise<void> =>
      page.evaluate(
        (hash) => {
          location.hash = hash;
        },
        `#channel=${encodeURIComponent(name)}`,
      );
    await go('channel.0042');
    await waitFor(async () => (await text('#channel-facts')).includes('Messages1'), 'the channel');
    await go('orders');
    await waitFor(async () => (await text('#subscriptions')).includes('ledger'), 'another one');
    assert.equal(await text('#channel-name'), 'orders');
    isProblemExpected = true;
    await go('no such');
    await waitFor(
      async () => (await text('#channel-note')) === 'there is no channel no such',
      'one that is not',
    );
    assert.equal(await text('#subscriptions tbody'), '');
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => !document.querySelector('dialog')!.open);
    isProblemExpected = false;
    assert.equal(new URL(page.url()).hash, '');
  });

  it('goes through a takeover: the new active, the outage, a gap and no end of the charts', async () => {
    const before = await active();
    isProblemExpected = true;
    process.kill(before.pid, 'SIGKILL');
    const after = await active(before.epoch);
    await waitFor(
      async () => (await text('#verdict')).startsWith(`${after.node} is active`),
      'the new active',
      WAIT_MS,
    );
    const [newest] = await page.locator('#takeovers tbody tr').allTextContents();
    assert.ok(newest!.includes(after.node), newest);
    assert.match(newest!, /[\d.]+ (ms|s)/);
    await waitFor(
      async () => /Published \/s[1-9]/.test(await text('#totals')),
      'publishing goes on',
      WAIT_MS,
    );
    const times = await page.evaluate(async () => {
      const response = await fetch('/dashboard/state');
      return ((await response.json()) as { history: { time: number[] } }).history.time.length;
    });
    assert.ok(times > 3, 'the hour from before is there');
    isProblemExpected = false;
    await picture('light');
  });

  it('is dark where one likes it, and remembers it', async () => {
    const back = (): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await back();
    await page.locator('#theme').click();
    assert.notEqual(await back(), light);
    await page.reload();
    await page.waitForFunction(() => document.querySelector('#live')?.textContent === 'live');
    assert.notEqual(await back(), light);
    await waitFor(async () => /Published \/s[1-9]/.test(await text('#totals')), 'it is drawn');
    await picture('dark');
  });

  it('fits on a phone', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 360, `${width} pixels wide`);
    await page.waitForFunction(() => document.querySelector<HTMLElement>('.uplot')!.offsetWidth <= 340);
    for (const cells of ['#members tbody td:not(.none)', '#takeovers tbody td'])
      assert.deepEqual(await outsideOfPage(cells), [], cells);
    await picture('phone');
  });

  it('shows on a phone all that there is of a subscription', async () => {
    await page.goto(`${new URL(page.url()).origin}/#channel=orders`);
    await page.reload();
    // Looked at in one go: the rows are drawn anew with every sample.
    const seen = await page.waitForFunction(() => {
      if (document.querySelector('dialog[open] #subscriptions tbody tr:nth-child(2)') === null)
        return undefined;
      const cells = Array.from(document.querySelectorAll('#subscriptions tbody td'));
      const outside = cells.filter((cell) => {
        const { left, right } = cell.getBoundingClientRect();
        return right <= left || left < 0 || right > window.innerWidth;
      });
      const first = document.querySelectorAll('#subscriptions tbody tr:first-child td');
      return {
        outside: outside.map((cell) => cell.textContent),
        heads: Array.from(first, (cell) => getComputedStyle(cell, '::before').content),
      };
    });
    const { outside, heads } = (await seen.jsonValue())!;
    assert.deepEqual(outside, []);
    assert.ok(heads.includes('"State"') && heads.includes('"In flight"'), heads.join());
    if (PICTURES !== undefined) await page.screenshot({ path: join(PICTURES, 'phone-channel.png') });
  });

  it('follows again by itself after an answer that a browser takes for the last word', async () => {
    const { origin } = new URL(page.url());
    const release = new AbortController();
    await page.goto('about:blank');
    isProblemExpected = true;
    // All of them: a page that has just gone may still be counted. Kept, since an answer that nobody holds is
    // given up by the garbage collector, and its place with it.
    const held: Response[] = [];
    await waitFor(
      async () => {
        const answer = await fetch(`${origin}/dashboard/events`, { signal: release.signal });
        if (answer.status === 200) held.push(answer);
        else assert.equal(answer.status, 503);
        return held.length === MAX_PAGES;
      },
      'no place is free',
      WAIT_MS,
    );
    await page.goto(origin);
    await page.waitForFunction(() => document.querySelector('#live')?.textContent?.includes('trying again'));
    // What needs no events is there.
    await waitFor(async () => (await text('#verdict')).includes('is active'), 'the group', WAIT_MS);
    release.abort();
    await page.waitForFunction(() => document.querySelector('#live')?.textContent === 'live', null, {
      timeout: WAIT_MS,
    });
    isProblemExpected = false;
    assert.equal(held.length, MAX_PAGES);
  });

  it('has no complaint of the browser, and asks no other host for anything', () => {
    // A page that is asked while the active is too busy to answer in time says so by its status, and is asked again.
    const others = complaints.filter((text) => !/with a status of 503 /.test(text));
    assert.deepEqual(others, []);
  });
});
