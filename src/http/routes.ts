import type { Dashboard } from '../dashboard/dashboard.js';
import { dashboardRoutes } from '../dashboard/routes.js';
import type { Metrics } from '../metrics/metrics.js';
import { type Handler, send, sendJson, sendPieces, sendText } from './answer.js';
import type { ChannelsByName } from './channels-by-name.js';
import { channelsz } from './channelsz.js';
import { clientsz } from './clientsz.js';
import { healthz, readyz } from './health.js';
import type { MonitoredNode } from './node.js';
import { serverz } from './serverz.js';
import { storez } from './storez.js';

export interface Route {
  readonly about: string;
  readonly handle: Handler;
}

/** What the paths tell of. */
export interface Sources {
  readonly node: MonitoredNode;
  readonly byName: ChannelsByName;
  readonly metrics: Metrics;
  readonly dashboard: Dashboard;
}

/** Every path there is. All of them read, none changes anything. */
export function routesOf({ node, byName, metrics, dashboard }: Sources): ReadonlyMap<string, Route> {
  const routes = new Map<string, Route>();
  const page: Handler = (_request, response) => send(response, 200, HTML, indexPage(node.name, routes));
  const add = (path: string, about: string, handle: Handler): void => {
    routes.set(path, { about, handle });
  };
  for (const [path, about, handle] of dashboardRoutes(dashboard)) add(path, about, handle);
  add('/livez', 'the process turns', (_request, response) => sendText(response, 200, 'ok'));
  add('/healthz', 'it does its part, or is about to', (_request, response) => healthz(node, response));
  add('/readyz', 'it does its part now', (_request, response) => readyz(node, response));
  add('/metrics', 'for Prometheus', async (_request, response) => {
    const { contentType, pieces } = await metrics.scrape();
    await sendPieces(response, contentType, pieces);
  });
  add('/streaming', 'this list', page);
  add('/streaming/serverz', 'the server as a whole', async (_request, response) =>
    sendJson(response, 200, await serverz(node)),
  );
  add('/streaming/storez', 'the store and its limits', (_request, response) =>
    sendJson(response, 200, storez(node)),
  );
  add('/streaming/clientsz', 'clients: offset, limit, client=ID, subs=1', (request, response) =>
    clientsz(node, request, response),
  );
  add('/streaming/channelsz', 'channels: offset, limit, channel=NAME, subs=1', (request, response) =>
    channelsz(node, byName, request, response),
  );
  add('/streaming/isFTActive', '200 on the active of a group, else 204', (_request, response) => {
    const isActive = node.state === 'FT_ACTIVE';
    const length = isActive ? { 'Content-Length': 0 } : {};
    response.writeHead(isActive ? 200 : 204, { 'Cache-Control': 'no-store', ...length }).end();
  });
  return routes;
}

/** The paths and what they are for, one on a line. */
export function listOf(routes: ReadonlyMap<string, Route>): string {
  return [...routes].map(([path, { about }]) => `  ${path.padEnd(LIST_WIDTH)}${about}`).join('\n');
}

const HTML = 'text/html; charset=utf-8';
const LIST_WIDTH = 24;

function indexPage(nodeName: string, routes: ReadonlyMap<string, Route>): string {
  const rows = [...routes].map(
    ([path, { about }]) => `<tr><td><a href="${path}">${path}</a></td><td>${about}</td></tr>`,
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
