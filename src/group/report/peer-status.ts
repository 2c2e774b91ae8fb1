import type { MemberRole } from '../talk/group-messages.js';
import { rivalOf } from '../watch/dispute-status.js';
import type { Lately } from '../watch/lease-watch.js';

/** Another member, as the one that tells it has heard it last. JSON. */
export interface PeerStatus {
  /** Of the process: unique for ever, as the lease's holder names it. */
  readonly member: string;
  readonly node: string;
  /** '' if its name does not tell. */
  readonly host: string;
  /** 0 if its name does not tell. */
  readonly pid: number;
  /** What it was at. */
  readonly role: MemberRole;
  readonly epoch: number;
  /** How long it had been that. */
  readonly roleForMs: number;
  /** `host:port` */
  readonly natsServer: string;
  readonly store: { readonly kind: 'file'; readonly dir: string; readonly storeId: string };
  /** Since its last heartbeat. */
  readonly silentMs: number;
  /** That is short enough for it to be there. */
  readonly isHeard: boolean;
}

/** @param heardMs who is silent for longer is not there */
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
 * Members of one group that have not answered, as those that have answered heard them last. Who has been started again since,
 * under the name of its node, is not one of them.
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
    // Of a node whose present process has answered it is a former one.
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
