import type { MemberRole } from '../talk/group-messages.js';
import type { KnownTakeover, TakeoverTimeline } from '../talk/takeover-timeline.js';
import type { DisputeStatus } from '../watch/dispute-status.js';
import type { PeerStatus } from './peer-status.js';

/** The status of a member, which it sends as JSON. */
export interface MemberStatus {
  readonly version: string;
  readonly clusterId: string;
  readonly group: string;
  readonly node: string;
  /** The name of the process in the lease, which is unique for ever. */
  readonly member: string;
  readonly host: string;
  readonly pid: number;
  readonly role: MemberRole;
  /** The epoch of its term, else the newest that it knows. */
  readonly epoch: number;
  /** How long it has had its role. */
  readonly roleForMs: number;
  readonly leaseMs: number;
  /** Time since the last renewal of its lease; null if it has none. */
  readonly leaseAgeMs: number | null;
  /** `host:port` */
  readonly natsServer: string;
  readonly store: { readonly kind: 'file'; readonly dir: string; readonly storeId: string };
  readonly clients: number;
  readonly channels: number;
  readonly messages: number;
  /** How many takeovers it has made since its process started. */
  readonly takeovers: number;
  /** Its own last takeover. */
  readonly lastTakeover: TakeoverTimeline | null;
  /** The last 20 takeovers of the group that this member knows, oldest first, with its own. */
  readonly takeoverHistory: readonly KnownTakeover[];
  /** The problem that keeps it from doing its part. */
  readonly trouble: string | null;
  /** Problems despite which it does its part: a full store, messages that cannot be read, clocks that differ. Older members do not report them. */
  readonly warnings?: readonly string[];
  /**
   * Whether it believes and follows only what is proved by the key of its store. Not before there is a store, nor on one of release 0.1.0,
   * whose members do not report it.
   */
  readonly needsProof?: boolean;
  /** The dispute of the lease between two sides of the group; null if there is none. */
  readonly dispute: DisputeStatus | null;
  /** The other members, as this one has heard them last: also, for some minutes, those that fell silent without a goodbye. */
  readonly peers: readonly PeerStatus[];
}

/** Encodes a status as JSON within `maxBytes`: it leaves out the oldest takeovers first, then the members that were heard longest ago. */
export function encodeStatus(status: MemberStatus, maxBytes: number): string {
  const takeoverHistory = [...status.takeoverHistory];
  const peers = [...status.peers];
  for (;;) {
    const encoded = JSON.stringify({ ...status, takeoverHistory, peers });
    if (Buffer.byteLength(encoded) <= maxBytes) return encoded;
    if (takeoverHistory.length > 0) takeoverHistory.shift();
    else if (peers.length > 0) peers.pop();
    else return encoded;
  }
}
