import type { Clock } from '../clock/clock.js';
import type { NatsConfig } from '../config/serve-config.js';
import type { LinkDownReason, LinkHandler } from '../link/link-handler.js';
import type { LinkOptions } from '../link/link-options.js';
import type { Logger } from '../log/logger.js';
import type { ControlConnection } from './control-connection.js';
import type { MovingLink } from './moving-link.js';
import type { NatsRefusal } from './refusal.js';

export interface NatsAttachmentOptions {
  config: NatsConfig;
  /** Name of both connections in the monitoring of nats-server. */
  name: string;
  /** Version of the program. */
  version: string;
  /** Receives the messages of a link until the link has another handler. Default: they are dropped. */
  handler?: LinkHandler;
  /**
   * Called for each new link. It has no subscriptions yet: subscribe and `flush` it, before the broker announces itself.
   */
  onLinkUp(link: MovingLink): void;
  /** The link that was up is lost, with the bytes that waited to be sent. Called once for each `onLinkUp`, but not by `close`. */
  onLinkDown(reason: LinkDownReason): void;
  /** The backlog of the link has drained: see `LinkEvents`. */
  onDrain?(): void;
  /**
   * Called for each new control connection, before the `onLinkUp` that follows. It has no subscriptions yet, and those of the one
   * before are gone: subscribe.
   */
  onControlUp?(control: ControlConnection): void;
  /** The link has moved to another server, with its subscriptions and without having been down. */
  onMoved?(server: string): void;
  /** A server has refused something, and kept the connection. Called each time. */
  onRefused?(refusal: NatsRefusal): void;
  /** An exception that nothing expects: there may be no connection any more. Default: it is logged. */
  onBroken?(thrown: unknown): void;
  logger: Logger;
  /** Whether `start` waits until there is a server, instead of failing when there is none. */
  waitOnFirstConnect: boolean;
  /** Whether the servers begin with the TLS handshake, before their INFO. */
  tlsFirst?: boolean;
  clock?: Clock;
  random?: () => number;
  connectTimeoutMs?: number;
  link?: Omit<LinkOptions, 'clock' | 'signal'>;
}
