import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

/**
 * Network, mounts and process ids of its own: what a run makes ends with it, whatever ends it, and runs beside each other do not
 * meet. The first process in it is the program, and all others end with that.
 */
const SANDBOX = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
const INSIDE = 'STANCHION_CHAOS_INSIDE';

export function isInside(): boolean {
  return process.env[INSIDE] !== undefined;
}

/** Why there can be no run here; false if there can. For `skip`. @param more programs that it needs, with arguments that only try them */
export function whyNoSandbox(
  more: readonly (readonly [program: string, args: readonly string[]])[] = [],
): string | false {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root, to make network namespaces';
  for (const [program, args] of [
    ['ip', ['netns', 'list']],
    ['unshare', ['--version']],
    ['nats-server', ['-v']],
    ...more,
  ] as const) {
    if (spawnSync(program, args).status !== 0) return `needs ${program}`;
  }
  const trial = ['mount -t tmpfs tmpfs /run', 'ip netns add x', 'ip link add hub type bridge'].join(' && ');
  const { status, stderr } = spawnSync('unshare', [...SANDBOX, 'sh', '-c', trial], { encoding: 'utf8' });
  return status === 0 ? false : `needs namespaces: ${stderr.trim().split('\n').at(-1)}`;
}

/** Runs this program again, in a sandbox. @returns its exit code */
export function runInside(script: string, args: readonly string[]): Promise<number> {
  // If this process is killed, the kernel ends the sandbox too.
  const command = ['--pdeathsig', 'KILL', 'unshare', ...SANDBOX, process.execPath, ...process.execArgv];
  const child: ChildProcess = spawn('setpriv', [...command, script, ...args], {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: '1' },
  });
  // Ctrl-C reaches the program itself, which tells how far it was.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

/** A `/run` of its own, where `ip` keeps the names of network namespaces and `iptables` its lock. */
export function furnish(): void {
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', '/run'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`no /run of its own: ${stderr}`);
  mkdirSync('/run/netns');
}
