// `stanchion export`: a store as JSON Lines, for a backup, a test, or another system.

import type { Argv, Options } from 'yargs';
import { ConfigError } from '../config/config-error.js';
import { errorCode } from '../files/fs-error.js';
import type { ExportResult } from '../import/lines/export-store.js';
import { printable } from '../util/printable.js';
import { CONFIG_FLAG, flag, flagSwitch } from './client-flags.js';
import { COMMAND_NAMES } from './command-names.js';
import { countText } from './count-text.js';
import { flagsOf } from './flags.js';
import { bar, Progress } from './progress-line.js';
import { INTERRUPTED, onStopSignal } from './signals.js';
import { sizeText } from './size-text.js';
import { toolLogger } from './tool-logger.js';

export const EXPORT_FLAGS = {
  dir: flag('Folder of the store; a broker may use it meanwhile'),
  to: flag(
    'File to write: FILE.jsonl, or compressed FILE.jsonl.gz or FILE.jsonl.zst; "-" is standard output',
  ),
  json: flagSwitch('Print the summary as JSON'),
  ...CONFIG_FLAG,
} as const satisfies Record<string, Options>;

/** Time between two changes of the progress line. */
const PROGRESS_MS = 100;

export function addExportCommand(parser: Argv, onExitCode: (exitCode: number) => void): Argv {
  return parser.command(
    ...COMMAND_NAMES.export,
    (command) =>
      command
        .options(EXPORT_FLAGS)
        .example('$0 export --dir ./data --to backup.jsonl.gz', 'everything in ./data, in one file')
        .example(
          '$0 export --dir ./data --to - | jq -r \'select(.subject == "orders").data\'',
          'the messages of one channel',
        ),
    async (args) => onExitCode(await exportCommand(args)),
  );
}

async function exportCommand(args: Readonly<Record<string, unknown>>): Promise<number> {
  const flags = await flagsOf(args, Object.keys(EXPORT_FLAGS) as (keyof typeof EXPORT_FLAGS)[]);
  const [dir, to] = [flags.text('dir'), flags.text('to')];
  if (dir === undefined) throw new ConfigError('--dir FOLDER is missing: the folder of the store');
  if (to === undefined)
    throw new ConfigError('--to FILE is missing: the file to write, or - for standard output');
  const { openLineOutput, compressionOf, runExport } = await import('./export-run.js');
  // A compression that is not there shows before anything is read.
  compressionOf(to);
  const stop = new AbortController();
  onStopSignal(toolLogger(), () => stop.abort());
  const progress = new Progress(process.stderr);
  let shownMs = 0;
  const onProgress = (done: number, due: number): void => {
    const nowMs = performance.now();
    if (!process.stderr.isTTY || nowMs - shownMs < PROGRESS_MS) return;
    shownMs = nowMs;
    progress.show(bar(done, due));
  };
  try {
    const { result, warnings } = await runExport(dir, () => openLineOutput(to), stop.signal, onProgress);
    progress.end();
    // Standard output may be the export itself.
    const out = to === '-' ? process.stderr : process.stdout;
    if (flags.flag('json')) out.write(`${JSON.stringify({ ...result, warnings })}\n`);
    else {
      for (const warning of warnings) process.stderr.write(`Note: ${printable(warning)}\n`);
      out.write(summary(dir, to, result));
    }
    return 0;
  } catch (error) {
    progress.end();
    if (errorCode(error) === 'EPIPE')
      throw new Error('the reader of standard output is gone: what it has is not whole');
    if (!stop.signal.aborted) throw error;
    process.stderr.write(
      `interrupted: ${to === '-' ? 'what was written is not whole' : `${to} was not written`}\n`,
    );
    return INTERRUPTED;
  } finally {
    progress.end();
  }
}

function summary(dir: string, to: string, result: ExportResult): string {
  const { messages, channels, clients, subscriptions, bytes, dropped } = result;
  const counts = [
    countText(messages, 'message'),
    countText(channels, 'channel'),
    countText(clients, 'client'),
    countText(subscriptions, 'subscription'),
  ];
  const lines = [
    `Exported ${dir}${to === '-' ? '' : ` to ${to}`}: ${counts.join(', ')}; ${sizeText(bytes)} of JSON`,
  ];
  if (dropped > 0)
    lines.push(
      `${countText(dropped, 'message')} went by the limits of the running broker before they were read`,
    );
  if (to !== '-') lines.push(`To make a store of it: stanchion import --from ${to} --dir NEW-FOLDER`);
  return `${lines.map(printable).join('\n')}\n`;
}
