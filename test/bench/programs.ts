import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from './child.js';
import type { ClientResult, ClientSpec } from './client/spec.js';
import { FLOOR_READY, type FloorSpec } from './floor/spec.js';
import type { StoreKind } from './lines.js';
import type { LoadResult, LoadSpec } from './load/spec.js';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
/** Floor and load run as compiled JavaScript, as the broker does: a loader of TypeScript would be measured with them. */
export const compiledDir = join(root, 'node_modules', '.cache', 'stanchion-bench');
const brokerMain = join(root, 'dist', 'cli', 'main.js');

const START_MS = 30_000;
const LOAD_MARGIN_MS = 60_000;
export const CLUSTER_ID = 'bench';
export const GROUP_CLUSTER_ID = 'bench-group';
export const FLOOR_CLUSTER_ID = 'floor';
export const BARE_CLUSTER_ID = 'bare-floor';

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

export async function startNatsServer(): Promise<NatsServer> {
  const child = new Child('nats-server', 'nats-server', ['-a', '127.0.0.1', '-p', '-1']);
  const match = await child.matching(
    /Listening for client connections on 127\.0\.0\.1:(\d+)[\s\S]*Server is ready/,
    START_MS,
  );
  return { child, port: Number(match[1]) };
}

export async function startFloor(spec: FloorSpec, nodeArgs: string[]): Promise<Child> {
  const child = new Child('the floor', process.execPath, [
    ...nodeArgs,
    compiled('floor'),
    JSON.stringify(spec),
  ]);
  await child.matching(new RegExp(FLOOR_READY), START_MS);
  return child;
}

export interface BrokerOptions {
  natsPort: number;
  clusterId: string;
  store: StoreKind;
  dir: string;
  /** Another broker's command line, with placeholders. */
  command: string | undefined;
  args: string[];
  nodeArgs: string[];
}

const MANY_CHANNELS = ['--max-channels', '0', '--max-subs', '0'];
/** Of messages only in files: in memory the default limits stay, as in any use of it that is meant to last. */
const ALL_MESSAGES = ['--max-msgs', '0', '--max-bytes', '0'];

export async function startBroker(options: BrokerOptions): Promise<Child> {
  const url = `nats://127.0.0.1:${options.natsPort}`;
  let command = process.execPath;
  let args: string[];
  if (options.command === undefined) {
    if (!existsSync(brokerMain)) {
      throw new Error(
        `bench: there is no ${brokerMain}: run npm run build (or measure the floor alone with --floor-only)`,
      );
    }
    const store =
      options.store === 'file'
        ? ['--store', 'file', '--dir', options.dir, ...ALL_MESSAGES]
        : ['--store', 'memory'];
    const attach = ['serve', '--nats-server', url, '--cluster-id', options.clusterId];
    args = [...options.nodeArgs, brokerMain, ...attach, ...store, ...MANY_CHANNELS, ...options.args];
  } else {
    const values: Record<string, string> = {
      url,
      cluster: options.clusterId,
      store: options.store,
      dir: options.dir,
    };
    const words = options.command.split(' ').filter((word) => word !== '');
    const filled = words.map((word) =>
      word.replace(/\{(\w+)\}/g, (all, name: string) => values[name] ?? all),
    );
    [command = '', ...args] = [...filled, ...options.args];
  }
  const child = new Child('the broker', command, args);
  await child.matching(/Streaming Server is ready/, START_MS);
  return child;
}

/** @throws Error saying what went wrong under the load */
export async function runLoad(spec: LoadSpec): Promise<LoadResult> {
  const child = new Child('the load generator', process.execPath, [compiled('load'), JSON.stringify(spec)]);
  return JSON.parse(await child.completed(spec.maxSeconds * 1_000 + LOAD_MARGIN_MS)) as LoadResult;
}

/** @throws Error saying what went wrong */
export async function runClient(spec: ClientSpec): Promise<ClientResult> {
  const child = new Child('the client', process.execPath, [compiled('client'), JSON.stringify(spec)]);
  return JSON.parse(await child.completed(LOAD_MARGIN_MS)) as ClientResult;
}

function compiled(part: 'floor' | 'load' | 'client'): string {
  return join(compiledDir, 'test', 'bench', part, 'main.js');
}
