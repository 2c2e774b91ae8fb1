import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { residentBytes } from '../bench/process-stats.js';
import { mainScript } from '../harness/broker.js';
import { waitFor } from '../harness/wait.js';
import type { Story } from './chaos-log.js';
import { address, CLIENT_PORT, HUB, ROUTE_PORT } from './network.js';

export const CLUSTER_ID = 'chaos';
export const GROUP = 'g';

export interface HostOptions {
  number: number;
  hosts: readonly number[];
  dir: string;
  /** Of the broker, beside what all have. */
  environment: Readonly<Record<string, string>>;
  leaseMs: number;
  /** What it asks of the disk fails: who is not there yet may end by that, for a supervisor to start it again. */
  isDiskFailing(): boolean;
  /** A host name of its own: else the members see each other's processes die. */
  isMachine: boolean;
  /** It knows no nats-server but its own. */
  knowsOwnServerOnly: boolean;
  /** More lines of the nats-server's command. */
  natsFlags: readonly string[];
  story: Story;
  onTaking(host: Host, epoch: number): void;
  onServing(host: Host, epoch: number): void;
}

const SIGNS_OF_A_DEFECT = /unhandled|TypeError|RangeError|ReferenceError|AssertionError/i;
const END_MS = 30_000;
/** For a process to start, on a machine that has much to do. */
const READY_MS = 30_000;

/** One machine: a nats-server, and a member of the group. */
export class Host {
  readonly number: number;
  readonly #options: HostOptions;
  readonly #print: (line: string) => void;
  #nats: ChildProcess | undefined;
  #broker: ChildProcess | undefined;
  #isPaused = false;
  #isNatsPaused = false;
  #epoch = 0;
  #isReady = false;
  /** Why an end of the broker is expected. Who is told to stop a second time ends at once, in any way. */
  #asked: 'SIGKILL' | 'SIGTERM' | undefined;
  #endTimer: NodeJS.Timeout | undefined;

  constructor(options: HostOptions) {
    this.#options = options;
    this.number = options.number;
    this.#print = options.story.output(`member-${options.number}`);
  }

  get isUp(): boolean {
    return this.#broker !== undefined && !this.#isPaused;
  }

  /** Of the broker; 0 if there is none. */
  get residentBytes(): number {
    const pid = this.#broker?.pid;
    return pid === undefined ? 0 : residentBytes(pid);
  }

