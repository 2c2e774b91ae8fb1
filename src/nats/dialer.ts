import { isIP } from 'node:net';
import type { Authenticator } from '@nats-io/transport-node';
import type { Clock } from '../clock/clock.js';
import type { LinkTarget } from '../link/dial-link.js';
import { Link } from '../link/link.js';
import { DROP_ALL } from '../link/link-handler.js';
import type { LinkEvents } from '../link/link-options.js';
import type { ServerInfo } from '../link/server-info.js';
import { unlessAborted } from '../util/unless-aborted.js';
import type { NatsAttachmentOptions } from './attachment-options.js';
import { ControlConnection, type ControlEvents } from './control-connection.js';
import { authenticators, connectFields, linkTls } from './credentials.js';
import type { NatsServerName } from './server-list.js';

const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;

/** A server and the address at which it was found. */
export interface Endpoint {
  readonly server: NatsServerName;
  readonly address: string;
}

/** Dials both connections of a broker, with the same TLS options and credentials. */
export class NatsDialer {
  readonly connectTimeoutMs: number;
  readonly #options: NatsAttachmentOptions;
  readonly #clock: Clock;
  readonly #authenticators: readonly Authenticator[];

  /** @throws NatsConfigError if a file that the configuration names cannot be used */
  constructor(options: NatsAttachmentOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.connectTimeoutMs = options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
    this.#authenticators = authenticators(options.config);
    linkTls(options.config, undefined, options.tlsFirst ?? false);
  }

  /**
   * Dials the control connection of a server that has just answered on a link.
   *
   * @param info what the server has said on the link
   * @throws Error saying why it failed; the signal's reason
   */
  async control(
    { server, address }: Endpoint,
    info: ServerInfo,
    events: ControlEvents,
    signal: AbortSignal,
  ): Promise<ControlConnection> {
    const { config, name, tlsFirst = false } = this.#options;
    const { host, port } = server;
    const hasTls = info.tlsRequired || info.tlsAvailable;
    // The package would take the address for the name on the certificate.
    const named = hasTls && isIP(host) === 0 ? { servername: host } : undefined;
    const dialing = ControlConnection.connect(
      {
        server: `${isIP(address) === 6 ? `[${address}]` : address}:${port}`,
        name: `${name} (control)`,
        authenticators: this.#authenticators,
        tls: linkTls(config, host, tlsFirst) ?? named,
        tlsFirst,
        connectTimeoutMs: this.connectTimeoutMs,
      },
      events,
    );
    // A connection that comes up after the abort is closed.
    dialing.then((late) => signal.aborted && late.close()).catch(() => {});
    return unlessAborted(dialing, signal);
  }

  /**
   * @param maxMs limit for the dial, if it is shorter than the usual one
   * @throws Error saying why it failed; the signal's reason
   */
  link(
    { server, address }: Endpoint,
    events: LinkEvents,
    signal: AbortSignal,
    maxMs = this.connectTimeoutMs,
  ): Promise<Link> {
    const { config, name, version, tlsFirst, handler = DROP_ALL } = this.#options;
    const { host, port } = server;
    const target: LinkTarget = {
      host,
      address,
      port,
      tls: linkTls(config, host, tlsFirst ?? false),
      tlsFirst,
      connectFields: (info) => ({ ...connectFields(this.#authenticators, info.nonce), name, version }),
      connectTimeoutMs: Math.min(maxMs, this.connectTimeoutMs),
    };
    return Link.connect(target, handler, events, { ...this.#options.link, clock: this.#clock, signal });
  }
}
