import { createHash } from 'node:crypto';
import { simulate } from './simulation.js';

/**
 * One line for each seed that says what happened in its run. Two versions of the code that behave alike print the same lines, so a
 * change that only moves code can be checked with `diff`.
 *
 * `trace` covers every line of the trace; `times` covers only when each line was written, so it stays the same when only the words of
 * log lines change.
 */
export async function* digests(first: number, count: number): AsyncGenerator<string> {
  for (let seed = first; seed < first + count; seed++) {
    const { trace, eventCount, ms, acked, takeovers, violations } = await simulate(seed, { isTraced: true });
    const times = trace.map((line) => line.slice(0, TIME_WIDTH));
    yield `${seed}: trace ${digest(trace)}, times ${digest(times)}, events ${eventCount}, simulated ${Math.round(ms)} ms, ` +
      `acked ${acked}, takeovers ${takeovers}, violations ${violations.length}`;
  }
}

/** Of a trace's lines: the simulated milliseconds in front. */
const TIME_WIDTH = 10;

function digest(lines: readonly string[]): string {
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16);
}
