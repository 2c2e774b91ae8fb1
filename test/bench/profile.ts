import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What V8 writes with --cpu-prof, as far as it is used here. */
interface CpuProfile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
  }[];
  samples: number[];
  timeDeltas: number[];
}

const NOT_AT_WORK = new Set(['(idle)', '(root)']);

/** Node options for a profile at `dir/name`. */
export function profileArgs(dir: string, name: string): string[] {
  return ['--cpu-prof', `--cpu-prof-dir=${dir}`, `--cpu-prof-name=${name}`, '--cpu-prof-interval=250'];
}

/** The functions with the most time of their own, as a table; shares are of the time that was not idle. */
export function formatProfile(path: string, maxRows: number): string {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(path, 'utf8')) as CpuProfile;
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const selfMicros = new Map<string, number>();
  let total = 0;
  samples.forEach((id, index) => {
    const name = names.get(id) ?? '';
    if (NOT_AT_WORK.has(name)) return;
    const micros = timeDeltas[index] ?? 0;
    selfMicros.set(name, (selfMicros.get(name) ?? 0) + micros);
    total += micros;
  });
  const rows = [...selfMicros].sort((a, b) => b[1] - a[1]).slice(0, maxRows);
  const lines = rows.map(([name, micros]) => {
    const share = ((micros / total) * 100).toFixed(1);
    return `${share.padStart(6)}%  ${(micros / 1_000).toFixed(0).padStart(7)} ms  ${name}`;
  });
  return `${(total / 1e6).toFixed(2)} s of CPU time by function, their own only:\n${lines.join('\n')}\n`;
}

function nameOf({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const name = functionName === '' ? '(anonymous)' : functionName;
  if (url === '') return name;
  const place = url.startsWith('file:') ? relative(process.cwd(), fileURLToPath(url)) : url;
  return `${name}  ${place}:${lineNumber + 1}`;
}
