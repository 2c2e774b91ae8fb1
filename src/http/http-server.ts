// The HTTP server of a broker: health, metrics, monitoring pages and the dashboard.

import type { EventEmitter } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { hostname } from 'node:os';
import type { Clock } from '../clock/clock.js';
import type { HttpAccess, HttpTlsConfig } from '../config/serve-config.js';
import { Dashboard } from '../dashboard/dashboard.js';
import type { Logger } from '../log/logger.js';
import { RateLimitedLog } from '../log/rate-limited.js';
import { Metrics } from '../metrics/metrics.js';
import { ChannelsByName } from '../monitor/channels-by-name.js';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import type { NatsMonitoring } from '../nats/monitoring.js';
import { assert } from '../util/assert.js';
import { AccessGuard } from './access.js';
import { sendText } from './answer.js';
import { Certificate } from './certificate.js';
import { HostGuard, isLoopback } from './host-guard.js';
import { listOf, type Route, routesOf } from './http-routes.js';
import { PacedSocket, Pacer } from './paced-socket.js';

export interface HttpServerOptions {
  /** Address or name to listen on. */
  host: string;
  /** 0 takes a free port. */
  port: number;
  /** Names under which it answers: see HostGuard. Undefined for the default. */
  allowedHosts: readonly string[] | undefined;
  /** Undefined for plain HTTP. */
  tls: HttpTlsConfig | undefined;
  /** Undefined if anyone who reaches the port may read. */
  access: HttpAccess | undefined;
  node: MonitoredNode;
  /** Called for each request for a page of the nats-server. */
  natsMonitoring: () => NatsMonitoring;
  /** How many channels have their own series in /metrics. */
  maxChannelSeries: number;
  log: Logger;
  clock: Clock;
}

const MAX_HEADER_BYTES = 8 * 1024;
const MAX_HEADERS = 64;
const MAX_CONNECTIONS = 128;
/** Limit for receiving a request. */
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 15_000;
/** A connection is closed after this time without a byte in either direction. */
const IDLE_TIMEOUT_MS = 30_000;
const CHECK_INTERVAL_MS = 2_000;

/** The HTTP server. It gives read-only access: it accepts GET and HEAD, and reads no body. */
export class HttpServer {
  readonly #server: Server | TlsServer;
  readonly #certificate: Certificate | undefined;
  readonly #guard: AccessGuard | undefined;
  readonly #allowedHosts: readonly string[] | undefined;
  /** Undefined if the server answers under any name, since it has another protection. */
  #hosts: HostGuard | undefined;
  /** All connections. Node's server does not know those in a TLS handshake. */
  readonly #sockets = new Set<Socket>();
  /** Public for the group: the active answers the dashboards of all members. */
  readonly dashboard: Dashboard;
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #errors: RateLimitedLog;

  private constructor(options: HttpServerOptions) {
    const { node, natsMonitoring, maxChannelSeries, tls, access, log } = options;
    const byName = new ChannelsByName();
    const metrics = new Metrics(node, byName, maxChannelSeries);
    this.dashboard = new Dashboard(node, (thrown) =>
      this.#errors.note('the dashboard has failed', () => ({ err: thrown })),
    );
    this.#routes = routesOf({ node, byName, metrics, dashboard: this.dashboard, natsMonitoring });
    this.#errors = new RateLimitedLog(log, options.clock);
    this.#guard = access && new AccessGuard(access);
    this.#allowedHosts = options.allowedHosts;
    const settings = {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
    };
    const handle = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#handle(request, response).catch(() => response.destroy());
    if (tls === undefined) this.#server = createServer(settings, handle);
    else {
      const certificate = new Certificate(tls, log);
      const { current } = certificate;
      const server = createTlsServer(
        { ...settings, ...current, handshakeTimeout: REQUEST_TIMEOUT_MS },
        handle,
      );
      certificate.watch((pair) => server.setSecureContext(pair));
      this.#certificate = certificate;
      this.#server = server;
    }
    this.#pace(tls === undefined ? 'connection' : 'secureConnection');
    this.#server.on('connection', (socket: Socket) => {
      // The oldest connection is closed: refusing the new one could refuse a liveness probe, and so end the process.
      const [oldest] = this.#sockets;
      if (oldest !== undefined && this.#sockets.size >= MAX_CONNECTIONS) {
        this.#sockets.delete(oldest);
        oldest.destroy();
      }
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server.maxHeadersCount = MAX_HEADERS;
    this.#server.timeout = IDLE_TIMEOUT_MS;
  }

