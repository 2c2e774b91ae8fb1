import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Child, type ExitStatus } from './child.js';
import { waitFor } from './wait.js';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/**
 * The path of another NATS Streaming server to test instead of this one. Its flags are spelled with underscores. It shows
 * whether the suite asks for what that server does.
 */
const otherServer = process.env.CONFORMANCE_SERVER;
export const isOtherServer = otherServer !== undefined;

export type StoreKind = 'memory' | 'file';

export interface BrokerSettings {
  natsUrl: string;
  clusterId: string;
  store: StoreKind;
  /** Of the file store. */
  dir?: string;
  /** More flags, as `--max-msgs`, `10`. */
  flags?: readonly string[];
  /** More than this process has. */
  environment?: Readonly<Record<string, string>>;
  /** The command line of another version; without it this one's. */
  program?: string;
}

/** A real broker process, attached to a nats-server. */
export class Broker {
  readonly settings: BrokerSettings;
  #child: Child;

  private constructor(settings: BrokerSettings, child: Child) {
    this.settings = settings;
    this.#child = child;
  }

  /** Starts a broker and waits until it serves. */
  static async start(settings: BrokerSettings): Promise<Broker> {
    const broker = new Broker(settings, await spawnBroker(settings));
    try {
      await broker.ready();
    } catch (error) {
      await broker.destroy();
      throw error;
    }
    return broker;
  }

  /** Starts a broker that is expected to refuse, and waits until it has. */
  static async refused(settings: BrokerSettings): Promise<{ status: ExitStatus; output: string }> {
    const child = await spawnBroker(settings);
    try {
      await waitFor(
        () => child.hasExited || isReady(child),
        () => `the broker starts or refuses; it said:\n${child.output}`,
      );
      if (!child.hasExited) throw new Error(`the broker did not refuse; it said:\n${child.output}`);
      return { status: await child.exit, output: child.output };
    } finally {
      await child.destroy();
    }
  }

  get pid(): number {
    return this.#child.pid;
  }

  get clusterId(): string {
    return this.settings.clusterId;
  }

  /** All that this run of the process has written. */
  get output(): string {
    return this.#child.output;
  }

  get hasExited(): boolean {
    return this.#child.hasExited;
  }

  get exit(): Promise<ExitStatus> {
    return this.#child.exit;
  }

  /** Ends the process by a signal and waits for it. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<ExitStatus> {
    return this.#child.end(signal);
  }

  /** Sends a signal and does not wait, as for SIGSTOP and SIGCONT. */
  signal(signal: NodeJS.Signals): void {
    this.#child.signal(signal);
  }

  /** Starts the process again, after it has ended. */
  async startAgain(flags?: readonly string[]): Promise<void> {
    if (!this.#child.hasExited) throw new Error('the broker still runs');
    this.#child = await spawnBroker(flags === undefined ? this.settings : { ...this.settings, flags });
    await this.ready();
  }

  /** Ends the process and starts it again. */
  async restart(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.kill(signal);
    await this.startAgain();
  }

  /** Ends the process whatever state it is in. */
  destroy(): Promise<void> {
    return this.#child.destroy();
  }

  private async ready(): Promise<void> {
    const child = this.#child;
    await waitFor(
      () => {
        if (child.hasExited)
          throw new Error(`the broker ended before it was ready; it said:\n${child.output}`);
        return isReady(child);
      },
      () => `the broker is ready; it said:\n${child.output}`,
      30_000,
    );
  }
}

/** It serves, or it watches who serves. */
function isReady(child: Child): boolean {
  return /Streaming Server is ready|Standby: watching/.test(child.output);
}

async function spawnBroker(settings: BrokerSettings): Promise<Child> {
  const { natsUrl, clusterId, store, dir, flags = [], environment } = settings;
  const args = ['--nats-server', natsUrl, '--cluster-id', clusterId, '--store', store];
  if (store === 'file') {
    if (dir === undefined) throw new Error('the file store needs a directory');
    args.push('--dir', dir);
  }
  args.push(...flags);
  if (otherServer !== undefined) return new Child(otherServer, args.map(underscored), environment);
  const main = settings.program === undefined ? await mainScript() : [settings.program];
  const command = [...main, 'serve', '--log-format', 'json', ...args];
  return new Child(process.execPath, command, environment);
}

function underscored(arg: string): string {
  return arg.startsWith('--') ? `--${arg.slice(2).replaceAll('-', '_')}` : arg;
}

/** Arguments of node that run the command line: the build if it is one of these sources, else the sources. */
export async function mainScript(): Promise<string[]> {
  buildIsCurrent ??= await checkBuild();
  if (buildIsCurrent) return [join(root, 'dist', 'cli', 'main.js')];
  return [
    '--import',
    pathToFileURL(join(root, 'node_modules', 'tsx', 'dist', 'esm', 'index.mjs')).href,
    join(root, 'src', 'cli', 'main.ts'),
  ];
}

let buildIsCurrent: boolean | undefined;

async function checkBuild(): Promise<boolean> {
  const path = pathToFileURL(join(root, 'scripts', 'setup', 'build.mjs')).href;
  const build = (await import(path)) as { buildIsCurrent(root: string): boolean };
  return build.buildIsCurrent(root);
}
