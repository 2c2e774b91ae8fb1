import { connect } from '@nats-io/transport-node';
import type { Argv } from 'yargs';
import type { Credentials } from '../config/nats-options.js';
import { statusAnswers } from '../group/report/ask-status.js';
import { checkStore } from '../local-group/check-store.js';
import { LocalGroup } from '../local-group/local-group.js';
import { createLogger } from '../log/logger.js';
import { descriptorOutput } from '../log/output.js';
import { printable } from '../util/printable.js';
import { COMMAND_NAMES } from './command-names.js';
import { flagsOf } from './flags.js';
import { keyOf } from './group-key-flags.js';
import { onStopSignal } from './signals.js';
import { UP_FLAGS, type UpFlag } from './up-flags.js';
import { upOptions } from './up-options.js';

export { UP_FLAGS } from './up-flags.js';

const STDOUT = 1;
const ASK_MS = 500;

/** `stanchion up`: runs a group on this machine. `npm start` runs it too. */
export function addUpCommand(parser: Argv, onExitCode: (exitCode: number) => void): Argv {
  return parser.command(
    ...COMMAND_NAMES.up,
    (command) =>
      command
        .options(UP_FLAGS)
        .example('$0 up --nodes 3 --dir ./data', 'then kill the active broker, and watch'),
    async (args) => onExitCode(await up(args)),
  );
}

async function up(args: Readonly<Record<string, unknown>>): Promise<number> {
  const flags = await flagsOf(args, Object.keys(UP_FLAGS) as UpFlag[]);
  const logFormat = process.stdout.isTTY ? 'pretty' : 'json';
  const options = await upOptions(flags, process.env, logFormat);
  const { clusterId, dir, credentials } = options;
  const log = await createLogger({
    level: 'warn',
    format: logFormat,
    output: descriptorOutput(STDOUT),
    withTime: true,
    withColor: false,
  });
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const stopAsked = new Promise<void>((resolve) => onStopSignal(log, resolve));
  await checkStore(dir, clusterId);
  const group = await LocalGroup.start({
    nodes: options.nodes,
    dir,
    port: options.port,
    httpPort: options.httpPort,
    clusterId,
    group: options.group,
    flags: options.brokerFlags,
    environment: options.brokerEnvironment,
    credentials,
    binary: options.natsServerBinary,
    log,
    onLine: (node, line) => say(process.stdout.isTTY ? `${node} | ${line}` : line),
  });
  let active: string | undefined;
  try {
    say(`Clients connect to cluster id "${clusterId}" at ${group.urls.join(', ')}`);
    const nc = await connect({ servers: group.urls, maxReconnectAttempts: -1, ...shown(credentials) });
    let isStopping = false;
    const stopped = stopAsked.then(() => {
      isStopping = true;
    });
    let epoch = 0;
    let key: Buffer | undefined;
    while (!isStopping) {
      key ??= await keyOf(dir, clusterId).catch(() => undefined);
      const question = { clusterId, group: options.group, key };
      const answers = await statusAnswers(nc, question).catch(() => undefined);
      const now = answers?.members.find(({ role }) => role === 'active');
      if (now !== undefined && now.epoch !== epoch) {
        ({ epoch } = now);
        active = now.node;
        say(`Active: ${printable(now.node)} (pid ${now.pid}), epoch ${epoch}. Try: kill -9 ${now.pid}`);
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

/** The credentials as options of the NATS client. */
function shown({ user, pass, token }: Credentials): { user?: string; pass?: string; token?: string } {
  return {
    ...(user !== undefined && { user }),
    ...(pass !== undefined && { pass }),
    ...(token !== undefined && { token }),
  };
}
