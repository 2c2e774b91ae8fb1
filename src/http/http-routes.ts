import type { Dashboard } from '../dashboard/dashboard.js';
import type { Metrics } from '../metrics/metrics.js';
import type { ChannelsByName } from '../monitor/channels-by-name.js';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import type { NatsMonitoring } from '../nats/monitoring.js';
import { type Handler, send, sendText } from './answer.js';
import { channelsz } from './channelsz.js';
import { clientsz } from './clientsz.js';
import { dashboardRoutes } from './dashboard-routes.js';
import { healthz, readyz } from './health.js';
import { jsonPage } from './json-page.js';
import { natsPages } from './nats-pages.js';
import { onceStarted } from './once-started.js';
import { type Page, PageMaker } from './page-maker.js';
import { serverz } from './serverz.js';
import { storez } from './storez.js';

export interface Route {
  /** Description for the list of paths; undefined to leave the path out. */
  readonly about: string | undefined;
  readonly handle: Handler;
}

/** The sources of the pages. */
export interface Sources {
  readonly node: MonitoredNode;
  readonly byName: ChannelsByName;
  readonly metrics: Metrics;
  readonly dashboard: Dashboard;
  readonly natsMonitoring: () => NatsMonitoring;
}

/** Every path. All of them only read. */
export function routesOf(sources: Sources): ReadonlyMap<string, Route> {
  const { node, byName, metrics, dashboard, natsMonitoring } = sources;
  const routes = new Map<string, Route>();
  const page: Handler = (_request, response) => send(response, 200, HTML, indexPage(node.name, routes));
  const add = (path: string, about: string | undefined, handle: Handler): void => {
    routes.set(path, { about, handle });
  };
  const addOnceStarted = (path: string, about: string, handle: Handler): void =>
    add(path, about, onceStarted(node, handle));
  for (const [path, about, handle] of dashboardRoutes(dashboard)) add(path, about, handle);
  add('/livez', 'the process runs', (_request, response) => sendText(response, 200, 'ok'));
  add('/healthz', 'it does its part, or is about to', (_request, response) => healthz(node, response));
  add('/readyz', 'it does its part now', (_request, response) => readyz(node, response));
  const made = new PageMaker();
  const scrape = async (): Promise<Page> => {
    const { contentType, pieces } = await metrics.scrape();
    return { status: 200, type: contentType, pieces, isKept: true };
  };
  add('/metrics', 'for Prometheus', made.handler(scrape));
  addOnceStarted('/streaming', 'this list', page);
  addOnceStarted(
    '/streaming/serverz',
    'the server as a whole',
    made.handler(async () => jsonPage(await serverz(node))),
  );
  addOnceStarted(
    '/streaming/storez',
    'the store and its limits',
    made.handler(async () => jsonPage(await storez(node))),
  );
  addOnceStarted(
    '/streaming/clientsz',
    'clients: offset, limit, client=ID, subs=1',
    made.handler((request) => clientsz(node, request)),
  );
  addOnceStarted(
    '/streaming/channelsz',
    'channels: offset, limit, channel=NAME, subs=1',
    made.handler((request) => channelsz(node, byName, request)),
  );
  addOnceStarted('/streaming/isFTActive', '200 on the active of a group, else 204', (_request, response) => {
    const isActive = node.state === 'FT_ACTIVE';
    const length = isActive ? { 'Content-Length': 0 } : {};
    response.writeHead(isActive ? 200 : 204, { 'Cache-Control': 'no-store', ...length }).end();
  });
  const isAttached = natsMonitoring().kind === 'attached';
  for (const [path, about, handle] of natsPages(natsMonitoring, node)) {
    add(path, isAttached ? undefined : about, handle);
  }
  return routes;
}

/** The paths with their descriptions, one per line. */
export function listOf(routes: ReadonlyMap<string, Route>): string {
  return listed(routes)
    .map(([path, about]) => `  ${path.padEnd(LIST_WIDTH)}${about}`)
    .join('\n');
}

function listed(routes: ReadonlyMap<string, Route>): [path: string, about: string][] {
  return [...routes].flatMap(([path, { about }]) => (about === undefined ? [] : [[path, about]]));
}

const HTML = 'text/html; charset=utf-8';
const LIST_WIDTH = 24;

function indexPage(nodeName: string, routes: ReadonlyMap<string, Route>): string {
  const rows = listed(routes).map(
    ([path, about]) => `<tr><td><a href="${path}">${path}</a></td><td>${about}</td></tr>`,
  );
  const title = escapeHtml(`stanchion ${nodeName}`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${title}</title>
<h1>${title}</h1>
<table>
${rows.join('\n')}
</table>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
