import { randomBytes } from 'node:crypto';
import { systemClock } from '../clock/clock.js';
import { nodeFs } from '../files/fs.js';
import { dryRun, runImport, runVerify } from '../import/import.js';
import type { ImportDifference } from '../import/target/verify-import.js';
import type { Flags } from './flags.js';
import type { ImportFlag } from './import-flags.js';
import { findSource, type SourceHost } from './import-source.js';
import { limitsJson, summaryText, verifyText } from './import-text.js';
import { takeStore } from './take-store.js';

/** What a run says at its end. */
export interface ImportOutcome {
  text: string;
  json: object;
  exitCode: number;
}

/** Limit of the differences that are listed. */
const MAX_DIFFERENCES = 1_000;

/** @throws ConfigError, SourceError, StoreError; the reason of the host's signal */
export async function importRun(
  from: string,
  mode: 'import' | 'dry-run' | 'verify',
  flags: Flags<ImportFlag>,
  host: SourceHost,
): Promise<ImportOutcome> {
  const { dir, signal, onProgress } = host;
  const { make, limits, clusterId } = await findSource(from, flags, host);
  const source = await make();
  const options = {
    fs: nodeFs,
    clock: systemClock,
    random: randomBytes,
    dir,
    clusterId,
    source,
    signal,
    onProgress,
  };
  try {
    if (mode === 'verify') {
      const differences: ImportDifference[] = [];
      const onDifference = (difference: ImportDifference): void => {
        if (differences.length < MAX_DIFFERENCES) differences.push(difference);
      };
      const report = await runVerify({ ...options, onDifference });
      const found = { from: source.name, dir, ...report, differences, differenceCount: report.differences };
      return { text: verifyText(found), json: found, exitCode: report.differences === 0 ? 0 : 1 };
    }
    const begunMs = performance.now();
    const summary =
      mode === 'dry-run'
        ? await dryRun(options)
        : await runImport({ ...options, takeLease: () => takeStore(dir, 'import', false) });
    const seconds = (performance.now() - begunMs) / 1000;
    return {
      text: summaryText(from, summary, limits, seconds),
      json: { ...summary, seconds, ...(limits !== undefined && { limits: limitsJson(limits) }) },
      exitCode: 0,
    };
  } finally {
    await source.close();
  }
}
