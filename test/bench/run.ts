/**
 * Speed and CPU time of the broker as shares of the floor's (see floor/main.ts), and its memory at rest. `--help` has the flags.
 * Missed targets are told, and are no failure: exit code 1 is for what went wrong.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parseFlags } from './flags.js';
import { CLIENT_LINES, FENCE_LINES, LINES, REST_LINES } from './lines.js';
import { describeMachine, fileSystemOf } from './machine.js';
import { measureClients, measureFence, measureLine, measureRest } from './measure.js';
import { formatProfile, profileArgs } from './profile.js';
import { compile, compiledDir, startNatsServer } from './programs.js';
import {
  formatReport,
  missedTargets,
  type Report,
  summarize,
  summarizeClients,
  summarizeFence,
} from './report.js';

const PROFILE_ROWS = 45;
const IN_MEMORY = new Set(['tmpfs', 'ramfs']);

const flags = parseFlags(process.argv.slice(2));

function tell(text: string): void {
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

function isWanted(id: string): boolean {
  return flags.only.length === 0 || flags.only.some((part) => id.includes(part));
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

async function profile(parent: string): Promise<void> {
  const line = LINES.find(({ id }) => isWanted(id));
  if (line === undefined) throw new Error('bench: only a line of the speed table can be profiled');
  const side = flags.floorOnly ? 'floor' : 'broker';
  const name = `${line.id}.${side}.cpuprofile`;
  const oneSided = { ...flags, floorOnly: side === 'floor', brokerOnly: side === 'broker' };
  const nats = await startNatsServer();
  try {
    const nodeArgs = profileArgs(compiledDir, name);
    const measured = await withTempDir(parent, (dir) => measureLine(line, oneSided, nats, dir, nodeArgs));
    const result = summarize(measured)[side];
    tell(
      `${line.id}, the ${side}, while profiled: ${Math.round(result?.messagesPerSecond ?? 0)} messages a second`,
    );
  } finally {
    await nats.child.stop();
  }
  const path = join(compiledDir, name);
  process.stdout.write(formatProfile(path, PROFILE_ROWS));
  tell(`the whole profile, for a browser's developer tools: ${path}`);
}

async function measure(parent: string): Promise<Report> {
  const machine = describeMachine(parent);
  const report: Report = { machine, lines: [], fence: [], clients: [], rest: [], missed: [], failed: [] };
  const nats = await startNatsServer();
  const attempt = async (id: string, work: (dir: string) => Promise<void>) => {
    if (!isWanted(id)) return;
    tell(`${id} ...`);
    try {
      await withTempDir(parent, work);
    } catch (error) {
      report.failed.push(`${id}: ${(error as Error).message}`);
      tell(`${id} failed: ${(error as Error).message}`);
    }
  };
  try {
    for (const line of LINES) {
      await attempt(line.id, async (dir) => {
        report.lines.push(summarize(await measureLine(line, flags, nats, dir)));
      });
    }
    // Another broker has no such thing.
    for (const line of flags.floorOnly || flags.broker !== undefined ? [] : FENCE_LINES) {
      await attempt(line.id, async (dir) => {
        report.fence.push(summarizeFence(await measureFence(line, flags, nats, dir)));
      });
    }
    for (const line of flags.floorOnly ? [] : CLIENT_LINES) {
      await attempt(line.id, async (dir) => {
        report.clients.push(summarizeClients(await measureClients(line, flags, nats, dir)));
      });
    }
    for (const line of flags.floorOnly ? [] : REST_LINES) {
      await attempt(line.id, async (dir) => {
        report.rest.push(await measureRest(line, flags, nats, dir));
      });
    }
  } finally {
    await nats.child.stop();
  }
  report.missed = missedTargets(report);
  return report;
}

try {
  compile();
  const parent = diskDir();
  if (flags.profile === undefined) {
    const report = await measure(parent);
    process.stdout.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report));
    if (report.failed.length > 0) process.exitCode = 1;
  } else {
    await profile(parent);
  }
} catch (error) {
  tell((error as Error).message);
  process.exitCode = 1;
}