  /** Hands each connection to Node's own listener as a `PacedSocket`. @param event of the server, for a connection */
  #pace(event: 'connection' | 'secureConnection'): void {
    const server: EventEmitter = this.#server;
    const pacer = new Pacer();
    const listeners = server.listeners(event);
    assert(listeners.length > 0, 'a server for HTTP listens for connections');
    server.removeAllListeners(event);
    server.on(event, (socket: Socket) => {
      const paced = new PacedSocket(socket, pacer);
      for (const listener of listeners) listener.call(server, paced);
    });
  }

  /** @throws Error naming the address, and saying what to do, if the server cannot listen there */
  static async start(options: HttpServerOptions): Promise<HttpServer> {
    const http = new HttpServer(options);
    try {
      await http.#listen(options.host, options.port);
      http.dashboard.start();
    } catch (error) {
      http.#certificate?.unwatch();
      throw error;
    }
    const hosts = http.#hosts?.answers;
    options.log.info(
      { url: http.url, ...(hosts !== undefined && { hosts }) },
      'HTTP: health, metrics and monitoring',
    );
    return http;
  }

  get url(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    const scheme = this.#certificate === undefined ? 'http' : 'https';
    return `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  /** Reads its certificate again, if it has one. */
  reload(): void {
    this.#certificate?.reload();
  }

  /** Closes all connections, also those with an unfinished answer. Idempotent. */
  async close(): Promise<void> {
    this.#certificate?.unwatch();
    this.dashboard.close();
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeAllConnections();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #listen(host: string, port: number): Promise<void> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException): void => {
        reject(new Error(`cannot listen for HTTP on ${host}:${port}: ${explain(error)}`, { cause: error }));
      };
      server.once('error', onError);
      server.listen(port, host, () => {
        server.off('error', onError);
        const { address } = server.address() as AddressInfo;
        // With TLS the browser refuses a page of another name for the certificate; with a secret the page has none to show.
        const isOpen = this.#guard === undefined && this.#certificate === undefined;
        if (isOpen || this.#allowedHosts !== undefined) {
          this.#hosts = new HostGuard({
            listensOn: host,
            isLoopback: isLoopback(address),
            machine: hostname(),
            allowed: this.#allowedHosts ?? [],
          });
        }
        // From now on an error concerns a single connection that could not be accepted.
        server.on('error', (error) => this.#errors.note('HTTP', () => ({ err: error })));
        resolve();
      });
    });
  }

  async #handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = message;
    if (socket instanceof PacedSocket) {
      socket.asked();
      response.once('close', () => socket.answered());
    }
    try {
      const method = message.method ?? '';
      if (method !== 'GET' && method !== 'HEAD') {
        sendText(response, 405, `${method} is not allowed: access is read-only, with GET and HEAD`, {
          Allow: 'GET, HEAD',
          // A body may follow, and is not read.
          Connection: 'close',
        });
        return;
      }
      const url = urlOf(message.url ?? '');
      if (url === undefined) {
        sendText(response, 400, 'the path of the request is not a valid URL');
        return;
      }
      if (!OPEN_PATHS.has(url.pathname) && this.#guard?.admits(message.headers.authorization) === false) {
        // A request without credentials is most often from a browser, which then asks its user.
        if (message.headers.authorization !== undefined) {
          this.#errors.note('an HTTP request came with a wrong secret', () => ({
            from: message.socket.remoteAddress,
            path: url.pathname,
          }));
        }
        const challenges = { 'WWW-Authenticate': [...this.#guard.challenges] };
        sendText(response, 401, 'this page needs a user and password, or a token', challenges);
        return;
      }
      if (!OPEN_PATHS.has(url.pathname) && this.#hosts?.admits(message.headers.host) === false) {
        this.#errors.note('an HTTP request asked for another host', () => ({
          from: message.socket.remoteAddress,
          host: message.headers.host,
          path: url.pathname,
        }));
        sendText(response, 421, otherHost(message.headers.host));
        return;
      }
      const route = this.#routes.get(url.pathname);
      if (route === undefined) {
        sendText(response, 404, `there is no ${url.pathname}. There are:\n${listOf(this.#routes)}`);
        return;
      }
      const target = `${url.pathname}${url.search}`;
      await route.handle({ query: url.searchParams, target, connection: message.socket }, response);
    } catch (error) {
      this.#errors.note('an HTTP request could not be answered', () => ({ err: error, path: message.url }));
      if (response.headersSent) response.destroy();
      else sendText(response, 500, 'the request failed: the log says why');
    }
  }
}

const BASE = 'http://localhost';

/** @returns undefined if it is not valid, and for `//healthz`, which would be the path `/` of a host named healthz */
function urlOf(target: string): URL | undefined {
  return !target.startsWith('//') && URL.canParse(target, BASE) ? new URL(target, BASE) : undefined;
}

function otherHost(host: string | undefined): string {
  return (
    `the request is for the host "${host}", which could be a page of the web that leads here: ` +
    'use localhost or an address; allow the name by --http-allowed-hosts; have a reverse proxy send "Host: localhost"; ' +
    'or set --http-user and --http-pass, or --http-token: then any name will do'
  );
}

/**
 * The paths for probes, which have no credentials and may have any Host. They show the name of the node and of its cluster, and what
 * is wrong.
 */
const OPEN_PATHS = new Set(['/livez', '/healthz', '/readyz']);

function explain(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return 'the port is taken. Stop what listens there, or choose another --http-port';
    case 'EACCES':
      return 'not permitted. Choose an --http-port above 1023';
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return 'this machine has no such address. Choose another --http-addr';
    default:
      return error.message;
  }
}
