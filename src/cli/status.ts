import { connect } from 'nats';
import type { Argv } from 'yargs';
import { askStatus } from '../group/ask.js';
import type { MemberStatus } from '../group/status.js';
import { table } from './table.js';

interface StatusArgs {
  'nats-server': string;
  'cluster-id': string;
  'ft-group': string | undefined;
  user: string | undefined;
  pass: string | undefined;
  auth: string | undefined;
  json: boolean;
}

const CONNECT_MS = 5_000;

/** `stanchion status`: asks the members over NATS, so it needs no HTTP port. */
export function addStatusCommand(parser: Argv, onExitCode: (exitCode: number) => void): Argv {
  return parser.command(
    'status',
    'Show the members of a group. Exit code 1 unless exactly one is active',
    (command) =>
      command
        .option('nats-server', {
          type: 'string',
          default: 'nats://127.0.0.1:4222',
          requiresArg: true,
          describe: 'NATS servers, by commas',
        })
        .option('cluster-id', {
          type: 'string',
          default: 'test-cluster',
          requiresArg: true,
          describe: 'Cluster id of the group',
        })
        .option('ft-group', {
          type: 'string',

          requiresArg: true,
          describe: 'Name of the group; all of the cluster id',
        })
        .option('user', { type: 'string', requiresArg: true, describe: 'User in NATS' })
        .option('pass', { type: 'string', requiresArg: true, describe: 'Password in NATS' })
        .option('auth', { type: 'string', requiresArg: true, describe: 'Token in NATS' })
        .option('json', { type: 'boolean', default: false, describe: 'For programs' })
        .example('$0 status --nats-server nats://127.0.0.1:4222', 'who is active, and how old its lease is'),
    async (args) => onExitCode(await status(args)),
  );
}

async function status(args: StatusArgs): Promise<number> {
  const { user, pass, auth } = args;
  const nc = await connect({
    servers: args['nats-server'].split(','),
    timeout: CONNECT_MS,
    ...(user !== undefined && { user }),
    ...(pass !== undefined && { pass }),
    ...(auth !== undefined && { token: auth }),
  }).catch((error: Error) => {
    throw new Error(`cannot connect to NATS at ${args['nats-server']}: ${error.message}`);
  });
  let found: MemberStatus[];
  try {
    found = await askStatus(nc, args['cluster-id'], args['ft-group']);
  } finally {
    await nc.close();
  }
  if (args.json) process.stdout.write(`${JSON.stringify(found, undefined, 2)}\n`);
  else process.stdout.write(`${found.length === 0 ? 'No member has answered.' : text(found)}\n`);
  const groups = new Map<string, number>();
  for (const { group, role } of found)
    groups.set(group, (groups.get(group) ?? 0) + Number(role === 'active'));
  return groups.size > 0 && [...groups.values()].every((actives) => actives === 1) ? 0 : 1;
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
    member.trouble ?? '',
  ]);
  return table(
    ['node', 'group', 'role', 'epoch', 'lease age', 'NATS server', 'store', 'clients', 'channels', 'trouble'],
    rows,
  );
}
