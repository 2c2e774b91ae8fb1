import type { Argv, Options } from 'yargs';
import { askStatus } from '../group/ask.js';
import { checkStore } from '../local-group/check-store.js';
import { LocalGroup } from '../local-group/local-group.js';
import { createLogger } from '../log/logger.js';
import { descriptorOutput } from '../log/output.js';
import { connect } from '../nats/connect.js';
import { CONFIG_FLAG, flag } from './client-flags.js';
import { flagsOf } from './flags.js';
import { onStopSignal } from './signals.js';

export const UP_FLAGS = {
  nodes: flag('Brokers, and nats-servers [default: 3]'),
  dir: flag('Folder of the store they share [default: ./data]'),
  port: flag('Of the first nats-server; the others follow [default: 4222]'),
  'http-port': flag('Of the first broker; the others follow [default: 8222]'),
  'cluster-id': flag('Name that clients connect to [default: test-cluster]'),
  'ft-group': flag('Name of the group [default: local]'),
  ...CONFIG_FLAG,
} as const satisfies Record<string, Options>;

const STDOUT = 1;
const ASK_MS = 500;
const MAX_NODES = 9;
const MAX_PORT = 65_535 - MAX_NODES;

/** `stanchion up`: a group on this machine, as `npm start` runs it. */
export function addUpCommand(parser: Argv, onExitCode: (exitCode: number) => void): Argv {
  return parser.command(
    'up',
    'Run a local group: brokers on one store, each beside a nats-server',
    (command) =>
      command
        .options(UP_FLAGS)
        .example('$0 up --nodes 3 --dir ./data', 'then kill the active one, and watch'),
    async (args) => onExitCode(await up(args)),
  );
}

async function up(args: Readonly<Record<string, unknown>>): Promise<number> {
  const flags = await flagsOf(args, Object.keys(UP_FLAGS) as (keyof typeof UP_FLAGS)[]);
  const clusterId = flags.text('cluster-id') ?? 'test-cluster';
  const groupName = flags.text('ft-group') ?? 'local';
  const nodes = flags.number('nodes', 3, 1, MAX_NODES);
  const port = flags.number('port', 4222, 0, MAX_PORT);
  const httpPort = flags.number('http-port', 8222, 0, MAX_PORT);
  const log = createLogger({
    level: 'warn',
    format: process.stdout.isTTY ? 'pretty' : 'json',
    output: descriptorOutput(STDOUT),
    withTime: true,
    withColor: false,
  });
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const stopAsked = new Promise<void>((resolve) => onStopSignal(log, resolve));
  const dir = flags.text('dir') ?? './data';
  await checkStore(dir, clusterId);
  const group = await LocalGroup.start({
    nodes,
    dir,
    port,
    httpPort,
    clusterId,
    group: groupName,
    flags: process.stdout.isTTY ? ['--log-format', 'pretty'] : ['--log-format', 'json'],
    log,
    onLine: (node, line) => say(process.stdout.isTTY ? `${node} | ${line}` : line),
  });
  let active: string | undefined;
  try {
    say(`Clients connect to cluster id "${clusterId}" at ${group.urls.join(', ')}`);
    const nc = await connect({ servers: group.urls, maxReconnectAttempts: -1 });
    let isStopping = false;
    const stopped = stopAsked.then(() => {
      isStopping = true;
    });
    let epoch = 0;
    while (!isStopping) {
      const found = await askStatus(nc, clusterId, groupName).catch(() => []);
      const now = found.find(({ role }) => role === 'active');
      if (now !== undefined && now.epoch !== epoch) {
        ({ epoch } = now);
        active = now.node;
        say(`Active: ${now.node} (pid ${now.pid}), epoch ${epoch}. Try: kill -9 ${now.pid}`);
      }
      await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, ASK_MS))]);
    }
    await nc.close();
  } finally {
    await group.stop(active);
  }
  say('The group has stopped.');
  return 0;
}
