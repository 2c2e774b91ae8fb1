// The monitoring pages of the supervised nats-server, passed on under their paths.

import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import type { NatsMonitoring } from '../nats/monitoring.js';
import { type Handler, type HttpRequest, sendPieces, sendText } from './answer.js';
import { notYet, RETRY_HEADERS } from './once-started.js';

const OF_SUBSZ = ['subs', 'test', 'acc', 'offset', 'limit'];

/**
 * The pages that are passed on, with the parameters that are: the Go server has the same ones, for the nats-server inside it. All of them
 * only read. A parameter that a later nats-server may have is not passed on: what it shows is not known.
 */
const PAGES: readonly [path: string, about: string, parameters: readonly string[]][] = [
  ['/varz', 'nats-server: as a whole', []],
  [
    '/connz',
    'nats-server: connections',
    ['subs', 'cid', 'state', 'user', 'acc', 'filter_subject', 'mqtt_client', 'sort', 'offset', 'limit'],
  ],
  ['/routez', 'nats-server: routes', ['subs']],
  ['/subsz', 'nats-server: subscriptions', OF_SUBSZ],
  ['/subscriptionsz', 'same as /subsz', OF_SUBSZ],
  ['/gatewayz', 'nats-server: gateways', ['accs', 'acc_name', 'gw_name']],
  ['/leafz', 'nats-server: leaf nodes', ['subs', 'acc']],
  ['/accountz', 'nats-server: accounts', ['acc']],
];

export interface PageLimits {
  /** Limit for a whole answer. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
}

/** In /connz a connection takes a kilobyte, and more with its subscriptions. */
const LIMITS: PageLimits = { timeoutMs: 20_000, maxBytes: 64 * 1024 * 1024 };

/**
 * The monitoring pages of the nats-server that the broker supervises.
 *
 * @param where returns where the pages are at the moment
 * @param node the broker: until its start is complete there are no pages
 */
export function natsPages(
  where: () => NatsMonitoring,
  node: Pick<MonitoredNode, 'isStarted' | 'health' | 'nats'>,
  limits = LIMITS,
): [path: string, about: string, handle: Handler][] {
  return PAGES.map(([path, about, parameters]) => [
    path,
    about,
    async (request, response) => {
      if (asksForSecrets(request)) return sendText(response, 403, SECRETS);
      const monitoring = where();
      switch (monitoring.kind) {
        case 'on':
          // The nats-server runs long before the broker serves.
          if (!node.isStarted) return notYet(node, response);
          return passOn(pageUrl(path, monitoring.url, request, parameters), response, limits);
        case 'attached':
          return sendText(response, 404, elsewhere(path, node.nats.server));
        case 'off':
          return sendText(response, 404, OFF);
        case 'starting':
          return sendText(
            response,
            503,
            'the nats-server of this broker is starting: try again',
            RETRY_HEADERS,
          );
      }
    },
  ]);
}

/** A request with a callback is answered as one without: the answer would be a script, which any web site may run and read. */
function pageUrl(path: string, base: string, { query }: HttpRequest, parameters: readonly string[]): URL {
  const url = new URL(path, base);
  for (const [name, value] of query) if (parameters.includes(name)) url.searchParams.append(name, value);
  return url;
}

/** Whether the page is to say what each client has shown, which may be a token. */
function asksForSecrets({ query }: HttpRequest): boolean {
  return query.getAll('auth').some((value) => !/^(0|f|false)?$/i.test(value));
}

async function passOn(
  url: URL,
  response: ServerResponse,
  { timeoutMs, maxBytes }: PageLimits,
): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs);
  const options = { method: response.req.method === 'HEAD' ? 'HEAD' : 'GET', agent: false, signal };
  // The server is our own child on this machine. Its certificate is for other names, under which others reach it.
  const sent =
    url.protocol === 'https:'
      ? tlsRequest(url, { ...options, rejectUnauthorized: false })
      : request(url, options);
  // The wait for the answer, and the answer itself, report errors.
  sent.on('error', () => {});
  response.once('close', () => sent.destroy());
  let answer: IncomingMessage;
  try {
    sent.end();
    [answer] = (await once(sent, 'response')) as [IncomingMessage];
  } catch (error) {
    if (response.destroyed) return;
    if (signal.aborted) sendText(response, 504, `nats-server has not answered within ${timeoutMs} ms`);
    else
      sendText(
        response,
        503,
        `nats-server does not answer: ${error instanceof Error ? error.message : error}`,
      );
    return;
  }
  const type = answer.headers['content-type'] ?? 'application/octet-stream';
  try {
    await sendPieces(response, type, atMost(maxBytes, answer, url.pathname), answer.statusCode);
  } catch (error) {
    // It is no problem if the client is gone.
    if (!response.destroyed) throw error;
  }
}

async function* atMost(maxBytes: number, body: IncomingMessage, path: string): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > maxBytes)
      throw new Error(`${path} of nats-server has more than ${maxBytes} bytes: ask for a part by limit`);
    yield chunk;
  }
}

function elsewhere(path: string, server: string): string {
  const which =
    server === '' ? 'the NATS server that this broker is to be attached to' : `the NATS server at ${server}`;
  return (
    `${path} is a page of a nats-server, and this broker is attached to one that it did not start: ` +
    `ask the monitoring port of ${which} (its http_port, if it has one; often 8222)`
  );
}

const SECRETS =
  'auth is not passed on: nats-server would show the tokens of its clients. Ask its own monitoring port, from its machine; /varz has the port as http_port';

const OFF =
  'the nats-server of this broker has no monitoring: in the file of --nats-config set http: "127.0.0.1:-1" (or another ' +
  'address), or leave http and http_port away. With --auth it has none unless that file sets it: any user of the machine could read the ' +
  'token there. With --user and --pass it has';
