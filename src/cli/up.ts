import { connect } from 'nats';
import type { Argv } from 'yargs';
import { askStatus } from '../group/ask.js';
import { LocalGroup } from '../local-group/local-group.js';
import { createLogger } from '../log/logger.js';
import { descriptorOutput } from '../log/output.js';
import { onStopSignal } from './signals.js';

interface UpArgs {
  nodes: number;
  dir: string;
  port: number;
  'http-port': number;
  'cluster-id': string;
  'ft-group': string;
}

const STDOUT = 1;
const ASK_MS = 500;
const MAX_NODES = 9;

/** `stanchion up`: a group on this machine, as `npm start` runs it. */
export function addUpCommand(parser: Argv, onExitCode: (exitCode: number) => void): Argv {
  return parser.command(
    'up',
    'Run a local group: brokers on one store, each beside a nats-server',
    (command) =>
      command
        .option('nodes', {
          type: 'number',
          default: 3,
          requiresArg: true,
          describe: `Brokers, and nats-servers: 1 to ${MAX_NODES}`,
        })
        .option('dir', {
          type: 'string',
          default: './data',
          requiresArg: true,
          describe: 'Folder of the store they share',
        })
        .option('port', {
          type: 'number',
          default: 4222,
          requiresArg: true,
          describe: 'Of the first nats-server; the others follow',
        })
        .option('http-port', {
          type: 'number',
          default: 8222,
          requiresArg: true,
          describe: 'Of the first broker; the others follow',
        })
        .option('cluster-id', {
          type: 'string',
          default: 'test-cluster',
          requiresArg: true,
          describe: 'Name that clients connect to',
        })
        .option('ft-group', {
          type: 'string',
          default: 'local',
          requiresArg: true,
          describe: 'Name of the group',
        })
        .check(({ nodes }) => {
          if (!Number.isInteger(nodes) || nodes < 1 || nodes > MAX_NODES)
            throw new Error(`--nodes must be from 1 to ${MAX_NODES}`);
          return true;
        })
        .example('$0 up --nodes 3 --dir ./data', 'then kill the active one, and watch'),
    async (args) => onExitCode(await up(args)),
  );
}

async function up(args: UpArgs): Promise<number> {
  const log = createLogger({
    level: 'warn',
    format: process.stdout.isTTY ? 'pretty' : 'json',
    output: descriptorOutput(STDOUT),
    withTime: true,
    withColor: false,
  });
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const stopAsked = new Promise<void>((resolve) => onStopSignal(log, resolve));
  const clusterId = args['cluster-id'];
  const group = await LocalGroup.start({
    nodes: args.nodes,
    dir: args.dir,
    port: args.port,
    httpPort: args['http-port'],
    clusterId,
    group: args['ft-group'],
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
      const found = await askStatus(nc, clusterId, args['ft-group']).catch(() => []);
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
