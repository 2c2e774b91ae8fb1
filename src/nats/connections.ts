import type { Clock } from '../clock/clock.js';
import { withTimeout } from '../link/dial-link.js';
import type { Link } from '../link/link.js';
import { DROP_ALL, type LinkDownReason } from '../link/link-handler.js';
import type { ServerInfo } from '../link/server-info.js';
import type { Logger } from '../log/logger.js';
import { bugOf } from '../util/bug.js';
import type { NatsAttachmentOptions } from './attachment-options.js';
import type { ControlConnection } from './control-connection.js';
import { messageOf } from './credentials.js';
import { type Endpoint, NatsDialer } from './dialer.js';
import { MovingLink } from './moving-link.js';
import { endsConnection, type NatsRefusal, parseRefusal } from './refusal.js';
import { RefusalLog } from './refusal-log.js';

/** The events of the connections, for the policy that decides what to do. */
export interface ConnectionEvents {
  onServerInfo(info: ServerInfo): void;
  /** The data link is lost. Called before `onLinkDown` of the options. */
  onLinkLost(lastedMs: number): void;
  /** One of the connections is lost. */
  onChanged(): void;
}

/** The first try to make a link may take this long where the control connection is up, each later one twice as long. */
const FIRST_LINK_MS = 1_000;
/** How long a replaced control connection waits for answers to its requests. */
const RETIRE_MS = 10_000;

/**
 * The two connections of a broker to one NATS server: it dials them, reports their loss and what NATS refuses on them, and replaces one
 * of them. `NatsAttachment` decides at which server they are, and when to dial.
 */
export class Connections {
  control: ControlConnection | undefined;
  link: MovingLink | undefined;
  /** The server of the control connection, or of the last one. */
  endpoint: Endpoint | undefined;
  isClosed = false;
  private readonly options: NatsAttachmentOptions;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly events: ConnectionEvents;
  private readonly dialer: NatsDialer;
  private readonly refusals: Readonly<Record<NatsRefusal['connection'], RefusalLog>>;
  private linkSinceMs = 0;
  private isRenewingControl = false;
  /** Aborts all dials when the connections are closed. */
  private readonly dials = new AbortController();
  /** Aborts a dial of the data link when the control connection is lost. */
  private linkDial: AbortController | undefined;

  /** @throws NatsConfigError if a file that the configuration names cannot be used */
  constructor(options: NatsAttachmentOptions, clock: Clock, logger: Logger, events: ConnectionEvents) {
    this.options = options;
    this.clock = clock;
    this.logger = logger;
    this.events = events;
    this.dialer = new NatsDialer(options, clock);
    this.refusals = { control: new RefusalLog(logger), 'data link': new RefusalLog(logger) };
  }

  /** Whether the control connection is up. */
  get isConnected(): boolean {
    return this.control?.isClosed() === false;
  }

  /** `host:port` of the server, or of the last one; '' before the first. */
  get server(): string {
    return this.endpoint?.server.name ?? '';
  }

  /** Whether the server is about to stop: it keeps its connections for some seconds, and accepts no new ones. */
  get isLameDuck(): boolean {
    const { control, link } = this;
    return control?.serverInfo.lameDuck === true || link?.serverInfo.lameDuck === true;
  }

  /** Closes both connections for good. */
  close(): void {
    this.isClosed = true;
    this.dials.abort(new Error('the connection to NATS is closed'));
    this.link?.close();
    this.link = undefined;
    this.control?.close();
  }

  /** Closes the data link, which is then lost. */
  dropLink(why: string): void {
    if (this.link === undefined) return;
    this.link.close();
    this.linkIsDown(why);
  }

  /** @param info what the server has said on a link */
  async dialControl(endpoint: Endpoint, info: ServerInfo): Promise<ControlConnection> {
    let control: ControlConnection | undefined;
    control = await this.dialer.control(
      endpoint,
      info,
      {
        onDown: (reason) => this.controlIsDown(control, reason),
        onBroken: (thrown) => this.broken(thrown),
        onInfo: (newInfo) => this.events.onServerInfo(newInfo),
        onServerError: (text) => this.wasRefused('control', text),
      },
      this.dials.signal,
    );
    if (control.isClosed()) throw new Error('the server closed the connection at once');
    return control;
  }

