import type { Argv } from 'yargs';
import type { DrillOptions } from '../drill/drill-options.js';
import { reportText } from '../drill/drill-report-text.js';
import { drill } from '../drill/run-drill.js';
import { addNatsFlags, flag, natsFlags } from './client-flags.js';
import { COMMAND_NAMES } from './command-names.js';
import { DRILL_FLAGS, drillOptions } from './drill-flags.js';
import { Progress } from './progress-line.js';
import { INTERRUPTED, onStopSignal } from './signals.js';
import { toolLogger } from './tool-logger.js';

export { NATS_FLAGS } from './client-flags.js';
export { DRILL_FLAGS } from './drill-flags.js';

const FAILED = 1;

/** `stanchion drill`: makes the active of a group fail under load, and checks that nothing is lost. */
export function addDrillCommand(parser: Argv, onExitCode: (exitCode: number) => void): Argv {
  return parser.command(
    ...COMMAND_NAMES.drill,
    (command) =>
      addNatsFlags(command, DRILL_FLAGS, [
        'cluster-id',
        'discover-prefix',
        'ft-group',
        'group-key',
        'allow-signals',
      ])
        .option(
          'nats-server',
          flag('NATS servers of a running group, separated by commas [default: start a local group]'),
        )
        .example('$0 drill', 'a local group of three, each fault three times')
        .example('$0 drill --faults kill=10,cut=5 --messages 1000000', 'with a million messages stored')
        .example(
          '$0 drill --nats-server nats://127.0.0.1:4222 --dir /shared/orders',
          'a running group hands over',
        ),
    async (args) => {
      const flags = await natsFlags(args, DRILL_FLAGS);
      onExitCode(await run(await drillOptions(flags), flags.flag('json')));
    },
  );
}

async function run(options: DrillOptions, wantsJson: boolean): Promise<number> {
  const log = toolLogger();
  const progress = new Progress(process.stderr);
  const interrupt = new AbortController();
  onStopSignal(log, () => {
    progress.show('stopping: the drill checks what it has done so far');
    interrupt.abort();
  });
  try {
    const report = await drill(options, (line) => progress.show(line), interrupt.signal);
    progress.end();
    if (report === undefined) {
      process.stderr.write('interrupted before the first fault: there is nothing to report\n');
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
