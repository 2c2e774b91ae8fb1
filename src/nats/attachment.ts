import { type Clock, systemClock } from '../clock/clock.js';
import { NoAnswerError } from '../link/dial-link.js';
import type { Link } from '../link/link.js';
import type { ServerInfo } from '../link/server-info.js';
import type { Logger } from '../log/logger.js';
import type { NatsAttachmentOptions } from './attachment-options.js';
import { Backoff } from './backoff.js';
import { Connections } from './connections.js';
import type { ControlConnection } from './control-connection.js';
import { messageOf, NatsConfigError } from './credentials.js';
import type { Endpoint } from './dialer.js';
import { LameDuckMove } from './lame-duck-move.js';
import type { MovingLink } from './moving-link.js';
import { OutageLog } from './outage-log.js';
import { type Failure, RoundError, reasonOf } from './round-error.js';
import { ServerDoubt } from './server-doubt.js';
import { addressesOf, ServerList } from './server-list.js';

const FIRST_RETRY_MS = 50;
/** Limit between tries while servers are down, or files cannot be read. A try costs nothing. */
const MAX_RETRY_MS = 500;
/** Limit between tries while servers refuse the login: each try writes a line to their logs, and the configuration has to change. */
const MAX_REFUSED_RETRY_MS = 5_000;
const MAX_LINK_RETRY_MS = 2_000;
/** A link that lasted this long failed for another reason than the one before it. */
const SETTLED_MS = 5_000;
/** After so many failed links at a server, the control connection moves to another one. */
const MAX_LINK_TRIES_PER_SERVER = 4;
const FIRST_MOVE_MS = 250;
/** Limit between tries to find another server while this one is about to stop. */
const MAX_MOVE_RETRY_MS = 2_000;

/**
 * The NATS transport of a broker: a control connection and a data link at the same server, with the same TLS options and
 * credentials. It finds a server, and another one each time the server is lost, until it is closed.
 */
export class NatsAttachment {
  private readonly options: NatsAttachmentOptions;
  private readonly clock: Clock;
  private readonly random: () => number;
  private readonly logger: Logger;
  private readonly servers: ServerList;
  private readonly controlBackoff: Backoff;
  private readonly linkBackoff: Backoff;
  private readonly moveBackoff: Backoff;
  private readonly outage: OutageLog;
  private readonly connections: Connections;
  private readonly doubt: ServerDoubt;
  private readonly move: LameDuckMove;
  /** Whether there was a link at this server, or a try: then the next try waits a moment. */
  private isLinkRetry = false;
  /** Whether to leave the server: the next control connection goes to another one, if that can be reached. */
  private isLeaving = false;
  private onChange: (() => void) | undefined;
  private onFirstLink: (() => void) | undefined;

  /** @throws NatsConfigError if a file that the configuration names cannot be used */
  constructor(options: NatsAttachmentOptions) {
    const { config } = options;
    this.options = options;
    this.clock = options.clock ?? systemClock;
    this.random = options.random ?? Math.random;
    this.logger = options.logger.child({ component: 'nats' });
    this.controlBackoff = new Backoff(this.clock, this.random, FIRST_RETRY_MS, MAX_RETRY_MS);
    this.linkBackoff = new Backoff(this.clock, this.random, FIRST_RETRY_MS, MAX_LINK_RETRY_MS);
    this.moveBackoff = new Backoff(this.clock, this.random, FIRST_MOVE_MS, MAX_MOVE_RETRY_MS);
    this.outage = new OutageLog(this.logger, this.clock);
    if (config.servers.length === 0)
      throw new NatsConfigError('there is no NATS server to attach to: name one with --nats-server');
    this.servers = new ServerList(config.servers, config.inOrder, this.random);
    this.connections = new Connections(options, this.clock, this.logger, {
      onServerInfo: (info) => this.onServerInfo(info),
      onLinkLost: (lastedMs) => {
        if (lastedMs >= SETTLED_MS) this.linkBackoff.reset();
      },
      onChanged: () => this.changed(),
    });
    this.move = new LameDuckMove({
      ...{ connections: this.connections, logger: this.logger, backoff: this.moveBackoff },
      endpoints: () => this.endpoints(),
      onMoved: (endpoint, control, old) => this.hasMoved(endpoint, control, old),
    });
    const hasOthers = (): boolean => this.servers.round().length > 1;
    this.doubt = new ServerDoubt(this.connections, hasOthers, (why) => this.abandonServer(why));
  }

