import type { Pulse } from '../../link/pings.js';
import type { ControlConnection } from '../../nats/control-connection.js';
import type { Store } from '../../store/types/store.js';
import type { BrokerLink } from '../state/broker-link.js';
import type { ImportedAckInboxes } from '../state/imported-ack-inboxes.js';

/** The broker's connections to NATS, as far as they are checked. */
export interface CheckedConnections {
  /** Undefined while it is not connected. */
  readonly control: CheckedControl | undefined;
  readonly link: CheckedLink | undefined;
  /** `host:port` */
  readonly server: string;
  /** Makes a new data link at the same server, with all subscriptions. */
  renewLink(why: string): void;
  /** The same for the control connection. */
  renewControl(why: string): void;
  /**
   * The server answers on neither connection: it is tried by a third one, and if it answers there, both are given up. Undefined where
   * the owner finds that out by itself.
   */
  doubtServer?(): void;
}

export type CheckedControl = Pick<
  ControlConnection,
  'flush' | 'isClosed' | 'publish' | 'request' | 'subscribe'
>;

/** A broker that serves, as far as it is checked. */
export interface CheckedBroker {
  readonly isDraining: boolean;
  readonly store: Pick<Store, 'committed' | 'touch'>;
  /** Ack inboxes of subscriptions that came along with an import. */
  readonly importedAckInboxes: Pick<ImportedAckInboxes, 'has'>;
}

export interface CheckedLink extends BrokerLink {
  /** What waits for the server to take it. */
  readonly backlogBytes: number;
  /** All that has come in. */
  readonly receivedBytes: number;
  readonly pulse: Pulse;
}
