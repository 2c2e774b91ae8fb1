import type { MemberStatus } from '../group/report/member-status.js';
import { DISPUTE_REMEDY, type DisputeStatus, nameOf } from '../group/watch/dispute-status.js';
import { must } from '../util/assert.js';
import { printable } from '../util/printable.js';

/** A paragraph for each group whose lease is in dispute: which sides, since when, and what to do. */
export function disputes(found: readonly MemberStatus[]): string[] {
  const groups = new Map<string, MemberStatus[]>();
  for (const member of found) {
    // A member of an older version does not report disputes.
    if (member.dispute) groups.set(member.group, [...(groups.get(member.group) ?? []), member]);
  }
  return [...groups].map(([group, members]) => paragraph(group, members));
}

function paragraph(group: string, members: readonly MemberStatus[]): string {
  const views = members.map(({ dispute }) => must(dispute, 'only members with a dispute are collected'));
  const since = new Date(Math.min(...views.map(({ sinceWallMs }) => sinceWallMs))).toISOString();
  const last = views.reduce((one, other) => (other.epoch > one.epoch ? other : one));
  const rounds = Math.max(...views.map((view) => view.rounds));
  const rivals = rivalsOf(views).map(nameOf);
  const here = members.map(({ node, natsServer }) => `${node} at ${natsServer}`);
  const isOne = rivals.length === 1;
  return [
    `The lease of group "${group}" has been in dispute since ${since}: two sides share the store and do not hear each other over NATS.`,
    `  here:       ${here.join(', ')}`,
    `  not heard:  ${rivals.join(', ')}: took the lease back ${rounds} times, last in epoch ${last.epoch}`,
    `  effect:     nothing acknowledged is lost. Clients of one side at a time are served: a turn takes some ${seconds(last)} s now, and longer each time, up to minutes`,
    `  what to do: ${DISPUTE_REMEDY}.`,
    `              The log of ${isOne ? 'the one' : 'those'} not heard has the NATS server it is at, in "Streaming Server is ready"`,
  ]
    .map(printable)
    .join('\n');
}

function rivalsOf(views: readonly DisputeStatus[]): DisputeStatus['rivals'] {
  const all = views.flatMap(({ rivals }) => rivals);
  return [...new Map(all.map((rival) => [rival.member, rival])).values()];
}

function seconds({ waitMs }: DisputeStatus): number {
  return Math.round(waitMs / 1000);
}
