import type { MemberRole } from '../talk/group-messages.js';
import type { KnownTakeover, TakeoverTimeline } from '../talk/takeover-timeline.js';
import type { DisputeStatus } from '../watch/dispute-status.js';
import type { PeerStatus } from './peer-status.js';

/** What a member answers when it is asked how it is. JSON. */
export interface MemberStatus {
  readonly version: string;
  readonly clusterId: string;
  readonly group: string;
  readonly node: string;
  /** Of the process: unique for ever, as the lease's holder names it. */
  readonly member: string;
  readonly host: string;
  readonly pid: number;
  readonly role: MemberRole;
  /** Of its term, else the newest that it knows of. */
  readonly epoch: number;
  /** How long it has had its role. */
  readonly roleForMs: number;
  readonly leaseMs: number;
  /** Since the lease was renewed; null if it has none. */
  readonly leaseAgeMs: number | null;
  /** `host:port` */
  readonly natsServer: string;
  readonly store: { readonly kind: 'file'; readonly dir: string; readonly storeId: string };
  readonly clients: number;
  readonly channels: number;
  readonly messages: number;
  /** Since the process started. */
  readonly takeovers: number;
  /** Its own. */
  readonly lastTakeover: TakeoverTimeline | null;
  /** The last 20 of the group that this member knows of, its own among them, oldest first. */
  readonly takeoverHistory: readonly KnownTakeover[];
  /** What keeps it from doing its part. */
  readonly trouble: string | null;
  /** What is to be looked after though it does its part: a store without room, messages that cannot be read, clocks that are apart. Older members tell of none. */
  readonly warnings?: readonly string[];
  /** Two sides of the group take the lease from each other; null if not. */
  readonly dispute: DisputeStatus | null;
  /** Other members, as this one heard them last: those that are there, and for some minutes those that fell silent without a goodbye. */
  readonly peers: readonly PeerStatus[];
}

/** As JSON, within so many bytes: the oldest takeovers are left out first, then the members that were heard longest ago. */
export function encodeStatus(status: MemberStatus, maxBytes: number): Uint8Array {
  const takeoverHistory = [...status.takeoverHistory];
  const peers = [...status.peers];
  for (;;) {
    const encoded = Buffer.from(JSON.stringify({ ...status, takeoverHistory, peers }));
    if (encoded.length <= maxBytes) return encoded;
    if (takeoverHistory.length > 0) takeoverHistory.shift();
    else if (peers.length > 0) peers.pop();
    else return encoded;
  }
}