  startNats(): void {
    if (this.#nats !== undefined) return;
    const { number, hosts, natsFlags, story } = this.#options;
    const others = [...hosts.filter((host) => host !== number).map(address), HUB];
    const args = natsArguments(address(number), others, natsFlags);
    this.#nats = spawn('ip', ['netns', 'exec', `m${number}`, 'nats-server', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    createInterface(this.#nats.stderr!).on('line', story.output(`nats-${number}`));
  }

  killNats(): void {
    this.#nats?.kill('SIGKILL');
    this.#nats = undefined;
    this.#isNatsPaused = false;
  }

  pauseNats(): void {
    this.#isNatsPaused = this.#nats?.kill('SIGSTOP') ?? false;
  }

  continueNats(): void {
    if (this.#isNatsPaused) this.#nats?.kill('SIGCONT');
    this.#isNatsPaused = false;
  }

  async startBroker(): Promise<void> {
    if (this.#broker !== undefined) return;
    const { number, isMachine, environment, story } = this.#options;
    const name = isMachine ? `machine-${number}` : 'machine';
    const command = [process.execPath, ...(await mainScript()), 'serve', ...this.#flags()];
    const shell = `hostname ${name}; exec "$@"`;
    // Not for the programs that start it.
    const settings = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
    const own = ['env', ...settings, ...command];
    const args = ['netns', 'exec', `m${number}`, 'unshare', '--uts', 'sh', '-c', shell, 'sh', ...own];
    if (this.#broker !== undefined) return;
    const broker = spawn('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#broker = broker;
    this.#asked = undefined;
    this.#isPaused = false;
    this.#isReady = false;
    story.tell(`member ${number} starts, pid ${broker.pid}`);
    for (const stream of [broker.stdout, broker.stderr])
      createInterface(stream).on('line', (line) => this.#onLine(line));
    broker.on('exit', (code, signal) => this.#onExit(broker, code, signal));
  }

  signal(signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): void {
    const broker = this.#broker;
    if (broker === undefined) return;
    if (signal === 'SIGKILL' || signal === 'SIGTERM') this.#expectEnd(signal);
    if (signal === 'SIGSTOP') this.#isPaused = true;
    if (signal === 'SIGCONT') this.#isPaused = false;
    broker.kill(signal);
  }

  /** Everything runs again. */
  async heal(): Promise<void> {
    if (this.#isPaused) this.signal('SIGCONT');
    this.continueNats();
    this.startNats();
    if (this.#asked !== undefined) await this.ended();
    await this.startBroker();
    const ready = waitFor(() => this.#isReady, 'it watches, or serves', READY_MS);
    await ready.catch((error: Error) =>
      this.#options.story.violate(`member ${this.number}: ${error.message}`),
    );
  }

  /** Resolves when the broker that was told to end has ended. */
  async ended(): Promise<void> {
    const broker = this.#broker;
    if (broker === undefined) return;
    await new Promise<void>((resolve) => broker.once('exit', () => resolve()));
  }

  #expectEnd(signal: 'SIGKILL' | 'SIGTERM'): void {
    this.#asked = this.#asked === undefined ? signal : 'SIGKILL';
    if (this.#endTimer !== undefined) return;
    this.#endTimer = setTimeout(() => {
      this.#options.story.violate(`member ${this.number} has not ended ${END_MS} ms after ${signal}`);
      this.#asked = 'SIGKILL';
      this.#broker?.kill('SIGKILL');
    }, END_MS);
  }

  #onLine(line: string): void {
    const { story, onTaking, onServing } = this.#options;
    this.#print(line);
    if (/Standby: watching|Streaming Server is ready/.test(line)) this.#isReady = true;
    const taking = /taking over in epoch (\d+)/.exec(line);
    if (taking !== null) {
      this.#epoch = Number(taking[1]);
      story.tell(`member ${this.number}: ${/"msg":"([^"]*)/.exec(line)?.[1] ?? line}`);
      onTaking(this, this.#epoch);
    } else if (line.includes('Streaming Server is ready')) {
      story.tell(`member ${this.number} serves in epoch ${this.#epoch}`);
      onServing(this, this.#epoch);
    } else if (/the term of epoch \d+ ends/.test(line)) {
      story.tell(`member ${this.number}: ${/"msg":"([^"]*)/.exec(line)?.[1] ?? line}`);
    }
    if (SIGNS_OF_A_DEFECT.test(line)) story.violate(`member ${this.number} says ${line.slice(0, 500)}`);
  }

  #onExit(broker: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#broker !== broker) return;
    const { story } = this.#options;
    clearTimeout(this.#endTimer);
    this.#endTimer = undefined;
    this.#broker = undefined;
    this.#isPaused = false;
    const how = signal ?? `exit code ${code}`;
    const mayEnd = !this.#isReady && code === 1 && this.#options.isDiskFailing();
    if (this.#asked === undefined && !mayEnd)
      story.violate(`member ${this.number} has ended by itself: ${how}`);
    else if (this.#asked === 'SIGTERM' && code !== 0)
      story.violate(`member ${this.number} has ended by ${how} after SIGTERM`);
    else story.tell(`member ${this.number} has ended: ${how}`);
  }

  #flags(): string[] {
    const { number, hosts, dir, leaseMs, knowsOwnServerOnly } = this.#options;
    const others = hosts.filter((host) => host !== number);
    const servers = knowsOwnServerOnly ? [number] : [number, ...others];
    return [
      ...['--cluster-id', CLUSTER_ID, '--ft-group', GROUP, '--node-name', `m${number}`],
      ...['--store', 'file', '--dir', dir, '--ft-lease', `${leaseMs}ms`, '--log-format', 'json'],
      ...['--nats-server', servers.map((host) => natsUrl(address(host))).join(',')],
    ];
  }
}

export function natsArguments(own: string, others: readonly string[], flags: readonly string[]): string[] {
  return [
    ...['-a', own, '-p', String(CLIENT_PORT), '--cluster', `nats://${own}:${ROUTE_PORT}`],
    ...['--cluster_name', CLUSTER_ID, '--routes', others.map((ip) => `nats://${ip}:${ROUTE_PORT}`).join(',')],
    ...flags,
  ];
}

export function natsUrl(host: string): string {
  return `nats://${host}:${CLIENT_PORT}`;
}
