import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from './child.js';
import type { ClientResult, ClientSpec } from './client/spec.js';
import { type DiskWriterSpec, WRITING } from './disk-writer/spec.js';
import { FLOOR_READY, type FloorSpec } from './floor/spec.js';
import type { LoadResult, LoadSpec, OutageResult, OutageSpec } from './load/spec.js';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
/** Floor and load run as compiled JavaScript, as the broker does: a loader of TypeScript would be measured with them. */
export const compiledDir = join(root, 'node_modules', '.cache', 'stanchion-bench');
export const brokerMain = join(root, 'dist', 'cli', 'main.js');

export const START_MS = 30_000;
const LOAD_MARGIN_MS = 60_000;
/** What the other writer appends and syncs: 12.5 MiB a second, 200 syncs. */
const DISK_WRITE_BYTES = 64 * 1024;
const DISK_WRITES_PER_SECOND = 200;
export const READY = /Streaming Server is ready/;
/** The cluster of the program that is measured. */
export const CLUSTER_ID = 'bench';
/** The cluster of the floor that the load generator warms itself up with. */
export const WARM_UP_CLUSTER_ID = 'warm-up';

/** @throws Error with the compiler's output if there is nothing to run after it */
export function compile(): void {
  mkdirSync(compiledDir, { recursive: true });
  writeFileSync(join(compiledDir, 'package.json'), '{"type":"module"}\n');
  try {
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    execFileSync(process.execPath, [tsc, '-p', join(here, 'tsconfig.json'), '--outDir', compiledDir], {
      stdio: 'pipe',
    });
  } catch (error) {
    throw new Error(
      `bench: the floor and the load generator do not compile:\n${(error as { stdout?: Buffer }).stdout ?? error}`,
    );
  }
}

export interface NatsServer {
  child: Child;
  port: number;
}

/** @param configPath a configuration file: what it says comes on top of the address and a free port */
export async function startNatsServer(configPath?: string): Promise<NatsServer> {
  const config = configPath === undefined ? [] : ['-c', configPath];
  const child = new Child('nats-server', 'nats-server', ['-a', '127.0.0.1', '-p', '-1', ...config]);
  const match = await child.matching(
    /Listening for client connections on 127\.0\.0\.1:(\d+)[\s\S]*Server is ready/,
    START_MS,
  );
  return { child, port: Number(match[1]) };
}

export async function startFloor(spec: FloorSpec, nodeArgs: readonly string[]): Promise<Child> {
  const child = new Child('the floor', process.execPath, [
    ...nodeArgs,
    compiled('floor/main'),
    JSON.stringify(spec),
  ]);
  await child.matching(new RegExp(FLOOR_READY), START_MS);
  return child;
}

/** A process that keeps the disk busy beside the broker, at a rate that does not depend on it. */
export async function startDiskWriter(dir: string): Promise<Child> {
  const spec: DiskWriterSpec = { dir, bytes: DISK_WRITE_BYTES, perSecond: DISK_WRITES_PER_SECOND };
  const args = [compiled('disk-writer/main'), JSON.stringify(spec)];
  const child = new Child('the other writer', process.execPath, args);
  await child.matching(new RegExp(WRITING), START_MS);
  return child;
}

/** @throws Error saying what went wrong under the load */
export async function runLoad(spec: LoadSpec): Promise<LoadResult> {
  const child = new Child('the load generator', process.execPath, [
    compiled('load/main'),
    JSON.stringify(spec),
  ]);
  // Both phases may take so long.
  const timeoutMs = 2 * spec.maxSeconds * 1_000 + LOAD_MARGIN_MS;
  return JSON.parse(await child.completed(timeoutMs)) as LoadResult;
}

/** @throws Error saying what went wrong */
export async function runOutage(spec: OutageSpec): Promise<OutageResult> {
  const child = new Child('the publisher', process.execPath, [compiled('load/outage'), JSON.stringify(spec)]);
  return JSON.parse(await child.completed(LOAD_MARGIN_MS)) as OutageResult;
}

/** @throws Error saying what went wrong */
export async function runClient(spec: ClientSpec): Promise<ClientResult> {
  const child = new Child('the client', process.execPath, [compiled('client/main'), JSON.stringify(spec)]);
  return JSON.parse(await child.completed(LOAD_MARGIN_MS)) as ClientResult;
}

function compiled(module: string): string {
  return join(compiledDir, 'test', 'bench', `${module}.js`);
}
