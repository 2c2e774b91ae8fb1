/** The load generator. Argument: a `LoadSpec` as JSON. */
import { LoadRun } from './load-run.js';
import type { LoadSpec } from './spec.js';

const WARM_UP_MESSAGES = 40_000;
/** One message in flight at a time makes neither warm sooner. */
const WARM_UP_SECONDS = 1;
const WARM_UP_BYTES = 64 * 1024 * 1024;

/** The same load against the floor in memory, as far as that has such a thing. */
function warmUpOf(spec: LoadSpec, clusterId: string): LoadSpec {
  const most = Math.floor(WARM_UP_BYTES / ((spec.payloadBytes + 128) * Math.max(1, spec.subscribers)));
  return {
    ...spec,
    clusterId,
    runId: `${spec.runId}w`,
    publishers: Math.max(1, spec.publishers),
    // The floor knows no queue groups: each subscriber gets all.
    isQueue: false,
    isReplay: false,
    probe: undefined,
    coldMessages: 0,
    warmMessages: Math.min(WARM_UP_MESSAGES, most),
    maxSeconds: WARM_UP_SECONDS,
  };
}

try {
  const spec = JSON.parse(process.argv[2] ?? '{}') as LoadSpec;
  if (spec.warmUpClusterId !== undefined) await new LoadRun(warmUpOf(spec, spec.warmUpClusterId)).run();
  const result = await new LoadRun(spec).run();
  process.stdout.write(`${JSON.stringify(result)}\n`);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
