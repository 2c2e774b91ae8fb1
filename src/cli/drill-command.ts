import type { Argv, Options } from 'yargs';
import { FAULTS } from '../drill/drill-options.js';
import { reportText } from '../drill/drill-report-text.js';
import { drill } from '../drill/run-drill.js';
import { createLogger } from '../log/logger.js';
import { descriptorOutput } from '../log/output.js';
import {
  addNatsFlags,
  CLUSTER_FLAGS,
  DISCOVER_FLAGS,
  flag,
  flagSwitch,
  type NatsFlag,
  natsFlags,
} from './client-flags.js';
import { drillOptions } from './drill-flags.js';
import { Progress } from './progress-line.js';
import { onStopSignal } from './signals.js';

const STDERR = 2;
const FAILED = 1;
/** As a shell has it for a program that was interrupted. */
const INTERRUPTED = 130;

export const DRILL_FLAGS = {
  faults: flag(
    `What happens to the active: ${FAULTS.join(', ')}; kill=10 for ten times [default: all; for a running group handover]`,
  ),
  takeovers: flag('How often each fault happens [default: 3]'),
  messages: flag('Messages stored before the first fault [default: 10000]'),
  rate: flag('Messages a second during the drill [default: 1000]'),
  pause: flag('How long a paused process is paused [default: 10s]'),
  settle: flag('Time without a fault between two faults [default: 2s]'),
  timeout: flag('How long to wait for a takeover, and for a member to come back [default: 60s]'),
  nodes: flag('Brokers of the local group [default: 3]'),
  dir: flag('Folder of the local group, which must be empty [default: a temporary one]'),
  ...CLUSTER_FLAGS,
  ...DISCOVER_FLAGS,
  'ft-group': flag('Name of the running group [default: the only one]'),
  'allow-signals': flagSwitch('Allow to stop, kill and pause members of a running group on this machine'),
  json: flagSwitch('Print JSON'),
} as const satisfies Record<string, Options>;

export type DrillFlag = keyof typeof DRILL_FLAGS | NatsFlag;

/** `stanchion drill`: what an operator runs before trusting a deployment. */
export function addDrillCommand(parser: Argv, onExitCode: (exitCode: number) => void): Argv {
  return parser.command(
    'drill',
    'Make the active of a group fail, again and again under load, and check that nothing is lost',
    (command) =>
      addNatsFlags(command, DRILL_FLAGS, ['cluster-id', 'discover-prefix', 'ft-group', 'allow-signals'])
        .option(
          'nats-server',
          flag('NATS servers of a running group, separated by commas [default: start a local group]'),
        )
        .example('$0 drill', 'a local group of three, each fault three times')
        .example('$0 drill --faults kill=10,cut=5 --messages 1000000', 'with a million messages stored')
        .example('$0 drill --nats-server nats://127.0.0.1:4222', 'a running group hands over'),
    async (args) => {
      const flags = await natsFlags(args, DRILL_FLAGS);
      onExitCode(await run(drillOptions(flags), flags.flag('json')));
    },
  );
}

async function run(options: ReturnType<typeof drillOptions>, wantsJson: boolean): Promise<number> {
  const log = createLogger({ level: 'warn', format: 'pretty', output: descriptorOutput(STDERR) });
  const progress = new Progress(process.stderr);
  const interrupt = new AbortController();
  onStopSignal(log, () => {
    progress.say('ending: what has been done until now is checked');
    interrupt.abort();
  });
  try {
    const report = await drill(options, (line) => progress.say(line), interrupt.signal);
    progress.end();
    if (report === undefined) {
      process.stderr.write('interrupted before the first fault: nothing to tell\n');
      return INTERRUPTED;
    }
    const output = wantsJson ? JSON.stringify(report, undefined, 2) : reportText(report);
    process.stdout.write(`${output}\n`);
    if (report.verdict === 'interrupted') return INTERRUPTED;
    return report.verdict === 'passed' ? 0 : FAILED;
  } finally {
    progress.end();
  }
}
