import type { Argv, Options } from 'yargs';
import { type StatusAnswers, statusAnswers } from '../group/report/ask-status.js';
import type { MemberStatus } from '../group/report/member-status.js';
import { reachNats } from '../nats/reach.js';
import { table } from '../util/table.js';
import {
  addNatsFlags,
  CLUSTER_FLAGS,
  connectTimeoutMs,
  flag,
  flagSwitch,
  natsFlags,
  natsOptions,
} from './client-flags.js';
import { COMMAND_NAMES } from './command-names.js';
import { GROUP_KEY_FLAGS, groupKey } from './group-key-flags.js';
import { disputes } from './status-dispute.js';
import { doubts } from './status-doubts.js';
import { unansweredRows } from './status-unanswered.js';

export { NATS_FLAGS } from './client-flags.js';

export const STATUS_FLAGS = {
  ...CLUSTER_FLAGS,
  'ft-group': flag('Name of the group [default: all of the cluster id]'),
  ...GROUP_KEY_FLAGS,
  json: flagSwitch('Print JSON'),
} as const satisfies Record<string, Options>;

/** `stanchion status`: asks the members over NATS, so it needs no HTTP port. */
export function addStatusCommand(parser: Argv, onExitCode: (exitCode: number) => void): Argv {
  return parser.command(
    ...COMMAND_NAMES.status,
    (command) =>
      addNatsFlags(command, STATUS_FLAGS).example(
        '$0 status --nats-server nats://127.0.0.1:4222',
        'which member is active, and the age of its lease',
      ),
    async (args) => onExitCode(await status(args)),
  );
}

async function status(args: Readonly<Record<string, unknown>>): Promise<number> {
  const flags = await natsFlags(args, STATUS_FLAGS);
  const clusterId = flags.option('cluster-id');
  const group = flags.option('ft-group');
  const found = await groupKey(flags, clusterId);
  const nc = await reachNats({
    ...natsOptions(flags),
    name: 'stanchion status',
    timeout: connectTimeoutMs(flags),
  });
  let answers: StatusAnswers;
  try {
    answers = await statusAnswers(nc, { clusterId, group, key: found.key });
  } finally {
    await nc.close();
  }
  const { members } = answers;
  const notes = doubts(answers, found);
  if (flags.flag('json')) {
    process.stdout.write(`${JSON.stringify(members, undefined, 2)}\n`);
    for (const note of notes) process.stderr.write(`${note}\n`);
  } else {
    const shown = members.length === 0 ? noneText(clusterId, group) : text(members);
    process.stdout.write(`${[shown, ...notes].join('\n\n')}\n`);
  }
  const groups = new Map<string, number>();
  // An active with a problem does not count: clients are not served through it.
  for (const { group, role, trouble } of members)
    groups.set(group, (groups.get(group) ?? 0) + Number(role === 'active' && trouble === null));
  return groups.size > 0 && [...groups.values()].every((actives) => actives === 1) ? 0 : 1;
}

function noneText(clusterId: string, group: string | undefined): string {
  const which =
    group === undefined
      ? `a group of cluster id "${clusterId}"`
      : `group "${group}" of cluster id "${clusterId}"`;
  return `No member of ${which} has answered: are the brokers running, with --ft-group, and is that their cluster id?`;
}

function text(found: readonly MemberStatus[]): string {
  const rows = found.map((member) => [
    member.node,
    member.group,
    member.role,
    String(member.epoch),
    member.leaseAgeMs === null ? '-' : `${member.leaseAgeMs} ms of ${member.leaseMs}`,
    member.natsServer,
    `${member.host}:${member.store.dir}`,
    member.role === 'active' ? String(member.clients) : '-',
    member.role === 'active' ? String(member.channels) : '-',
    [...(member.trouble === null ? [] : [member.trouble]), ...(member.warnings ?? [])].join('; '),
  ]);
  rows.push(...unansweredRows(found));
  rows.sort(([node, group], [otherNode, otherGroup]) => order(group, otherGroup) || order(node, otherNode));
  const members = table(
    ['node', 'group', 'role', 'epoch', 'lease age', 'NATS server', 'store', 'clients', 'channels', 'problem'],
    rows,
  );
  return [members, ...disputes(found)].join('\n\n');
}

function order(a = '', b = ''): number {
  return a.localeCompare(b);
}
