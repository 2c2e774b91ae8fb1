import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitFor } from '../../harness/wait.js';

/*
 * Machines of their own for the members of a group and for their file server: user-mode-linux guests, with Linux' own NFS 4.1 client
 * and server. They share a bridge in the network namespace of this process, where a nats-server and the clients of the test run too.
 */

const NET = '10.77.0';
export const HUB = `${NET}.1`;
const SERVER_NUMBER = 10;
const FIRST_MEMBER_NUMBER = 11;
const INIT = join(dirname(fileURLToPath(import.meta.url)), 'guest-init.sh');
/** For a guest to boot and mount, on a machine that has much to do. */
const BOOT_MS = 90_000;
const DISK_BYTES = 1024 ** 3;
const MAX_CONSOLE_CHARS = 1024 * 1024;
const PROGRAMS = ['linux.uml', 'rpc.nfsd', 'nfsdcld', 'mount.nfs4', 'ethtool', 'mkfs.ext4', 'modprobe'];

/** Why there can be no such machines here; false if there can. For `skip`. */
export function whyNoNfs(): string | false {
  const folders = (process.env.PATH ?? '').split(':').concat('/usr/sbin', '/sbin');
  const missing = PROGRAMS.find((name) => !folders.some((folder) => fs.existsSync(join(folder, name))));
  if (missing === undefined) return false;
  return `needs ${missing}: apt-get install user-mode-linux nfs-kernel-server nfs-common ethtool kmod`;
}

export interface GuestOptions {
  number: number;
  /** Words of the kernel's command line, see guest-init.sh. */
  words: readonly string[];
  memory: string;
  dir: string;
}

/** One machine. It can be switched off and on, paused, and its cable be pulled. */
export class Guest {
  readonly #options: GuestOptions;
  #process: ChildProcess | undefined;
  #boots = 0;
  /** What its console has shown, since it was last switched on. */
  console = '';

  constructor(options: GuestOptions) {
    this.#options = options;
  }

  get address(): string {
    return `${NET}.${this.#options.number}`;
  }

  switchOn(): void {
    const { number, words, memory, dir } = this.#options;
    this.console = '';
    const args = [
      `umid=guest-${number}-${++this.#boots}`,
      `uml_dir=${dir}`,
      `mem=${memory}`,
      ...['rootfstype=hostfs', 'rootflags=/', 'rw', `init=${INIT}`, `number=${number}`],
      ...words,
      // A machine keeps its MAC address over a restart. Otherwise the others ask the former one, for some 20 s.
      `vec0:transport=tap,ifname=t${number},depth=128,mac=02:00:0a:4d:00:${number}`,
      ...['con=null', 'con0=null,fd:1'],
    ];
    // Its processes are processes of the host: in a namespace they all end with it.
    const isolated = ['--pid', '--fork', '--kill-child', '--mount-proc', 'linux.uml', ...args];
    this.#process = spawn('unshare', isolated, { stdio: ['ignore', 'pipe', 'pipe'] });
    const collect = (chunk: Buffer): void => {
      this.console = (this.console + chunk.toString('latin1')).slice(-MAX_CONSOLE_CHARS);
    };
    this.#process.stdout?.on('data', collect);
    this.#process.stderr?.on('data', collect);
  }

  /** Pulls the power plug: nothing is synced, and nobody is told. */
  async switchOff(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  /** Stops it for good: a guest of user-mode Linux seldom survives going on after seconds. Then it is to be switched off. */
  pause(): void {
    process.kill(-this.#kernelPid, 'SIGSTOP');
  }

  pullCable(): void {
    // Taken off the bridge and not down: a guest whose tap was down for a moment has no network any more.
    ip('link', 'set', `t${this.#options.number}`, 'nomaster');
  }

  plugCable(): void {
    ip('link', 'set', `t${this.#options.number}`, 'master', 'br0');
  }

  async says(line: string): Promise<void> {
    await waitFor(
      () => this.console.includes(line),
      () => `guest ${this.#options.number} says "${line}"; its console:\n${this.console.slice(-4000)}`,
      BOOT_MS,
    );
  }

  /** The first process of the namespace, which leads a group of all others. */
  get #kernelPid(): number {
    const pid = this.#process?.pid;
    const [first] = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ');
    const kernel = Number(first);
    assert.ok(kernel > 0, 'the guest is on');
    return kernel;
  }
}

export interface NfsMemberOptions {
  /** The command line that the machine runs once the store is mounted. */
  command: readonly string[];
  /** Default: another name for each machine. */
  host?: string | undefined;
  /** Of the mount, beside what the docs recommend. */
  options?: string;
  /** Of the NFS client. */
  unique?: string | undefined;
}

/** What the mount of a member is called on its machine. */
export const NFS_STORE = '/mnt/store/stanchion';

/** A file server, and machines with a mount of it each. */
export class NfsLab {
  readonly #dir: string;
  readonly server: Guest;
  readonly members: Guest[] = [];

  private constructor(dir: string, graceSeconds: number) {
    this.#dir = dir;
    this.server = this.#guest(SERVER_NUMBER, '256M', [
      ...['role=server', 'host=files', `grace=${graceSeconds}`],
      `ubd0=${dir}/disk.img`,
    ]);
  }

  /** Call this in a network namespace. @param dir a folder of its own @param graceSeconds of the server after a restart */
  static async start(dir: string, graceSeconds: number): Promise<NfsLab> {
    fs.mkdirSync('/lib/modules', { recursive: true });
    ip('link', 'set', 'lo', 'up');
    ip('link', 'add', 'br0', 'type', 'bridge');
    ip('addr', 'add', `${HUB}/24`, 'dev', 'br0');
    ip('link', 'set', 'br0', 'up');
    execFileSync('ethtool', ['-K', 'br0', 'tx', 'off', 'gso', 'off', 'tso', 'off', 'gro', 'off']);
    fs.writeFileSync(`${dir}/disk.img`, '');
    fs.truncateSync(`${dir}/disk.img`, DISK_BYTES);
    execFileSync('mkfs.ext4', ['-q', '-F', `${dir}/disk.img`]);
    const lab = new NfsLab(dir, graceSeconds);
    lab.server.switchOn();
    await lab.server.says('the NFS server is up');
    return lab;
  }

  /** Switches another machine on. */
  addMember({ command, host, options = 'timeo=50;retrans=2', unique }: NfsMemberOptions): Guest {
    const number = FIRST_MEMBER_NUMBER + this.members.length;
    const script = `${this.#dir}/member-${number}.sh`;
    const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
    fs.writeFileSync(script, `cd /run && exec ${quoted}\n`);
    const member = this.#guest(number, '512M', [
      ...['role=client', `host=${host ?? `machine-${number}`}`, `script=${script}`, `options=${options}`],
      ...(unique === undefined ? [] : [`unique=${unique}`]),
    ]);
    this.members.push(member);
    member.switchOn();
    return member;
  }

  async stop(): Promise<void> {
    for (const member of this.members) await member.switchOff();
    await this.server.switchOff();
  }

  #guest(number: number, memory: string, words: readonly string[]): Guest {
    const tap = `t${number}`;
    ip('tuntap', 'add', 'mode', 'tap', tap);
    ip('link', 'set', tap, 'master', 'br0');
    ip('link', 'set', tap, 'up');
    execFileSync('ethtool', ['-K', tap, 'tx', 'off', 'gso', 'off', 'tso', 'off', 'gro', 'off']);
    return new Guest({ number, memory, words, dir: this.#dir });
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args);
}
