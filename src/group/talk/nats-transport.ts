import type { ClientPinger } from '../../broker/handlers/client-pinger.js';
import type { BrokerLink } from '../../broker/state/broker-link.js';
import type { LinkHandler } from '../../link/link-handler.js';

/** A data link as a member uses it. A member may subscribe before it serves, and unsubscribe again. */
export interface TransportLink extends BrokerLink {
  /** Gives messages to this handler from now on. Before the first call they are dropped. */
  handOverTo(handler: LinkHandler): void;
  unsubscribe(sid: number): void;
}

/** The events of a transport. Messages on a link go to the link's own handler. */
export interface TransportHandler {
  /** There is a new link, without subscriptions. */
  onLinkUp(link: TransportLink): void;
  /** The link is lost, with unsent bytes. */
  onLinkDown(reason: string): void;
  /** The link's backlog has drained. */
  onDrain(): void;
  /** A message on the group's subject, from any member, also from this one. */
  onGroupMessage(payload: Uint8Array): void;
}

/**
 * The NATS transport of a member: the data link for a broker, and a connection of its own for the talk of the group. Both find a new
 * server each time one is lost.
 */
export interface NatsTransport {
  /** The data link, while it is up. */
  readonly link: TransportLink | undefined;
  /** `host:port` of the server, or of the last one; '' before the first. */
  readonly server: string;
  readonly pinger: ClientPinger;
  /** Sends a message to the group. Without a connection it is dropped, and never sent later. */
  say(payload: Uint8Array): void;
  /** Leaves a server that fails without closing its connections, for another one if there is one. */
  leaveServer(why: string): void;
  /** Replaces the connection for the group's talk by a new one, which subscribes again. */
  renewControl(why: string): void;
}
