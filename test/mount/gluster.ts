import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Child } from '../harness/child.js';
import { freePort } from '../harness/free-ports.js';
import { waitFor } from '../harness/wait.js';

const SBIN = ['/usr/sbin', '/usr/local/sbin', ...(process.env.PATH ?? '').split(path.delimiter)];

function program(name: string): string | undefined {
  return SBIN.map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file));
}

/** Why there can be no shared mount here; false if there can. For `skip`. */
export const NO_GLUSTER: string | false = whyNot();

function whyNot(): string | false {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root, to mount';
  if (!fs.existsSync('/dev/fuse')) return 'needs FUSE (/dev/fuse)';
  for (const name of ['glusterfsd', 'glusterfs']) {
    if (program(name) === undefined)
      return `needs ${name}: apt-get install glusterfs-server glusterfs-client`;
  }
  return false;
}

/** One host's mount of the volume: a process and caches of its own. */
export class GlusterMount {
  readonly dir: string;
  readonly #process: Child;

  constructor(dir: string, process: Child) {
    this.dir = dir;
    this.#process = process;
  }

  /** As a host that loses its mount: everything under it says ENOTCONN from then on. */
  async kill(): Promise<void> {
    await this.#process.destroy();
  }

  async unmount(): Promise<void> {
    spawnSync('umount', ['-l', this.dir]);
    this.#process.signal('SIGTERM');
    await this.#process.destroy();
  }
}

/** A GlusterFS volume of one brick, served on this machine, without glusterd. */
export class GlusterVolume {
  readonly #root: string;
  readonly #port: number;
  readonly #server: Child;
  readonly #mounts: GlusterMount[] = [];

  private constructor(root: string, port: number, server: Child) {
    this.#root = root;
    this.#port = port;
    this.#server = server;
  }

  static async start(): Promise<GlusterVolume> {
    // Debian's package has this folder made at boot only.
    fs.mkdirSync('/var/run/gluster', { recursive: true });
    const root = fs.mkdtempSync(path.join(os.tmpdir(), 'stanchion-gluster-'));
    fs.mkdirSync(`${root}/brick`);
    const port = await freePort();
    fs.writeFileSync(`${root}/brick.vol`, brickVolume(`${root}/brick`, port));
    const args = ['-N', '-f', `${root}/brick.vol`, '-l', `${root}/brick.log`];
    const volume = new GlusterVolume(root, port, new Child(program('glusterfsd')!, args));
    await waitFor(
      () => accepts(port),
      () => `glusterfsd serves; it said:\n${read(`${root}/brick.log`)}`,
    );
    return volume;
  }

  /** What the server has, past all mounts. */
  get brickDir(): string {
    return `${this.#root}/brick`;
  }

  async mount(): Promise<GlusterMount> {
    const number = this.#mounts.length + 1;
    const dir = `${this.#root}/mount-${number}`;
    const log = `${this.#root}/mount-${number}.log`;
    fs.mkdirSync(dir);
    fs.writeFileSync(`${this.#root}/client.vol`, clientVolume(this.#port));
    const own = fs.statSync(this.#root).dev;
    const child = new Child(program('glusterfs')!, ['-N', '-f', `${this.#root}/client.vol`, '-l', log, dir]);
    const mount = new GlusterMount(dir, child);
    this.#mounts.push(mount);
    await waitFor(
      async () => {
        // A look at a mount that is not connected yet fails.
        const status = await fs.promises.stat(dir).catch(() => undefined);
        return status !== undefined && status.dev !== own;
      },
      () => `${dir} is mounted; glusterfs said:\n${read(log)}`,
    );
    return mount;
  }

  /** Unmounts, ends the server, and removes everything. */
  async stop(): Promise<void> {
    for (const mount of this.#mounts) await mount.unmount();
    await this.#server.destroy();
    fs.rmSync(this.#root, { recursive: true, force: true });
  }
}

function brickVolume(dir: string, port: number): string {
  return stack(
    ['posix', 'storage/posix', `directory ${dir}`],
    ['locks', 'features/locks'],
    ['threads', 'performance/io-threads'],
    ['brick', 'debug/io-stats'],
    [
      'server',
      'protocol/server',
      'transport-type tcp',
      'transport.socket.bind-address 127.0.0.1',
      `transport.socket.listen-port ${port}`,
      'auth.addr.brick.allow 127.0.0.1',
    ],
  );
}

/** The layers, and so the caches, that glusterd 10 gives a volume by default. */
function clientVolume(port: number): string {
  return stack(
    [
      'client',
      'protocol/client',
      'transport-type tcp',
      'remote-host 127.0.0.1',
      `remote-port ${port}`,
      'remote-subvolume brick',
    ],
    ['dht', 'cluster/distribute'],
    ['utime', 'features/utime', 'noatime on'],
    ['write-behind', 'performance/write-behind'],
    ['open-behind', 'performance/open-behind'],
    ['quick-read', 'performance/quick-read'],
    ['md-cache', 'performance/md-cache'],
    ['threads', 'performance/io-threads'],
    ['stats', 'debug/io-stats'],
  );
}

/** Layers, lowest first: name, type, options. */
function stack(...layers: [name: string, type: string, ...options: string[]][]): string {
  return layers
    .map(([name, type, ...options], i) =>
      [
        `volume ${name}`,
        `  type ${type}`,
        ...options.map((option) => `  option ${option}`),
        ...(i === 0 ? [] : [`  subvolumes ${layers[i - 1]![0]}`]),
        'end-volume\n',
      ].join('\n'),
    )
    .join('');
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function read(file: string): string {
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').slice(-4000) : '(nothing)';
}
