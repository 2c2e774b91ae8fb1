import type { Authenticator, NatsConnection, Status } from 'nats';
import { type Clock, systemClock } from '../clock/clock.js';
import type { NatsConfig } from '../config/serve-config.js';
import type { LinkTarget } from '../link/dial.js';
import { Link, type LinkEvents, type LinkOptions } from '../link/link.js';
import type { LinkDownReason, LinkHandler } from '../link/types.js';
import type { Logger } from '../log/logger.js';
import { Backoff } from './backoff.js';
import { connect } from './connect.js';
import {
  authenticators,
  connectFields,
  controlTls,
  hostAndPort,
  linkTls,
  messageOf,
  NatsConfigError,
} from './credentials.js';
import { type NatsRefusal, parseRefusal } from './refusal.js';
import { RefusalLog } from './refusal-log.js';

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
  onLinkUp(link: Link): void;
  /** The link that was up is gone, with what waited to be sent. Called once for each `onLinkUp`, but not by `close`. */
  onLinkDown(reason: LinkDownReason): void;
  /** The link's backlog has drained: see `LinkEvents`. */
  onDrain?(): void;
  /**
   * There is a control connection that has no subscriptions yet: subscribe. Called before the `onLinkUp` that follows, and again
   * for each one that takes its place. What the one before had is gone.
   */
  onControlUp?(control: NatsConnection): void;
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
  link?: Omit<LinkOptions, 'clock'>;
}

const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;
const CONTROL_PING_INTERVAL_MS = 5_000;
const CONTROL_RETRY_MS = 100;
const CONTROL_RETRY_JITTER_MS = 50;
const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 2_000;
/** A link that lasted this long did not fail for what the one before it failed. */
const SETTLED_MS = 5_000;
/** Links that fail at a server before the control connection is sent to another one. */
const MAX_LINK_TRIES_PER_SERVER = 4;

/**
 * The broker's place in NATS: the control connection of the `nats` package, which chooses the server and finds a new one for ever,
 * and the data link, which follows it there with the same TLS options and credentials.
 */
export class NatsAttachment {
  private readonly options: NatsAttachmentOptions;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly authenticators: Authenticator[];
  private readonly controlBackoff: Backoff;
  private readonly linkBackoff: Backoff;
  private readonly refusals: Readonly<Record<NatsRefusal['connection'], RefusalLog>>;
  private currentControl: NatsConnection | undefined;
  private currentLink: Link | undefined;
  private isControlConnected = false;
  private isRenewingControl = false;
  /** Grows each time the control connection has found a server. */
  private controlMoves = 0;
  private isClosed = false;
  private closing: Promise<void> | undefined;
  /** Of both connections: what is being opened is given up when it is closed. */
  private readonly dials = new AbortController();
  private onControlConnected: (() => void) | undefined;
  private onLinkGone: (() => void) | undefined;
  private onFirstLink: (() => void) | undefined;

  /** @throws NatsConfigError if a file that the configuration names is of no use */
  constructor(options: NatsAttachmentOptions) {
    this.options = options;
    this.clock = options.clock ?? systemClock;
    this.logger = options.logger.child({ component: 'nats' });
    const random = options.random ?? Math.random;
    this.controlBackoff = new Backoff(this.clock, random, FIRST_RETRY_MS, MAX_RETRY_MS);
    this.linkBackoff = new Backoff(this.clock, random, FIRST_RETRY_MS, MAX_RETRY_MS);
    this.refusals = { control: new RefusalLog(this.logger), 'data link': new RefusalLog(this.logger) };
    if (options.config.servers.length === 0)
      throw new NatsConfigError('no NATS server to attach to is named');
    this.authenticators = authenticators(options.config);
    linkTls(options.config, undefined, options.tlsFirst ?? false);
  }

