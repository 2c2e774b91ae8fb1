import type { MemberRole } from '../talk/group-messages.js';
import { rivalOf } from '../watch/dispute-status.js';
import type { Lately } from '../watch/lease-watch.js';

/** Another member, as the reporting one has heard it last. It is sent as JSON. */
export interface PeerStatus {
  /** The name of the process in the lease, which is unique for ever. */
  readonly member: string;
  readonly node: string;
  /** '' if its name does not have it. */
  readonly host: string;
  /** 0 if its name does not have it. */
  readonly pid: number;
  /** Its last known role. */
  readonly role: MemberRole;
  readonly epoch: number;
  /** How long it had that role. */
  readonly roleForMs: number;
  /** `host:port` */
  readonly natsServer: string;
  readonly store: { readonly kind: 'file'; readonly dir: string; readonly storeId: string };
  /** Time since its last heartbeat. */
  readonly silentMs: number;
  /** Whether that time is so short that it counts as present. */
  readonly isHeard: boolean;
}

/** @param heardMs a member that is silent for longer does not count as present */
export function peerStatus({ heartbeat, silentMs }: Lately, heardMs: number): PeerStatus {
  const { member, node, role, epoch, forMs, server, storeDir, storeId } = heartbeat;
  const { host, pid } = rivalOf(member);
  return {
    ...{ member, node, host: host ?? '', pid: pid ?? 0, role, epoch },
    roleForMs: forMs,
    natsServer: server,
    store: { kind: 'file', dir: storeDir, storeId },
    silentMs: Math.round(silentMs),
    isHeard: silentMs <= heardMs,
  };
}

/**
 * The members of one group that have not answered, as those that have answered heard them last. A process whose node has been started
 * again since is not one of them.
 */
export function unanswered(
  answers: readonly {
    readonly member: string;
    readonly node: string;
    readonly peers?: readonly PeerStatus[];
  }[],
): PeerStatus[] {
  const answered = new Set(answers.map(({ member }) => member));
  const nodes = new Set(answers.map(({ node }) => node));
  const last = new Map<string, PeerStatus>();
  for (const peer of answers.flatMap(({ peers = [] }) => peers)) {
    // If the present process of the node has answered, this one is a former process.
    if (answered.has(peer.member) || nodes.has(peer.node)) continue;
    const known = last.get(peer.member);
    if (known === undefined || peer.silentMs < known.silentMs) last.set(peer.member, peer);
  }
  const perNode = new Map<string, PeerStatus>();
  for (const peer of last.values()) {
    const known = perNode.get(peer.node);
    if (known === undefined || peer.silentMs < known.silentMs) perNode.set(peer.node, peer);
  }
  return [...perNode.values()].sort((a, b) => (a.node < b.node ? -1 : 1));
}
