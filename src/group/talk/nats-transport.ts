import type { ClientPinger } from '../../broker/handlers/client-pinger.js';
import type { BrokerLink } from '../../broker/state/broker-link.js';
import type { LinkHandler } from '../../link/link-handler.js';

/** A data link as a member uses it: it listens before it serves, and may stop listening. */
export interface TransportLink extends BrokerLink {
  /** From now on this handler gets what comes in. Before the first call, it is dropped. */
  handOverTo(handler: LinkHandler): void;
  unsubscribe(sid: number): void;
}

/** What a member is told of its place. What comes in on a link goes to the link's own handler. */
export interface TransportHandler {
  /** There is a link, with no subscriptions yet. */
  onLinkUp(link: TransportLink): void;
  /** It is gone, with what waited to be sent. */
  onLinkDown(reason: string): void;
  /** The link's backlog has drained. */
  onDrain(): void;
  /** Something said on the group's subject, by whomever: also what this member said itself. */
  onGroupMessage(payload: Uint8Array): void;
}

/**
 * A member's place in NATS: the data link that brokers serve on, and the subject on which the members of the group talk, on
 * a connection of its own. Both find a new server for ever.
 */
export interface NatsTransport {
  /** The data link, while it is up. */
  readonly link: TransportLink | undefined;
  /** `host:port`, '' if there was none yet. */
  readonly server: string;
  readonly pinger: ClientPinger;
  /** Says something to the group; dropped when there is no connection, never sent later. */
  say(payload: Uint8Array): void;
  /** The server is there and does not do its part: find another one, if there is one. */
  leaveServer(why: string): void;
  /** The connection that carries the group's talk is made anew, and subscribes again. */
  renewControl(why: string): void;
}
