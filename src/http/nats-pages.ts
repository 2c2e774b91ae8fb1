import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import type { NatsMonitoring } from '../nats/monitoring.js';
import { type Handler, type HttpRequest, sendPieces, sendText } from './answer.js';
import { notYet, RETRY_HEADERS } from './once-started.js';

/** What the Go server answered for the nats-server inside it, and all that is passed on: they read, none changes anything. */
const PAGES = [
  ['/varz', 'nats-server: as a whole'],
  ['/connz', 'nats-server: connections'],
  ['/routez', 'nats-server: routes'],
  ['/subsz', 'nats-server: subscriptions'],
  ['/subscriptionsz', 'the same as /subsz'],
  ['/gatewayz', 'nats-server: gateways'],
  ['/leafz', 'nats-server: leaf nodes'],
  ['/accountz', 'nats-server: accounts'],
] as const;

export interface PageLimits {
  /** For an answer as a whole. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
}

/** A connection of a nats-server is a kilobyte, with its subscriptions some more. */
const LIMITS: PageLimits = { timeoutMs: 20_000, maxBytes: 64 * 1024 * 1024 };

/**
 * The monitoring pages of the nats-server that the broker supervises.
 *
 * @param where it has them at the moment
 * @param node whose pages they are: until its start is complete there are none
 */
export function natsPages(
  where: () => NatsMonitoring,
  node: Pick<MonitoredNode, 'isStarted' | 'health' | 'nats'>,
  limits = LIMITS,
): [path: string, about: string, handle: Handler][] {
  return PAGES.map(([path, about]) => [
    path,
    about,
    async (request, response) => {
      const monitoring = where();
      switch (monitoring.kind) {
        case 'on':
          // Its server runs long before it serves.
          if (!node.isStarted) return notYet(node, response);
          return passOn(new URL(path, monitoring.url), request, response, limits);
        case 'attached':
          return sendText(response, 404, elsewhere(path, node.nats.server));
        case 'off':
          return sendText(response, 404, OFF);
        case 'starting':
          return sendText(
            response,
            503,
            'the nats-server of this broker does not run yet, or not again: try again',
            RETRY_HEADERS,
          );
      }
    },
  ]);
}

async function passOn(
  url: URL,
  { query }: HttpRequest,
  response: ServerResponse,
  { timeoutMs, maxBytes }: PageLimits,
): Promise<void> {
  url.search = query.toString();
  // It would make a script of the answer, which any web site may run and read.
  url.searchParams.delete('callback');
  const signal = AbortSignal.timeout(timeoutMs);
  const options = { method: response.req.method === 'HEAD' ? 'HEAD' : 'GET', agent: false, signal };
  // Our own child, at its address of this machine: its certificate is for others, by other names.
  const sent =
    url.protocol === 'https:'
      ? tlsRequest(url, { ...options, rejectUnauthorized: false })
      : request(url, options);
  // Told by the wait for the answer, and by the answer itself.
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
    // Whoever asked may have gone, which is no problem.
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

const OFF =
  'the nats-server of this broker has no monitoring: in the file of --nats-config set http: "127.0.0.1:-1" (or another ' +
  'address), or leave http and http_port away';
