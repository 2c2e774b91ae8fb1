import type { Broker } from '../../broker/broker.js';
import { Bug } from '../../util/bug.js';
import type { TransportHandler, TransportLink } from '../talk/nats-transport.js';

/** The part of a member that the transport calls. */
interface Listener {
  readonly broker: Pick<Broker, 'linkDrained'> | undefined;
  linkUp(link: TransportLink): void;
  linkDown(reason: string): void;
  said(payload: Uint8Array): void;
  /** Something in it does not hold. */
  broken(error: unknown): void;
}

/** Passes the events of the NATS transport to the parts of a member. Messages of clients do not pass here: see `TransportLink.handOverTo`. */
export class MemberHandler implements TransportHandler {
  readonly #member: Listener;

  constructor(member: Listener) {
    this.#member = member;
  }

  onLinkUp(link: TransportLink): void {
    try {
      this.#member.linkUp(link);
    } catch (error) {
      this.#member.broken(error);
    }
  }

  onLinkDown(reason: string): void {
    try {
      this.#member.linkDown(reason);
    } catch (error) {
      this.#member.broken(error);
    }
  }

  onDrain(): void {
    this.#member.broker?.linkDrained();
  }

  onGroupMessage(payload: Uint8Array): void {
    try {
      this.#member.said(payload);
    } catch (error) {
      // A message of another member must not end a term, unless it has revealed a bug in here.
      if (!(error instanceof Bug)) throw error;
      this.#member.broken(error);
    }
  }
}
