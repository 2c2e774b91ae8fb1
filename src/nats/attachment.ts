import { isIP } from 'node:net';
import type { Authenticator } from 'nats';
import { type Clock, systemClock } from '../clock/clock.js';
import type { NatsConfig } from '../config/serve-config.js';
import { type LinkTarget, withTimeout } from '../link/dial-link.js';
import { Link, type LinkOptions } from '../link/link.js';
import type { LinkDownReason, LinkHandler } from '../link/link-handler.js';
import type { ServerInfo } from '../link/server-info.js';
import type { Logger } from '../log/logger.js';
import { unlessAborted } from '../util/unless-aborted.js';
import { Backoff } from './backoff.js';
import { ControlConnection } from './control-connection.js';
import { authenticators, connectFields, linkTls, messageOf, NatsConfigError } from './credentials.js';
import { MovingLink } from './moving-link.js';
import { OutageLog } from './outage-log.js';
import { endsConnection, type NatsRefusal, parseRefusal } from './refusal.js';
import { RefusalLog } from './refusal-log.js';
import { type Failure, RoundError, reasonOf } from './round-error.js';
import { addressesOf, type NatsServerName, ServerList } from './server-list.js';

export interface NatsAttachmentOptions {
  config: NatsConfig;
  /** Of both connections, as `nats-server`'s monitoring shows it. */
  name: string;
  /** Of the program. */
  version: string;
  /** Gets what comes in on the link. */
  handler: LinkHandler;
  /**
   * A link is connected and has no subscriptions yet: subscribe, `flush` it, then it can be said that the broker is there. Called
   * for each new link.
   */
  onLinkUp(link: MovingLink): void;
  /** The link that was up is gone, with what waited to be sent. Called once for each `onLinkUp`, but not by `close`. */
  onLinkDown(reason: LinkDownReason): void;
  /** The link's backlog has drained: see `LinkEvents`. */
  onDrain?(): void;
  /**
   * There is a control connection that has no subscriptions yet: subscribe. Called before the `onLinkUp` that follows, and again
   * for each one that takes its place. What the one before had is gone.
   */
  onControlUp?(control: ControlConnection): void;
  /** The link has moved to another server, with its subscriptions and without having been down. */
  onMoved?(server: string): void;
  /** A server refused something on one of the connections and keeps it. Called each time. */
  onRefused?(refusal: NatsRefusal): void;
  logger: Logger;
  /** Whether `start` waits until there is a server, instead of failing when there is none. */
  waitOnFirstConnect: boolean;
  /** The servers begin with the TLS handshake, before their INFO. */
  tlsFirst?: boolean;
  clock?: Clock;
  random?: () => number;
  connectTimeoutMs?: number;
  link?: Omit<LinkOptions, 'clock' | 'signal'>;
}

const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;
const FIRST_RETRY_MS = 50;
/** Servers that are not there, or files that can't be read: to look costs nothing. */
const MAX_RETRY_MS = 500;
/** A server that refuses what it is shown has a line in its log for each time, and somebody has to change something. */
const MAX_REFUSED_RETRY_MS = 5_000;
const MAX_LINK_RETRY_MS = 2_000;
/** A link that lasted this long did not fail for what the one before it failed. */
const SETTLED_MS = 5_000;
/** Links that fail at a server before the control connection is sent to another one. */
const MAX_LINK_TRIES_PER_SERVER = 4;
const FIRST_MOVE_MS = 250;
/** To find another server, while one is about to stop. */
const MAX_MOVE_RETRY_MS = 2_000;
/** Answers that were asked for on a control connection are waited for so long after there is another one. */
const RETIRE_MS = 10_000;

/** A server and the address at which it was found. */
interface Endpoint {
  readonly server: NatsServerName;
  readonly address: string;
}

/**
 * The NATS transport of a broker: the control connection, which finds a server and a new one for ever, and the data link, which
 * follows it there with the same TLS options and credentials.
 */
