import type { MemberStatus } from '../group/report/member-status.js';
import { unanswered } from '../group/report/peer-status.js';

/** Table rows for members that did not answer, from what the others heard of them last: node, group, role, epoch, ... */
export function unansweredRows(found: readonly MemberStatus[]): string[][] {
  const groups = [...new Set(found.map(({ group }) => group))];
  return groups.flatMap((group) =>
    unanswered(found.filter((member) => member.group === group)).map((peer) => [
      peer.node,
      group,
      // The parentheses mark the role as the last known.
      `(${peer.role})`,
      String(peer.epoch),
      '-',
      peer.natsServer,
      `${peer.host}:${peer.store.dir}`,
      '-',
      '-',
      `no answer, not heard for ${silence(peer.silentMs)}`,
    ]),
  );
}

function silence(ms: number): string {
  const seconds = ms / 1_000;
  return seconds < 10 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds)} s`;
}
