import type { Argv, Options } from 'yargs';
import { drill } from '../drill/drill.js';
import { FAULTS } from '../drill/options.js';
import { reportText } from '../drill/report-text.js';
import { createLogger } from '../log/logger.js';
import { descriptorOutput } from '../log/output.js';
import { type DrillArgs, drillOptions } from './drill-options.js';
import { Progress } from './progress.js';
import { onStopSignal } from './signals.js';

const STDERR = 2;
const FAILED = 1;
/** As a shell has it for a program that was interrupted. */
const INTERRUPTED = 130;

export const DRILL_FLAGS = {
  faults: text(
    `What to do to the active: ${FAULTS.join(', ')}; kill=10 for a number of its own [default: all, of a running group handover]`,
  ),
  takeovers: text('Of each fault [default: 3]'),
  messages: text('Stored before it begins [default: 10000]'),
  rate: text('Messages a second meanwhile [default: 1000]'),
  pause: text('How long a paused process is paused [default: 10s]'),
  settle: text('Undisturbed work between two faults [default: 2s]'),
  timeout: text('For a takeover, and for a member to come back [default: 60s]'),
  nodes: text('Brokers of the local group [default: 3]'),
  dir: text('Folder of the local group, which must be empty [default: a temporary one]'),
  'nats-server': text('NATS servers of a running group, by commas [default: start a local group]'),
  'cluster-id': text('Cluster id of the running group [default: test-cluster]'),
  'ft-group': text('Name of the running group [default: the only one]'),
  user: text('User in NATS'),
  pass: text('Password in NATS'),
  auth: text('Token in NATS'),
  'allow-signals': {
    type: 'boolean',
    default: false,
    describe: 'Of a running group: members on this machine may be stopped, killed and paused',
  },
  json: { type: 'boolean', default: false, describe: 'For programs' },
} as const satisfies Record<string, Options>;

/** `stanchion drill`: what an operator runs before trusting a deployment. */
export function addDrillCommand(parser: Argv, onExitCode: (exitCode: number) => void): Argv {
  return parser.command(
    'drill',
    'Strike the active of a group, again and again under load, and check that nothing is lost',
    (command) =>
      command
        .options(DRILL_FLAGS)
        .example('$0 drill', 'a local group of three, each fault three times')
        .example('$0 drill --faults kill=10,cut=5 --messages 1000000', 'with a million messages stored')
        .example('$0 drill --nats-server nats://127.0.0.1:4222', 'a running group hands over'),
    async (args) => onExitCode(await run(drillOptions(args as DrillArgs, process.env), args.json)),
  );
}

/** Numbers, and whether there is any, are looked at by `drillOptions`: yargs takes what is no number for one. */
function text(describe: string): { type: 'string'; describe: string } {
  return { type: 'string', describe };
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
