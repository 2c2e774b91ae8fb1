import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
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
    try {
      const ports = await portsOf(child, dir, log);
      return new NatsProcess(child, ports.client, dir, log, ports.cluster);
    } catch (error) {
      child.kill('SIGKILL');
      await rm(dir, { recursive: true });
      throw error;
    }
  }

  /**
   * Joins servers of a cluster that know nothing of each other: another server has routes to all of them, and makes them known to each
   * other. A reload that gives one of them a route would not do: nats-server 2.9 sets up its accounts anew meanwhile, and loses what the
   * other side subscribes to if the route is quick.
   */
  static join(cluster: string, servers: readonly NatsProcess[]): Promise<NatsProcess> {
    const routes = servers.map(({ clusterPort }) => `"nats://127.0.0.1:${clusterPort}"`);
    return NatsProcess.start({
      config: `cluster { name: ${cluster}, listen: "127.0.0.1:-1", routes: [${routes.join(', ')}] }`,
    });
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

/** Waits for the file in which a nats-server says on which ports it listens. */
async function portsOf(
  child: ChildProcess,
  dir: string,
  log: { text: string },
): Promise<{ client: number; cluster: number | undefined }> {
  let text = '';
  await waitFor(
    async () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`nats-server ended: ${log.text}`);
      const file = (await readdir(dir)).find((name) => name.endsWith('.ports'));
      text = file === undefined ? '' : await readFile(join(dir, file), 'utf8');
      return text.endsWith('}');
    },
    () => `nats-server takes connections; it said:\n${log.text}`,
  );
  const { nats, cluster } = JSON.parse(text) as { nats: [string]; cluster?: [string] };
  const portOf = (url: string): number => Number(new URL(url.replace(/^\w+:/, 'http:')).port);
  return { client: portOf(nats[0]), cluster: cluster && portOf(cluster[0]) };
}