  async dialLink(endpoint: Endpoint, signal: AbortSignal = this.dials.signal, maxMs?: number): Promise<Link> {
    let link: Link | undefined;
    link = await this.dialer.link(
      endpoint,
      {
        onDown: (reason) => this.socketIsDown(link, reason),
        onBroken: (thrown) => this.broken(thrown),
        onDrain: () => this.options.onDrain?.(),
        onInfo: (info) => this.events.onServerInfo(info),
        onServerError: (text) => this.wasRefused('data link', text),
      },
      signal,
      maxMs,
    );
    return link;
  }

  /** Whether the server still answers on the link, which may be about to end as the control connection did. */
  async isLinkAnswered(): Promise<boolean> {
    const { link } = this;
    if (link === undefined) return false;
    try {
      await withTimeout(this.clock, this.dialer.connectTimeoutMs, () => {}, link.flush());
    } catch {
      return false;
    }
    return this.link === link && link.isUp;
  }

  /** Dials the data link at the server of the control connection, and gives up if that connection is lost. */
  dialLinkBesideControl(endpoint: Endpoint, tries: number): Promise<Link> {
    const maxMs = FIRST_LINK_MS * 2 ** tries;
    this.linkDial = new AbortController();
    return this.dialLink(endpoint, AbortSignal.any([this.dials.signal, this.linkDial.signal]), maxMs);
  }

  useControl(control: ControlConnection): void {
    this.control = control;
    this.refusals.control.connected();
    this.options.onControlUp?.(control);
  }

  /** Begins to use a link. @returns whether it is in use: the owner may close everything meanwhile */
  useLink(link: Link): boolean {
    const { handler = DROP_ALL } = this.options;
    const moving = new MovingLink(link, handler, this.clock, () => this.options.onDrain?.());
    this.link = moving;
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
    // A logger of the embedding program may have closed the transport.
    if (this.isClosed) return false;
    this.options.onLinkUp(moving);
    return true;
  }

  /** Begins to use the control connection at a server to which the link has moved. */
  moved(control: ControlConnection, old: ControlConnection): void {
    this.refusals['data link'].connected();
    this.useControl(control);
    // For a moment both control connections are subscribed, rather than none.
    control
      .flush()
      .catch(() => {})
      .then(() => old.retire(RETIRE_MS))
      .catch((thrown: unknown) => this.broken(thrown));
  }

  /**
   * Replaces the control connection by a new one at the same server, which subscribes to everything again. If none can be made, the
   * old one stays.
   */
  async renewControl(why: string): Promise<void> {
    const { control: old, link, endpoint, server } = this;
    if (!old || !endpoint || !this.isConnected || this.isClosed || this.isRenewingControl) return;
    this.isRenewingControl = true;
    this.logger.info({ server, why }, 'making a new control connection to the NATS server');
    try {
      const control = await this.dialControl(endpoint, link?.serverInfo ?? old.serverInfo);
      if (this.control !== old || !this.isConnected || this.isClosed) {
        control.close();
        return;
      }
      this.useControl(control);
      await control.flush().catch(() => {});
      old.retire(RETIRE_MS).catch((thrown: unknown) => this.broken(thrown));
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

  /** Reports a bug. */
  broken(thrown: unknown): void {
    const { onBroken } = this.options;
    if (onBroken !== undefined) onBroken(thrown);
    else this.logger.error({ err: bugOf(thrown) }, 'a bug: the connections to NATS have failed');
  }

  private controlIsDown(control: ControlConnection | undefined, reason: string): void {
    if (control === undefined || control !== this.control) return;
    if (!this.isClosed) this.logger.warn({ server: this.server, reason }, 'NATS control connection lost');
    this.linkDial?.abort(new Error('the control connection is lost'));
    this.events.onChanged();
  }

  private socketIsDown(link: Link | undefined, reason: string): void {
    if (link !== undefined && this.link?.lost(link) === true) this.linkIsDown(reason);
  }

  private linkIsDown(reason: LinkDownReason): void {
    if (!this.link) return;
    this.link = undefined;
    this.events.onLinkLost(this.clock.monotonicMs() - this.linkSinceMs);
    this.logger.warn({ reason }, 'NATS data link lost');
    this.options.onLinkDown(reason);
    this.events.onChanged();
  }

  private wasRefused(connection: NatsRefusal['connection'], text: string): void {
    if (this.isClosed || endsConnection(text)) return;
    const refusal = parseRefusal(connection, text);
    this.refusals[connection].note(refusal);
    this.options.onRefused?.(refusal);
  }
}
