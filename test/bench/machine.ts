import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';

export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  os: string;
  node: string;
  natsServer: string;
  /** Undefined if it is not measured. */
  goServer?: string;
  /** The last commit of this checkout. */
  commit: string;
  date: string;
  fileSystem: string;
  /** Processes that wanted a core in the last minute, before the bench began. */
  loadAverage: number;
}

export function describeMachine(dir: string, goServer: string | undefined): Machine {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    os: `${os.type()} ${os.release()}`,
    node: process.version,
    natsServer: natsServerVersion(),
    ...(goServer === undefined ? {} : { goServer: goServerVersion(goServer) }),
    commit: commit(),
    date: new Date().toISOString().slice(0, 10),
    fileSystem: fileSystemOf(dir),
    loadAverage: os.loadavg()[0] ?? 0,
  };
}

/** The type of the file system that a directory is on, e.g. `ext4`; `unknown` where the system does not tell. */
export function fileSystemOf(dir: string): string {
  let type = 'unknown';
  let longest = -1;
  for (const line of mounts()) {
    const [, point = '', found = ''] = line.split(' ');
    const isAbove = point === '/' || dir === point || dir.startsWith(`${point}/`);
    // Of several mounts on one point the last is the one to be seen.
    if (isAbove && point.length >= longest) {
      longest = point.length;
      type = found;
    }
  }
  return type;
}

function mounts(): string[] {
  try {
    return readFileSync('/proc/mounts', 'utf8').split('\n');
  } catch {
    return [];
  }
}

function natsServerVersion(): string {
  try {
    return execFileSync('nats-server', ['--version'], { encoding: 'utf8' })
      .trim()
      .replace('nats-server: ', '');
  } catch (error) {
    throw new Error(
      `bench: nats-server does not run (${(error as Error).message}): install it, on Debian by apt-get install nats-server`,
    );
  }
}

function goServerVersion(path: string): string {
  try {
    const text = execFileSync(path, ['--version'], { encoding: 'utf8' });
    return /version ([\d.]+)/.exec(text)?.[1] ?? text.trim();
  } catch (error) {
    throw new Error(`bench: the Go server that GO_SERVER names does not run: ${(error as Error).message}`);
  }
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return 'of no checkout';
  }
}
