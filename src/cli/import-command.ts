// `stanchion import`: a new store with all that another server holds, or what `stanchion export` has written.

import type { Argv } from 'yargs';
import { ConfigError } from '../config/config-error.js';
import { printable } from '../util/printable.js';
import { COMMAND_NAMES } from './command-names.js';
import { type Flags, flagsOf } from './flags.js';
import {
  ALL_IMPORT_FLAGS,
  GO_FILE_FLAGS,
  IMPORT_FLAGS,
  type ImportFlag,
  RUNNING_FLAGS,
} from './import-flags.js';
import { bar, Progress } from './progress-line.js';
import { INTERRUPTED, onStopSignal } from './signals.js';
import { toolLogger } from './tool-logger.js';

export { GO_FILE_FLAGS, IMPORT_FLAGS, RUNNING_FLAGS } from './import-flags.js';

/** Time between two changes of the progress line. */
const PROGRESS_MS = 100;

export function addImportCommand(parser: Argv, onExitCode: (exitCode: number) => void): Argv {
  return parser.command(
    ...COMMAND_NAMES.import,
    (command) =>
      command
        .options({ ...IMPORT_FLAGS, ...GO_FILE_FLAGS, ...RUNNING_FLAGS })
        .group(Object.keys(GO_FILE_FLAGS), 'The store of a Go server (--from FOLDER or a database):')
        .group(Object.keys(RUNNING_FLAGS), 'A running server (--from nats://OLD:4222):')
        .example(
          '$0 import --from /var/lib/stan --dir ./store -sc stan.conf --dry-run',
          "what of a Go server's files would come along",
        )
        .example(
          '$0 import --from /var/lib/stan --dir ./store -sc stan.conf',
          'a store with all that is in them',
        )
        .example(
          '$0 import --from nats://old:4222 --monitor http://old:8222 --dir ./store',
          'by the protocol, from a server that runs',
        )
        .example('$0 import --from backup.jsonl.gz --dir ./store', 'what `stanchion export` has written'),
    async (args) => onExitCode(await importCommand(args)),
  );
}

type Mode = 'import' | 'dry-run' | 'verify';

async function importCommand(args: Readonly<Record<string, unknown>>): Promise<number> {
  const flags = await flagsOf<ImportFlag>(args, ALL_IMPORT_FLAGS);
  const [from, dir] = [flags.text('from'), flags.text('dir')];
  if (from === undefined)
    throw new ConfigError(
      "--from is missing: the folder of a Go server's files, nats://OLD:4222, or FILE.jsonl",
    );
  if (dir === undefined) throw new ConfigError('--dir FOLDER is missing: the folder of the new store');
  const mode = modeOf(flags);
  const { importRun } = await import('./import-run.js');
  const progress = new Progress(process.stderr);
  let shownMs = 0;
  const onProgress = (done: number, due: number): void => {
    const nowMs = performance.now();
    if (!process.stderr.isTTY || nowMs - shownMs < PROGRESS_MS) return;
    shownMs = nowMs;
    progress.show(bar(done, due));
  };
  const onNote = (text: string): void => {
    progress.end();
    process.stderr.write(`stanchion: ${printable(text)}\n`);
  };
  const stop = new AbortController();
  const until = new AbortController();
  // The first signal ends a following, which is no interruption.
  onStopSignal(toolLogger(), () => (flags.flag('follow') ? until : stop).abort());
  const host = { dir, signal: stop.signal, until: until.signal, onNote, onProgress };
  try {
    const { text, json, exitCode } = await importRun(from, mode, flags, host);
    progress.end();
    process.stdout.write(flags.flag('json') ? `${JSON.stringify(json, undefined, 2)}\n` : text);
    return exitCode;
  } catch (error) {
    progress.end();
    if (!stop.signal.aborted) throw error;
    const left =
      mode === 'import' ? `: ${dir} is no store. Give the same command again, and it begins anew` : '';
    process.stderr.write(`interrupted${printable(left)}\n`);
    return INTERRUPTED;
  } finally {
    progress.end();
  }
}

function modeOf(flags: Flags<ImportFlag>): Mode {
  const [dry, verify] = [flags.flag('dry-run'), flags.flag('verify')];
  if (dry && verify) throw new ConfigError('--dry-run and --verify contradict each other: give one of them');
  if (flags.flag('follow') && (dry || verify))
    throw new ConfigError(`--follow is for an import: leave out --${dry ? 'dry-run' : 'verify'}`);
  if (dry) return 'dry-run';
  return verify ? 'verify' : 'import';
}
