import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../harness/wait.js';

const MAX_LOG_CHARS = 64 * 1024;
const RELOADED = /Reloaded server configuration/g;

/** A real nats-server, for a test to talk to and to kill. */
export class NatsProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
    private readonly dir: string,
    private readonly log: { text: string },
    /** For routes; undefined if it is in no cluster. */
    readonly clusterPort: number | undefined,
  ) {}

  /** @param config text of a configuration file */
  static async start(
    options: { args?: string[]; config?: string; port?: number; binary?: string } = {},
  ): Promise<NatsProcess> {
    const dir = await mkdtemp(join(tmpdir(), 'stanchion-nats-'));
    const args = ['-a', '127.0.0.1', '-p', String(options.port ?? -1), '--ports_file_dir', dir];
    if (options.config !== undefined) {
      await writeFile(join(dir, 'nats.conf'), options.config);
      args.push('-c', join(dir, 'nats.conf'));
    }
    const child = spawn(options.binary ?? 'nats-server', [...args, ...(options.args ?? [])], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const log = { text: '' };
    child.stderr!.on('data', (chunk) => {
      log.text = (log.text + chunk).slice(-MAX_LOG_CHARS);
    });
    const exited = once(child, 'exit');
    for (;;) {
      const file = (await readdir(dir)).find((name) => name.endsWith('.ports'));
      const text = file ? await readFile(join(dir, file), 'utf8') : '';
      if (text.endsWith('}')) {
        const ports = JSON.parse(text) as { nats: string[]; cluster?: string[] };
        const portOf = (url: string): number => Number(new URL(url.replace(/^\w+:/, 'http:')).port);
        const cluster = ports.cluster?.[0];
        const clusterPort = cluster === undefined ? undefined : portOf(cluster);
        return new NatsProcess(child, portOf(ports.nats[0]!), dir, log, clusterPort);
      }
      const ended = await Promise.race([exited, new Promise((resolve) => setTimeout(resolve, 5))]);
      if (ended !== undefined) {
        await rm(dir, { recursive: true });
        throw new Error(`nats-server ended: ${log.text}`);
      }
    }
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Has it read another text of its configuration file, and waits until it has. It was started with one. */
  async reload(config: string): Promise<void> {
    await writeFile(join(this.dir, 'nats.conf'), config);
    const before = this.logged(RELOADED);
    this.child.kill('SIGHUP');
    await waitFor(
      () => this.logged(RELOADED) > before,
      () => `nats-server reads its configuration again; it said:\n${this.log.text}`,
    );
  }

  /** How often it has said something since it was started, as far as its last 64 KB go back. */
  logged(what: RegExp): number {
    return this.log.text.match(what)?.length ?? 0;
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const exited = once(this.child, 'exit');
      this.child.kill(signal);
      await exited;
    }
    await rm(this.dir, { recursive: true, force: true });
  }
}

/** @returns a port of 127.0.0.1 that is free at the moment */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
