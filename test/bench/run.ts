/**
 * Speed, CPU time, written bytes and more of stanchion, beside the Go server and the floors (see floor/main.ts). `--help` has the flags.
 * Missed targets are shown, and are no failure: exit code 1 is for what went wrong.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parseFlags } from './flags.js';
import type { Line } from './lines/line.js';
import { describeMachine, fileSystemOf } from './machine.js';
import type { Bench } from './measure/bench.js';
import { measure } from './measure/measure.js';
import { formatProfile, profileArgs } from './profile.js';
import { compile, compiledDir, startFloor, startNatsServer, WARM_UP_CLUSTER_ID } from './programs.js';
import { writeDocs } from './report/doc-files.js';
import { formatReport } from './report/report.js';
import type { MeasuredLine, Run } from './report/run-figures.js';
import { runText } from './report/run-text.js';
import type { Programs, Side } from './sides.js';

const PROFILE_ROWS = 45;
const IN_MEMORY = new Set(['tmpfs', 'ramfs']);

const flags = parseFlags(process.argv.slice(2));
const programs: Programs = {
  goServer: process.env.GO_SERVER,
  base: flags.base,
  brokerArgs: flags.brokerArgs,
};

function log(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** A directory on a disk: on a file system in memory a sync costs nothing, and the figures would say nothing. */
function diskDir(): string {
  const candidates = flags.dir === undefined ? [os.tmpdir(), '/var/tmp', process.cwd()] : [flags.dir];
  const found = candidates.find((dir) => !IN_MEMORY.has(fileSystemOf(realpathSync(dir))));
  if (found === undefined)
    throw new Error(`bench: ${candidates.join(', ')}: in memory, not on a disk; name another with --dir`);
  return realpathSync(found);
}

async function withTempDir<T>(parent: string, use: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(parent, 'stanchion-bench-'));
  const remove = () => rmSync(dir, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    return await use(dir);
  } finally {
    process.removeListener('exit', remove);
    remove();
  }
}

/** The sides of a line that are there to be measured. */
function sidesOf(line: Line): Side[] {
  const { sides } = flags;
  const own: Side[] = line.sides.filter((side) => side !== 'go' || programs.goServer !== undefined);
  if (programs.base !== undefined && line.sides.includes('stanchion')) own.push('base');
  return own.filter((side) => sides === undefined || sides.includes(side));
}

async function withBench<T>(use: (bench: Bench) => Promise<T>): Promise<T> {
  const { window, isColdOnly, isQuick, isDiskBusy } = flags;
  const nats = await startNatsServer();
  try {
    const spec = { natsPort: nats.port, clusterId: WARM_UP_CLUSTER_ID, isBare: true, isOverwriting: false };
    const warmUp = await startFloor(spec, []);
    try {
      return await use({ programs, nats, window, isColdOnly, isQuick, isDiskBusy });
    } finally {
      await warmUp.stop();
    }
  } finally {
    await nats.child.stop();
  }
}

/** All rounds of a line: its sides in turns, each time new processes. */
async function measureLine(
  line: Line,
  bench: Bench,
  parent: string,
): Promise<{ measured: MeasuredLine; failed: string[] }> {
  const measured: MeasuredLine = { id: line.id, sides: {} };
  const failed: string[] = [];
  const sides = new Set(sidesOf(line));
  for (let round = 0; round < Math.min(flags.rounds, line.maxRounds); round++) {
    // None of them always has the place behind the other.
    for (const side of round % 2 === 0 ? [...sides] : [...sides].toReversed()) {
      try {
        const figures = await withTempDir(parent, (dir) => measure(line, side, bench, { dir, nodeArgs: [] }));
        measured.sides[side] = [...(measured.sides[side] ?? []), figures];
      } catch (error) {
        // Rounds must stay side by side.
        sides.delete(side);
        failed.push(`${line.id}, ${side}: ${(error as Error).message}`);
        log(`${line.id}, ${side} failed: ${(error as Error).message}`);
      }
    }
  }
  return { measured, failed };
}

async function measureAll(parent: string): Promise<Run> {
  const { lines, rounds, isQuick } = flags;
  const run: Run = {
    machine: describeMachine(parent, programs.goServer),
    rounds,
    isQuick,
    lines: [],
    failed: [],
  };
  const begunMs = performance.now();
  await withBench(async (bench) => {
    for (const [index, line] of lines.entries()) {
      if (sidesOf(line).length === 0) continue;
      const seconds = Math.round((performance.now() - begunMs) / 1_000);
      log(`${seconds} s, ${index + 1} of ${lines.length}: ${line.id} ...`);
      const { measured, failed } = await measureLine(line, bench, parent);
      run.lines.push(measured);
      run.failed.push(...failed);
    }
  });
  log(`${Math.round((performance.now() - begunMs) / 1_000)} s in all`);
  return run;
}

/** One round of one side under the profiler. */
async function profile(parent: string): Promise<void> {
  const [line] = flags.lines;
  const [side] = flags.sides ?? [];
  if (line === undefined || side === undefined || side === 'go')
    throw new Error('bench: a profile is of one line, and of a program of Node');
  const name = `${line.id}.${side}.cpuprofile`;
  const nodeArgs = profileArgs(compiledDir, name);
  const figures = await withBench((bench) =>
    withTempDir(parent, (dir) => measure(line, side, bench, { dir, nodeArgs })),
  );
  log(`${line.id}, ${side}, while profiled: ${JSON.stringify(figures)}`);
  const path = join(compiledDir, name);
  process.stdout.write(formatProfile(path, PROFILE_ROWS));
  log(`the whole profile, for a browser's developer tools: ${path}`);
}

try {
  compile();
  const parent = diskDir();
  if (flags.isProfile) {
    await profile(parent);
  } else {
    const run = await measureAll(parent);
    process.stdout.write(flags.isJson ? runText(run) : formatReport(run));
    if (run.failed.length > 0) process.exitCode = 1;
    if (flags.isForDocs) writeDocs(run);
  }
} catch (error) {
  log((error as Error).message);
  process.exitCode = 1;
}