export class NatsAttachment {
  private readonly options: NatsAttachmentOptions;
  private readonly clock: Clock;
  private readonly random: () => number;
  private readonly logger: Logger;
  private readonly authenticators: Authenticator[];
  private readonly servers: ServerList;
  private readonly controlBackoff: Backoff;
  private readonly linkBackoff: Backoff;
  private readonly moveBackoff: Backoff;
  private readonly outage: OutageLog;
  private readonly refusals: Readonly<Record<NatsRefusal['connection'], RefusalLog>>;
  private currentControl: ControlConnection | undefined;
  private currentLink: MovingLink | undefined;
  private linkSinceMs = 0;
  /** There was a link, or a try, at this server: the next one waits a moment. */
  private isLinkRetry = false;
  /** Where the control connection is, or was last. */
  private endpoint: Endpoint | undefined;
  /** The server is to be left: the next control connection is at another one, if that can be reached. */
  private isLeaving = false;
  private isRenewingControl = false;
  private isClosed = false;
  /** What is being opened is given up when it is closed. */
  private readonly dials = new AbortController();
  /** The same of the data link's dial, also when the control connection is lost. */
  private linkDial: AbortController | undefined;
  private onChange: (() => void) | undefined;
  private onFirstLink: (() => void) | undefined;

  /** @throws NatsConfigError if a file that the configuration names is of no use */
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
    this.refusals = { control: new RefusalLog(this.logger), 'data link': new RefusalLog(this.logger) };
    if (config.servers.length === 0) throw new NatsConfigError('no NATS server to attach to is named');
    this.servers = new ServerList(config.servers, config.inOrder, this.random);
    this.authenticators = authenticators(config);
    linkTls(config, undefined, options.tlsFirst ?? false);
  }

  /**
   * Connects. When it resolves, `onLinkUp` has been called for the first time, or it is closed.
   *
   * @param signal closes it while it has not come up
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
      void this.keep();
      await firstLink;
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  /** Closes both, and drops what waits to be sent: `link.flush` first if that matters. Idempotent. */
  close(): Promise<void> {
    this.isClosed = true;
    this.dials.abort(new Error('the connection to NATS is closed'));
    this.currentLink?.close();
    this.currentLink = undefined;
    this.currentControl?.close();
    this.onFirstLink?.();
    this.changed();
    return Promise.resolve();
  }

  /**
   * For what is rare: requests, status. It may be down; the next one is another object.
   * @throws Error before `start` has connected
   */
  get control(): ControlConnection {
    if (!this.currentControl) throw new Error('not connected to NATS yet');
    return this.currentControl;
  }

  /** Whether messages on the control connection would leave now. */
  get isConnected(): boolean {
    return this.currentControl?.isClosed() === false;
  }

  /** The data link while it is up. */
  get link(): MovingLink | undefined {
    return this.currentLink;
  }

  /** `host:port` of the server that the control connection is at, or was last. '' if there was none yet. */
  get server(): string {
    return this.endpoint?.server.name ?? '';
  }

  /**
   * The server looks well and does not do its part: both connections are given up, and made anew, at another one if there
   * is one.
   */
  abandonServer(why: string): void {
    if (!this.isConnected || this.isClosed) return;
    this.logger.warn({ server: this.server, why }, 'giving up the connections to the NATS server');
    this.currentLink?.close();
    this.linkIsDown(why);
    this.isLeaving = true;
    this.currentControl?.close();
    this.changed();
  }

  /** Gives up the data link alone. The next one is made at the same server, and subscribes to everything again. */
  renewLink(why: string): void {
    if (!this.currentLink) return;
    this.currentLink.close();
    this.linkIsDown(why);
  }

  /**
   * Makes another control connection at the same server, which subscribes to everything again, in place of the one that there is.
   * That one stays if none can be made.
   */
  async renewControl(why: string): Promise<void> {
    const { currentControl: old, currentLink, endpoint, server } = this;
    if (!old || !endpoint || !this.isConnected || this.isClosed || this.isRenewingControl) return;
    this.isRenewingControl = true;
    this.logger.info({ server, why }, 'making a new control connection to the NATS server');
    try {
      const control = await this.dialControl(endpoint, currentLink?.serverInfo ?? old.serverInfo);
      if (this.currentControl !== old || !this.isConnected || this.isClosed) {
        control.close();
        return;
      }
      this.useControl(control);
      await control.flush().catch(() => {});
      void old.retire(RETIRE_MS);
    } catch (error) {
      if (this.isClosed) return;
      this.logger.warn(
        { server, reason: messageOf(error) },
        'no new control connection: keeping the old one',
      );
    } finally {
      this.isRenewingControl = false;
    }
  }

  /** Sees to it that there are both connections, until it is closed. */
  private async keep(): Promise<void> {
    while (!this.isClosed) {
      if (!this.isConnected) await this.connectControl();
      else if (!this.currentLink) await this.makeLink();
      else if (this.isLameDuck) await this.moveAway();
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

  /** Tries for as long as it takes. */
  private async connectControl(): Promise<void> {
    const wasConnected = this.endpoint !== undefined;
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
    else if (tries > 0) this.logger.info({ server: this.server, tries }, 'a NATS server is there now');
  }

  /** @throws Error naming the servers and what is wrong */
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

  /**
   * One try at each server.
   * @throws RoundError
   */
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

  /** A link first: it can be given up, and says why it fails. Where it is up, the control connection follows. */
  private async tryServer(endpoint: Endpoint): Promise<void> {
    const isThere = this.endpoint === endpoint && this.currentLink?.isUp === true;
    const link = isThere ? undefined : await this.dialLink(endpoint, this.dials.signal);
    const { serverInfo } = (link ?? this.currentLink) as Link | MovingLink;
    let control: ControlConnection | undefined;
    try {
      control = await this.dialControl(endpoint, serverInfo);
    } finally {
      if (control === undefined || this.isClosed) link?.close();
    }
    if (this.isClosed) {
      control.close();
      return;
    }
    this.arrive(endpoint, control);
    if (link === undefined) return;
    if (this.currentLink === undefined && link.isUp) this.useLink(link);
    else link.close();
  }

  /** Where to try: where the data link is, if that is up, then the servers behind the last one. */
  private async *endpoints(): AsyncGenerator<Endpoint> {
    const { endpoint } = this;
    if (endpoint !== undefined && !this.isLeaving && (await this.isLinkAnswered())) yield endpoint;
    for (const server of this.servers.round()) {
      for (const address of await addressesOf(server.host, this.random)) yield { server, address };
    }
  }

  /** What has ended the control connection may be about to end the link. */
  private async isLinkAnswered(): Promise<boolean> {
    const { currentLink: link } = this;
    if (link === undefined) return false;
    const timeoutMs = this.options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
    try {
      await withTimeout(this.clock, timeoutMs, () => {}, link.flush());
    } catch {
      return false;
    }
    return this.currentLink === link && link.isUp;
  }

  private arrive(endpoint: Endpoint, control: ControlConnection): void {
    this.endpoint = endpoint;
    this.isLeaving = false;
    this.servers.take(endpoint.server);
    this.serverSaid(control.serverInfo);
    const link = this.currentLink;
    if (link && link.serverInfo.serverId !== control.serverInfo.serverId) {
      link.close();
      this.linkIsDown(`following the control connection to ${this.server}`);
    }
    this.isLinkRetry = false;
    this.moveBackoff.reset();
    this.useControl(control);
  }

  private useControl(control: ControlConnection): void {
    this.currentControl = control;
    this.refusals.control.connected();
    this.options.onControlUp?.(control);
  }

  /** @param info what the server has said on a link */
  private async dialControl({ server, address }: Endpoint, info: ServerInfo): Promise<ControlConnection> {
    const { config, name, tlsFirst, connectTimeoutMs } = this.options;
    const { host, port } = server;
    const hasTls = info.tlsRequired || info.tlsAvailable;
    // The package takes the address for the name on the certificate.
    const named = hasTls && isIP(host) === 0 ? { servername: host } : undefined;
    const { signal } = this.dials;
    let control: ControlConnection | undefined;
    const dialing = ControlConnection.connect(
      {
        server: `${isIP(address) === 6 ? `[${address}]` : address}:${port}`,
        name: `${name} (control)`,
        authenticators: this.authenticators,
        tls: linkTls(config, host, tlsFirst ?? false) ?? named,
        tlsFirst: tlsFirst ?? false,
        connectTimeoutMs: connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
      },
      {
        onDown: (reason) => this.controlIsDown(control, reason),
        onInfo: (info) => this.serverSaid(info),
        onServerError: (text) => this.wasRefused('control', text),
      },
    );
    // What has come up when nobody waits for it any more is closed.
    dialing.then((late) => signal.aborted && late.close()).catch(() => {});
    control = await unlessAborted(dialing, signal);
    if (control.isClosed()) throw new Error('the server closed the connection at once');
    return control;
  }

  private controlIsDown(control: ControlConnection | undefined, reason: string): void {
    if (control === undefined || control !== this.currentControl) return;
    if (!this.isClosed) this.logger.warn({ server: this.server, reason }, 'NATS control connection lost');
    this.linkDial?.abort(new Error('the control connection is lost'));
    this.changed();
  }

  /** One try at the server of the control connection. */
  private async makeLink(): Promise<void> {
    const { endpoint, currentControl: control } = this;
    if (endpoint === undefined) return;
    if (this.isLinkRetry) {
      await this.linkBackoff.wait();
      if (this.isClosed || this.currentControl !== control || !this.isConnected) return;
    }
    this.isLinkRetry = true;
    this.linkDial = new AbortController();
    try {
      const link = await this.dialLink(endpoint, AbortSignal.any([this.dials.signal, this.linkDial.signal]));
      if (this.isClosed || this.currentControl !== control || !link.isUp) link.close();
      else this.useLink(link);
    } catch (error) {
      // What ends one connection often ends both, and the package takes a moment to say so: then it is told once.
      await Promise.race([control?.flush().catch(() => {}), this.untilChange()]);
      if (this.isClosed || this.currentControl !== control || !this.isConnected) return;
      this.linkFailed(messageOf(error));
    }
  }

  private linkFailed(reason: string): void {
    this.logger.warn({ server: this.server, reason }, 'no data link to NATS: trying again');
    if (this.linkBackoff.count % MAX_LINK_TRIES_PER_SERVER === MAX_LINK_TRIES_PER_SERVER - 1) {
      this.leaveServer('the data link cannot be made there');
    }
  }

  private async dialLink(endpoint: Endpoint, signal: AbortSignal): Promise<Link> {
    let link: Link | undefined;
    link = await Link.connect(
      this.target(endpoint),
      this.options.handler,
      {
        onDown: (reason) => this.socketIsDown(link, reason),
        onDrain: () => this.options.onDrain?.(),
        onInfo: (info) => this.serverSaid(info),
        onServerError: (text) => this.wasRefused('data link', text),
      },
      { ...this.options.link, clock: this.clock, signal },
    );
    return link;
  }

  private socketIsDown(link: Link | undefined, reason: string): void {
    if (link !== undefined && this.currentLink?.lost(link) === true) this.linkIsDown(reason);
  }

  private target({ server, address }: Endpoint): LinkTarget {
    const { config, name, version, tlsFirst } = this.options;
    const { host, port } = server;
    return {
      host,
      address,
      port,
      tls: linkTls(config, host, tlsFirst ?? false),
      tlsFirst,
      connectFields: (info) => ({
        ...connectFields(this.authenticators, info.nonce),
        name,
        version,
      }),
      connectTimeoutMs: this.options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    };
  }

  private useLink(link: Link): void {
    const { handler } = this.options;
    const moving = new MovingLink(link, handler, this.clock, () => this.options.onDrain?.());
    this.currentLink = moving;
    this.linkSinceMs = this.clock.monotonicMs();
    this.refusals['data link'].connected();
    this.logger.info(
      {
        server: this.server,
        serverName: link.serverInfo.serverName,
        serverVersion: link.serverInfo.version,
      },
      'connected to NATS',
    );
    // Whoever reads the log may have closed it.
    if (this.isClosed) return;
    this.options.onLinkUp(moving);
    this.onFirstLink?.();
  }

  private linkIsDown(reason: LinkDownReason): void {
    if (!this.currentLink) return;
    this.currentLink = undefined;
    if (this.clock.monotonicMs() - this.linkSinceMs >= SETTLED_MS) this.linkBackoff.reset();
    this.logger.warn({ reason }, 'NATS data link lost');
    this.options.onLinkDown(reason);
    this.changed();
  }

  private serverSaid({ connectUrls, lameDuck }: ServerInfo): void {
    this.servers.discover(connectUrls);
    if (lameDuck) this.changed();
  }

  /** The server is about to stop: it keeps its connections for seconds, and takes no new ones. */
  private get isLameDuck(): boolean {
    const { currentControl: control, currentLink: link } = this;
    return control?.serverInfo.lameDuck === true || link?.serverInfo.lameDuck === true;
  }

  /**
   * Makes both connections at another server, and moves there, before the one that is about to stop ends them. Where there is no
   * other one, it stays for as long as that goes.
   */
  private async moveAway(): Promise<void> {
    const { currentControl: old, currentLink: link, server } = this;
    if (old === undefined || link === undefined) return;
    if (this.moveBackoff.count === 0)
      this.logger.info({ server }, 'the NATS server is in lame-duck mode: moving to another one');
    let reason = 'there is no other one';
    for await (const endpoint of this.endpoints()) {
      if (this.isClosed || this.currentLink !== link || !this.isConnected) return;
      const failure = await this.moveTo(endpoint, link, old);
      if (failure === undefined) {
        this.moveBackoff.reset();
        return;
      }
      if (endpoint.server.name !== server) reason = `${endpoint.server.name}: ${failure}`;
    }
    if (this.isClosed || this.currentLink !== link || !this.isConnected) return;
    if (this.moveBackoff.count === 0)
      this.logger.warn({ server, reason }, 'staying at a NATS server that is about to stop: trying again');
    await this.moveBackoff.wait();
  }

  /** @returns why it has not moved there */
  private async moveTo(
    endpoint: Endpoint,
    link: MovingLink,
    old: ControlConnection,
  ): Promise<string | undefined> {
    let next: Link | undefined;
    let control: ControlConnection | undefined;
    let isMoved = false;
    try {
      next = await this.dialLink(endpoint, this.dials.signal);
      const { serverId, lameDuck } = next.serverInfo;
      if (lameDuck || serverId === old.serverInfo.serverId) return 'it is about to stop too';
      control = await this.dialControl(endpoint, next.serverInfo);
      // The link may be there already, from a try that lost the control connection.
      if (serverId !== link.serverInfo.serverId) {
        isMoved = true;
        const failure = await link.moveTo(next);
        if (failure !== undefined) return failure;
      }
      if (this.isClosed || this.currentLink !== link || control.isClosed())
        return 'the connection there was lost at once';
      this.hasMoved(endpoint, control, old);
      control = undefined;
      return undefined;
    } catch (error) {
      return reasonOf(error).message;
    } finally {
      control?.close();
      if (!isMoved) next?.close();
    }
  }

  private hasMoved(endpoint: Endpoint, control: ControlConnection, old: ControlConnection): void {
    const from = this.server;
    this.endpoint = endpoint;
    this.servers.take(endpoint.server);
    this.serverSaid(control.serverInfo);
    this.refusals['data link'].connected();
    this.useControl(control);
    // Both are heard for a moment, rather than none.
    void control
      .flush()
      .catch(() => {})
      .then(() => old.retire(RETIRE_MS));
    const { server } = this;
    this.logger.info({ server, from }, 'moved to another NATS server');
    this.options.onMoved?.(server);
  }

  private wasRefused(connection: NatsRefusal['connection'], text: string): void {
    if (this.isClosed || endsConnection(text)) return;
    const refusal = parseRefusal(connection, text);
    this.refusals[connection].note(refusal);
    this.options.onRefused?.(refusal);
  }

  /** Sends the control connection, and with it the link, to another server if there is one: something is wrong with this one. */
  private leaveServer(why: string): void {
    if (!this.isConnected || this.isClosed || this.isLeaving || this.servers.round().length < 2) return;
    this.logger.info({ server: this.server, why }, 'leaving the NATS server for another one');
    this.isLeaving = true;
    this.currentControl?.close();
    this.changed();
  }
}
