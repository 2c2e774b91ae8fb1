import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Dashboard, DashboardState } from '../dashboard/dashboard.js';
import { ChannelTable } from '../monitor/channel-table.js';
import { type Handler, send, sendText } from './answer.js';
import { jsonPage } from './json-page.js';
import { JsonLine, JsonObject } from './json-pieces.js';
import { RETRY_HEADERS } from './once-started.js';
import { PacedSocket } from './paced-socket.js';
import { type Page, PageMaker } from './page-maker.js';

/** The page loads nothing from elsewhere, and cannot be put in a frame. */
const HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
};

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const NO_ANSWER = 'no active broker has answered';

/** The paths of the dashboard, with their descriptions and handlers. */
export function dashboardRoutes(dashboard: Dashboard): [path: string, about: string, handle: Handler][] {
  const { resolve } = createRequire(import.meta.url);
  const made = new PageMaker();
  const own = (name: string): string => fileURLToPath(new URL(`../dashboard/page/${name}`, import.meta.url));
  return [
    [
      '/',
      'the dashboard',
      page(
        () => own('index.html'),
        () => dashboard.isStarted,
      ),
    ],
    ['/dashboard/page.js', 'its script', page(() => own('page.js'))],
    ['/dashboard/charts.js', 'its charts', page(() => own('charts.js'))],
    ['/dashboard/channels.js', 'its table of channels', page(() => own('channels.js'))],
    ['/dashboard/verdict.js', 'its sentence on the group', page(() => own('verdict.js'))],
    ['/dashboard/freshness.js', 'how it knows that it is behind', page(() => own('freshness.js'))],
    ['/dashboard/format.js', 'how it writes numbers', page(() => own('format.js'))],
    ['/dashboard/page.css', 'its style', page(() => own('page.css'))],
    ['/dashboard/uplot.js', 'uPlot, which draws', page(() => resolve('uplot/dist/uPlot.iife.min.js'))],
    ['/dashboard/uplot.css', 'its style', page(() => resolve('uplot/dist/uPlot.min.css'))],
    [
      '/dashboard/state',
      'JSON: the group, and the last hour',
      // The members have half a second to answer: requests for channels do not wait for that.
      new PageMaker().handler(async () => statePage(await dashboard.state())),
    ],
    [
      '/dashboard/events',
      'server-sent events: a sample every two seconds',
      (_request, response) => {
        // A request for the head alone does not wait for events.
        if (response.req.method === 'HEAD') send(response, 200, 'text/event-stream', '');
        else if (!dashboard.follow(response))
          sendText(response, 503, 'too many dashboards are open: close one');
        else if (response.socket instanceof PacedSocket) response.socket.streams();
      },
    ],
    [
      '/dashboard/channels',
      'JSON: channels: q, sort, order, offset, limit',
      made.handler(async ({ query }) => {
        const request = ChannelTable.queryOf((name) => query.get(name));
        const answer = await dashboard.ask({ kind: 'channels', ...request });
        return await jsonPage(answer ?? { error: NO_ANSWER }, answer === undefined ? 503 : 200);
      }),
    ],
    [
      '/dashboard/channel',
      'JSON: a channel and its subscriptions: name',
      made.handler(async ({ query }) => {
        const answer = await dashboard.ask({ kind: 'channel', name: query.get('name') ?? '' });
        const status = answer === undefined ? 503 : 'error' in answer ? 404 : 200;
        return await jsonPage(answer ?? { error: NO_ANSWER }, status);
      }),
    ],
  ];
}

function statePage({ group, summary, history }: DashboardState): Promise<Page> {
  const columns = function* (): Generator<[string, JsonLine]> {
    for (const [name, values] of history) yield [name, new JsonLine(values)];
  };
  return jsonPage(
    new JsonObject([
      ['group', group],
      ['summary', summary],
      ['history', new JsonObject(columns())],
    ]),
  );
}

/**
 * Serves a file that does not change while the process runs.
 *
 * @param isGood called for each request. If it is false the status is 503, for programs; a browser shows the page all the same
 */
function page(path: () => string, isGood = (): boolean => true): Handler {
  let content: Promise<string> | undefined;
  return async (_request, response) => {
    content ??= readFile(path(), 'utf8');
    const type = TYPES[extname(path())];
    const text = await content;
    if (isGood()) send(response, 200, type, text, HEADERS);
    else send(response, 503, type, text, { ...HEADERS, ...RETRY_HEADERS });
  };
}