  /**
   * Connects. When it resolves, `onLinkUp` has been called for the first time, or it is closed.
   *
   * @param signal closes it while it has not come up
   * @throws Error naming the servers, if none can be reached and `waitOnFirstConnect` is not set
   */
  async start(signal?: AbortSignal): Promise<void> {
    // `close` is asked for again by whoever has given up, and tells what is wrong with it.
    const giveUp = (): void => void this.close().catch(() => {});
    signal?.addEventListener('abort', giveUp);
    if (signal?.aborted) giveUp();
    try {
      await this.comeUp();
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  private async comeUp(): Promise<void> {
    const control = await this.connectControl(this.options.waitOnFirstConnect);
    if (!control || this.isClosed) return;
    const firstLink = new Promise<void>((resolve) => {
      this.onFirstLink = resolve;
    });
    void this.keepControl(control);
    void this.keepLink();
    await firstLink;
  }

  /** Closes both, and drops what waits to be sent: `link.flush` first if that matters. Idempotent. */
  close(): Promise<void> {
    this.closing ??= this.closeBoth();
    return this.closing;
  }

  private async closeBoth(): Promise<void> {
    this.isClosed = true;
    this.dials.abort(new Error('the connection to NATS is closed'));
    this.currentLink?.close();
    this.currentLink = undefined;
    this.onLinkGone?.();
    this.onControlConnected?.();
    this.onFirstLink?.();
    this.controlBackoff.wake();
    this.linkBackoff.wake();
    await this.currentControl?.close();
  }

  /**
   * For what is rare: requests, status. It may be reconnecting.
   * @throws Error before `start` has connected
   */
  get control(): NatsConnection {
    if (!this.currentControl) throw new Error('not connected to NATS yet');
    return this.currentControl;
  }

  /** The data link while it is up. */
  get link(): Link | undefined {
    return this.currentLink;
  }

  /** `host:port` of the server that the control connection is at, or tries. '' if there was none yet. */
  get server(): string {
    return this.currentControl?.getServer() ?? '';
  }

  private async connectControl(retry: boolean): Promise<NatsConnection | undefined> {
    const { config } = this.options;
    while (!this.isClosed) {
      try {
        const control = await this.dialControl(config.servers, config.inOrder);
        if (control === undefined) return undefined;
        this.controlBackoff.reset();
        this.currentControl = control;
        this.controlIsConnected();
        this.options.onControlUp?.(control);
        return control;
      } catch (error) {
        if (this.isClosed) return undefined;
        const servers = config.servers.join(', ');
        const reason = messageOf(error);
        if (!retry) {
          throw new Error(
            `cannot connect to NATS at ${servers}: ${reason}. Is a nats-server running there, and are credentials and TLS right?`,
            { cause: error },
          );
        }
        this.logger.warn({ servers, reason }, 'cannot connect to NATS: trying again');
        await this.controlBackoff.wait();
      }
    }
    return undefined;
  }

  /** @returns undefined if everything was closed meanwhile */
  private async dialControl(
    servers: readonly string[],
    inOrder: boolean,
  ): Promise<NatsConnection | undefined> {
    const { config, name, tlsFirst } = this.options;
    const tls = controlTls(config, tlsFirst ?? false);
    const control = await connect(
      {
        servers: [...servers],
        noRandomize: inOrder,
        name: `${name} (control)`,
        authenticator: this.authenticators,
        timeout: this.options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
        pingInterval: CONTROL_PING_INTERVAL_MS,
        maxPingOut: 2,
        reconnect: true,
        maxReconnectAttempts: -1,
        reconnectTimeWait: CONTROL_RETRY_MS,
        reconnectJitter: CONTROL_RETRY_JITTER_MS,
        reconnectJitterTLS: CONTROL_RETRY_JITTER_MS,
        ignoreAuthErrorAbort: true,
        ...(tls && { tls }),
      },
      this.dials.signal,
    );
    if (!this.isClosed) return control;
    await control.close();
    return undefined;
  }

  /** Listens to the control connection, and replaces it should it ever give up. */
  private async keepControl(first: NatsConnection): Promise<void> {
    let control: NatsConnection | undefined = first;
    while (control && !this.isClosed) {
      void this.listenTo(control);
      const failure = await control.closed();
      if (this.isClosed) return;
      if (this.currentControl !== control) {
        control = this.currentControl;
        continue;
      }
      this.isControlConnected = false;
      this.logger.error(
        { reason: messageOf(failure ?? 'closed') },
        'NATS control connection gave up: making a new one',
      );
      await this.controlBackoff.wait();
      control = await this.connectControl(true);
    }
  }

  /** The package's iterator does not end with its connection: nothing may wait for it. */
  private async listenTo(control: NatsConnection): Promise<void> {
    for await (const status of control.status()) {
      if (this.currentControl !== control) return;
      if (status.type === 'disconnect') {
        this.isControlConnected = false;
        if (!this.isClosed) this.logger.warn({ server: this.server }, 'NATS control connection lost');
      } else if (status.type === 'reconnect') {
        this.logger.info({ server: this.server }, 'NATS control connection is back');
        this.controlIsConnected();
      } else if (status.type === 'ldm') {
        this.leaveServer('it is in lame-duck mode');
      } else if (status.type === 'error') {
        this.controlWasRefused(status);
      }
    }
  }

  /** The package keeps the server's words to itself. */
  private controlWasRefused({ data, permissionContext }: Status): void {
    if (permissionContext === undefined) {
      this.wasRefused(parseRefusal('control', String(data)));
      return;
    }
    const { operation, subject } = permissionContext;
    const what = operation === 'subscription' ? 'Subscription' : 'Publish';
    this.wasRefused(
      parseRefusal('control', `Permissions Violation for ${what} to ${JSON.stringify(subject)}`),
    );
  }

  private wasRefused(refusal: NatsRefusal): void {
    this.refusals[refusal.connection].note(refusal);
    this.options.onRefused?.(refusal);
  }

  private controlIsConnected(): void {
    this.isControlConnected = true;
    this.refusals.control.connected();
    this.controlMoves++;
    this.onControlConnected?.();
    this.linkBackoff.wake();
    const link = this.currentLink;
    if (link && link.serverInfo.serverId !== this.control.info?.server_id) {
      link.close();
      this.linkIsDown(`following the control connection to ${this.server}`);
    }
  }

  /** Makes link after link, wherever the control connection is. */
  private async keepLink(): Promise<void> {
    while (!this.isClosed) {
      if (!this.isControlConnected) {
        await new Promise<void>((resolve) => {
          this.onControlConnected = resolve;
        });
        this.onControlConnected = undefined;
        continue;
      }
      const server = this.server;
      const moves = this.controlMoves;
      const link = await this.connectLink(server).catch((error) => {
        if (!this.isClosed) this.linkFailed(server, messageOf(error));
        return undefined;
      });
      if (link && (this.isClosed || moves !== this.controlMoves)) {
        link.close();
      } else if (link?.isUp) {
        const sinceMs = this.clock.monotonicMs();
        await this.useLink(link, server);
        if (this.clock.monotonicMs() - sinceMs >= SETTLED_MS) this.linkBackoff.reset();
      }
      if (!this.isClosed && moves === this.controlMoves) await this.linkBackoff.wait();
    }
  }

  private linkFailed(server: string, reason: string): void {
    this.logger.warn({ server, reason }, 'no data link to NATS: trying again');
    if (this.linkBackoff.count % MAX_LINK_TRIES_PER_SERVER === MAX_LINK_TRIES_PER_SERVER - 1) {
      this.leaveServer('the data link cannot be made there');
    }
  }

  private connectLink(server: string): Promise<Link> {
    const { config, handler, name, version, tlsFirst } = this.options;
    const { host, port } = hostAndPort(server);
    const target: LinkTarget = {
      host,
      port,
      tls: linkTls(config, host, tlsFirst ?? false),
      tlsFirst,
      connectFields: (info) => ({ ...connectFields(this.authenticators, info.nonce), name, version }),
      connectTimeoutMs: this.options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    };
    return Link.connect(target, handler, this.linkEvents, {
      ...this.options.link,
      clock: this.clock,
      signal: this.dials.signal,
    });
  }

  private readonly linkEvents: LinkEvents = {
    onDown: (reason) => this.linkIsDown(reason),
    onDrain: () => this.options.onDrain?.(),
    onServerError: (text) => this.wasRefused(parseRefusal('data link', text)),
  };

  /** Resolves when the link is gone. */
  private async useLink(link: Link, server: string): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      this.onLinkGone = resolve;
    });
    this.currentLink = link;
    this.refusals['data link'].connected();
    this.logger.info(
      { server, serverName: link.serverInfo.serverName, serverVersion: link.serverInfo.version },
      'connected to NATS',
    );
    // Whoever reads the log may have closed it.
    if (this.isClosed) return;
    this.options.onLinkUp(link);
    this.onFirstLink?.();
    await gone;
  }

  private linkIsDown(reason: LinkDownReason): void {
    if (!this.currentLink) return;
    this.currentLink = undefined;
    this.logger.warn({ reason }, 'NATS data link lost');
    this.options.onLinkDown(reason);
    this.onLinkGone?.();
  }

  /**
   * The server looks well and does not do its part: both connections are given up, and made anew, at another one if there
   * is one.
   */
  abandonServer(why: string): void {
    const control = this.currentControl;
    if (!control || !this.isControlConnected || this.isClosed) return;
    this.logger.warn({ server: this.server, why }, 'giving up the connections to the NATS server');
    this.currentLink?.close();
    this.linkIsDown(why);
    control.reconnect().catch((error) => this.logger.warn({ reason: messageOf(error) }, 'cannot reconnect'));
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
    const old = this.currentControl;
    if (!old || !this.isControlConnected || this.isClosed || this.isRenewingControl) return;
    this.isRenewingControl = true;
    const server = this.server;
    this.logger.info({ server, why }, 'making a new control connection to the NATS server');
    try {
      const control = await this.dialControl([server], true);
      if (control === undefined) return;
      if (this.currentControl !== old || !this.isControlConnected) {
        await control.close();
        return;
      }
      this.currentControl = control;
      this.refusals.control.connected();
      this.options.onControlUp?.(control);
      await old.close();
    } catch (error) {
      this.logger.warn(
        { server, reason: messageOf(error) },
        'no new control connection: keeping the old one',
      );
    } finally {
      this.isRenewingControl = false;
    }
  }

  /** Whether messages on the control connection would leave now. */
  get isConnected(): boolean {
    return this.isControlConnected;
  }

  /** Sends the control connection, and with it the link, to another server if there is one. */
  private leaveServer(why: string): void {
    const control = this.currentControl;
    if (!control || !this.isControlConnected || this.isClosed) return;
    const others = (control.info?.connect_urls ?? []).filter((url) => url !== this.server);
    if (others.length === 0 && this.options.config.servers.length < 2) return;
    this.logger.info({ server: this.server, why }, 'leaving the NATS server for another one');
    control.reconnect().catch((error) => this.logger.warn({ reason: messageOf(error) }, 'cannot leave it'));
  }
}