  /**
   * Connects. It resolves when `onLinkUp` has been called for the first time, or the transport is closed.
   *
   * @param signal closes the transport if it aborts before that
   * @throws Error naming the servers, if none can be reached and `waitOnFirstConnect` is not set
   */
  async start(signal?: AbortSignal): Promise<void> {
    const giveUp = (): void => void this.close();
    signal?.addEventListener('abort', giveUp);
    if (signal?.aborted) giveUp();
    const firstLink = new Promise<void>((resolve) => {
      this.onFirstLink = resolve;
    });
    try {
      if (this.options.waitOnFirstConnect) await this.connectControl();
      else await this.connectOnce();
      if (this.isClosed) return;
      this.keep().catch((thrown: unknown) => this.connections.broken(thrown));
      await firstLink;
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  /** Closes both connections, and drops unsent messages: call `link.flush` first to keep them. Idempotent. */
  close(): Promise<void> {
    this.connections.close();
    this.onFirstLink?.();
    this.changed();
    return Promise.resolve();
  }

  /**
   * The control connection, for rare messages: requests, status. It may be down; the next one is another object.
   *
   * @throws Error before `start` has connected
   */
  get control(): ControlConnection {
    const { control } = this.connections;
    if (control === undefined) throw new Error('not connected to NATS yet');
    return control;
  }

  /** Whether the control connection is up. */
  get isConnected(): boolean {
    return this.connections.isConnected;
  }

  /** The data link, while it is up. */
  get link(): MovingLink | undefined {
    return this.connections.link;
  }

  /** `host:port` of the server of the control connection, or of the last one; '' before the first. */
  get server(): string {
    return this.connections.server;
  }

  /** Closes both connections, since the server fails without closing them, and makes new ones, at another server if there is one. */
  abandonServer(why: string): void {
    if (!this.isConnected || this.isClosed) return;
    this.logger.warn({ server: this.server, why }, 'giving up the connections to the NATS server');
    this.connections.dropLink(why);
    this.isLeaving = true;
    this.connections.control?.close();
    this.changed();
  }

  /** The server answers on neither connection. */
  doubtServer(): Promise<void> {
    return this.doubt.raise();
  }

  /** Closes the data link alone. The next one is made at the same server, and subscribes to everything again. */
  renewLink(why: string): void {
    this.connections.dropLink(why);
  }

  /**
   * Replaces the control connection by a new one at the same server, which subscribes to everything again. If none can be made, the
   * old one stays.
   */
  renewControl(why: string): Promise<void> {
    return this.connections.renewControl(why);
  }

  /** Makes whichever connection is missing, until the transport is closed. */
  private async keep(): Promise<void> {
    while (!this.isClosed) {
      if (!this.isConnected) await this.connectControl();
      else if (!this.link) await this.makeLink();
      else if (this.connections.isLameDuck) await this.move.try();
      else await this.untilChange();
    }
  }

  private untilChange(): Promise<void> {
    return new Promise((resolve) => {
      this.onChange = resolve;
    });
  }

  private changed(): void {
    this.onChange?.();
    this.controlBackoff.wake();
    this.linkBackoff.wake();
    this.moveBackoff.wake();
  }

  /** Tries all servers again and again, until one accepts. */
  private async connectControl(): Promise<void> {
    const wasConnected = this.connections.endpoint !== undefined;
    while (!this.isClosed) {
      try {
        await this.tryServers();
        break;
      } catch (error) {
        if (this.isClosed) return;
        const { message, isRefused } = error as RoundError;
        this.outage.failed(this.options.config.servers.join(', '), message);
        await this.controlBackoff.wait(isRefused ? MAX_REFUSED_RETRY_MS : MAX_RETRY_MS);
      }
    }
    this.controlBackoff.reset();
    const tries = this.outage.succeeded();
    if (this.isClosed) return;
    if (wasConnected) this.logger.info({ server: this.server }, 'NATS control connection is back');
    else if (tries > 0) this.logger.info({ server: this.server, tries }, 'a NATS server can be reached now');
  }

  /** Tries each server once. @throws Error naming the servers and why each failed */
  private async connectOnce(): Promise<void> {
    try {
      await this.tryServers();
    } catch (error) {
      if (this.isClosed) return;
      const servers = this.options.config.servers.join(', ');
      throw new Error(
        `cannot connect to NATS at ${servers}: ${messageOf(error)}. Is a nats-server running there, and are credentials and TLS right?`,
        { cause: error },
      );
    }
  }

  /** Tries each server once. @throws RoundError */
  private async tryServers(): Promise<void> {
    const failures: Failure[] = [];
    for await (const endpoint of this.endpoints()) {
      if (this.isClosed) return;
      try {
        await this.tryServer(endpoint);
        return;
      } catch (error) {
        failures.push({ server: endpoint.server.name, error: reasonOf(error) });
      }
    }
    throw new RoundError(failures);
  }

  /** Dials the link first, since it can be given up and says why it fails. If it is up, the control connection follows. */
  private async tryServer(endpoint: Endpoint): Promise<void> {
    const isThere = this.connections.endpoint === endpoint && this.link?.isUp === true;
    const link = isThere ? undefined : await this.connections.dialLink(endpoint);
    const { serverInfo } = (link ?? this.link) as Link | MovingLink;
    let control: ControlConnection | undefined;
    try {
      control = await this.connections.dialControl(endpoint, serverInfo);
    } finally {
      if (control === undefined || this.isClosed) link?.close();
    }
    if (this.isClosed) {
      control.close();
      return;
    }
    this.arrive(endpoint, control);
    if (link === undefined) return;
    if (this.link === undefined && link.isUp) this.useLink(link);
    else link.close();
  }

  /** The servers to try: that of the data link if it is up, then the servers behind the last one. */
  private async *endpoints(): AsyncGenerator<Endpoint> {
    const { endpoint } = this.connections;
    if (endpoint !== undefined && !this.isLeaving && (await this.connections.isLinkAnswered()))
      yield endpoint;
    for (const server of this.servers.round()) {
      for (const address of await addressesOf(server.host, this.random)) yield { server, address };
    }
  }

  private arrive(endpoint: Endpoint, control: ControlConnection): void {
    const { connections } = this;
    connections.endpoint = endpoint;
    this.isLeaving = false;
    this.servers.take(endpoint.server);
    this.onServerInfo(control.serverInfo);
    const { link } = connections;
    if (link !== undefined && link.serverInfo.serverId !== control.serverInfo.serverId)
      connections.dropLink(`following the control connection to ${this.server}`);
    this.isLinkRetry = false;
    this.moveBackoff.reset();
    connections.useControl(control);
  }

  /** Tries once to make a link to the server of the control connection. */
  private async makeLink(): Promise<void> {
    const { endpoint, control } = this.connections;
    if (endpoint === undefined) return;
    if (this.isLinkRetry) {
      await this.linkBackoff.wait();
      if (this.isClosed || this.connections.control !== control || !this.isConnected) return;
    }
    this.isLinkRetry = true;
    try {
      const link = await this.connections.dialLinkBesideControl(endpoint, this.linkBackoff.count);
      if (this.isClosed || this.connections.control !== control || !link.isUp) link.close();
      else this.useLink(link);
    } catch (error) {
      // The same cause often ends both connections, and the package takes a moment to report its own. Then it is logged once.
      await Promise.race([control?.flush().catch(() => {}), this.untilChange()]);
      if (this.isClosed || this.connections.control !== control || !this.isConnected) return;
      this.linkFailed(error as Error);
    }
  }

  private linkFailed(error: Error): void {
    this.logger.warn({ server: this.server, reason: messageOf(error) }, 'no data link to NATS: trying again');
    const isLastTry = this.linkBackoff.count % MAX_LINK_TRIES_PER_SERVER === MAX_LINK_TRIES_PER_SERVER - 1;
    const isUnanswered = error.cause instanceof NoAnswerError;
    if (isLastTry || isUnanswered) this.leaveServer('the data link cannot be made there');
  }

  private useLink(link: Link): void {
    if (this.connections.useLink(link)) this.onFirstLink?.();
  }

  private get isClosed(): boolean {
    return this.connections.isClosed;
  }

  private onServerInfo({ connectUrls, lameDuck }: ServerInfo): void {
    this.servers.discover(connectUrls);
    if (lameDuck) this.changed();
  }

  private hasMoved(endpoint: Endpoint, control: ControlConnection, old: ControlConnection): void {
    const from = this.server;
    this.connections.endpoint = endpoint;
    this.servers.take(endpoint.server);
    this.onServerInfo(control.serverInfo);
    this.connections.moved(control, old);
    const { server } = this;
    this.logger.info({ server, from }, 'moved to another NATS server');
    this.options.onMoved?.(server);
  }

  /** Leaves a server that fails: the control connection, and with it the link, goes to another one if there is one. */
  private leaveServer(why: string): void {
    if (!this.isConnected || this.isClosed || this.isLeaving || this.servers.round().length < 2) return;
    this.logger.info({ server: this.server, why }, 'leaving the NATS server for another one');
    this.isLeaving = true;
    this.connections.control?.close();
    this.changed();
  }
}
