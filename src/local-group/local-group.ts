import { withoutOptions } from '../config/env.js';
import type { Credentials } from '../config/nats-options.js';
import type { NatsServerConfig } from '../config/serve-config.js';
import type { Logger } from '../log/logger.js';
import { SupervisedServer } from '../nats/supervised-server.js';
import { BrokerProcess } from './broker-process.js';
import { checkPortIsFree, freePort } from './free-port.js';

export interface LocalGroupOptions {
  nodes: number;
  dir: string;
  /** Port of the first nats-server; the others have the ports after it. 0 takes free ports. */
  port: number;
  /** HTTP port of the first broker; undefined is no HTTP. */
  httpPort: number | undefined;
  clusterId: string;
  group: string;
  /** More flags of `serve`. */
  flags: readonly string[];
  /** Environment of the brokers [that of this process, without options of brokers]. */
  environment?: NodeJS.ProcessEnv;
  /** The credentials that the nats-servers require. */
  credentials?: Credentials;
  /** Program to start as nats-server [nats-server]. */
  binary?: string;
  /**
   * For drills: each broker knows only the nats-server beside it, so that pausing that server cuts off one broker. Clients get one
   * more nats-server, without a broker beside it.
   */
  isCuttable?: boolean;
  log: Logger;
  onLine(node: string, line: string): void;
}

const HOST = '127.0.0.1';
const NO_CREDENTIALS: Credentials = { user: undefined, pass: undefined, token: undefined };

/**
 * A group on this machine: brokers in processes of their own that share a store, each beside a nats-server, and routes between the
 * nats-servers. The nats-servers are children of this process, so that clients stay connected when a broker dies.
 */
export class LocalGroup {
  /** `servers[i]` is beside `brokers[i]`. */
  readonly servers: SupervisedServer[] = [];
  readonly brokers: BrokerProcess[] = [];
  readonly #options: LocalGroupOptions;
  #clientServer: SupervisedServer | undefined;

  private constructor(options: LocalGroupOptions) {
    this.#options = options;
  }

  /** @throws Error if a port is taken, or there is no nats-server */
  static async start(options: LocalGroupOptions): Promise<LocalGroup> {
    const group = new LocalGroup(options);
    try {
      await group.#start();
    } catch (error) {
      await group.stop();
      throw error;
    }
    return group;
  }

  /** The URLs for clients. */
  get urls(): string[] {
    return this.#clientServer === undefined ? this.servers.map(({ url }) => url) : [this.#clientServer.url];
  }

  /** Stops the brokers, then the nats-servers. @param last the node to stop last: the active */
  async stop(last?: string): Promise<void> {
    const others = this.brokers.filter(({ node }) => node !== last);
    await Promise.all(others.map((broker) => broker.stop()));
    await Promise.all(this.brokers.map((broker) => broker.stop()));
    await Promise.all([...this.servers, this.#clientServer].map((server) => server?.stop()));
  }

  async #start(): Promise<void> {
    const { nodes, port, httpPort, isCuttable = false } = this.#options;
    const numbers = Array.from({ length: nodes }, (_, i) => i);
    for (const i of numbers) {
      if (port > 0) await checkPortIsFree(port + i, `nats-server ${i + 1} of the group`);
      if (httpPort !== undefined && httpPort > 0)
        await checkPortIsFree(httpPort + i, `HTTP of broker ${i + 1}`);
    }
    const serverCount = isCuttable ? nodes + 1 : nodes;
    const clusterPorts = await Promise.all(Array.from({ length: serverCount }, () => freePort()));
    const routes = clusterPorts.map((clusterPort) => `nats://${HOST}:${clusterPort}`);
    for (const i of numbers) this.servers.push(await this.#startServer(port > 0 ? port + i : 0, routes, i));
    if (isCuttable) this.#clientServer = await this.#startServer(0, routes, nodes);
    for (const i of numbers) this.brokers.push(this.#startBroker(i));
  }

  #startServer(port: number, routes: readonly string[], i: number): Promise<SupervisedServer> {
    const { isCuttable = false, binary = 'nats-server', credentials = NO_CREDENTIALS, log } = this.#options;
    const config: NatsServerConfig = {
      binary,
      host: HOST,
      port,
      clusterUrl: routes[i],
      clusterName: 'stanchion-local',
      // Each server has routes to the earlier ones: one route per pair, which nats-server restores, and no error for one that is not up yet.
      routes: routes.slice(0, i),
      configFile: undefined,
      // Otherwise brokers would learn of the other servers.
      flags: isCuttable ? ['--no_advertise'] : [],
    };
    return SupervisedServer.start({ config, credentials, logger: log });
  }

  #startBroker(i: number): BrokerProcess {
    const { dir, httpPort, clusterId, group, flags, isCuttable = false, onLine } = this.#options;
    const node = `stan-${i + 1}`;
    const urls = this.servers.map(({ url }) => url);
    // The broker's own server comes first, the others are its fallbacks.
    const servers = isCuttable ? [urls[i]] : [...urls.slice(i), ...urls.slice(0, i)];
    const argv = [
      ...[
        '--cluster-id',
        clusterId,
        '--ft-group',
        group,
        '--node-name',
        node,
        '--store',
        'file',
        '--dir',
        dir,
      ],
      ...['--nats-server', servers.join(','), '--nats-in-order'],
      ...(httpPort === undefined ? [] : ['--http-port', String(httpPort === 0 ? 0 : httpPort + i)]),
      ...flags,
    ];
    const environment = this.#options.environment ?? withoutOptions(process.env);
    return new BrokerProcess({ node, argv, environment, onLine });
  }
}
