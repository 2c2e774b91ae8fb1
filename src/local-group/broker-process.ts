import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { findExecutable, searchPath } from '../nats/executable.js';

export interface BrokerProcessOptions {
  node: string;
  /** The arguments after `serve`. */
  argv: readonly string[];
  environment: NodeJS.ProcessEnv;
  onLine(node: string, line: string): void;
}

const THIS = fileURLToPath(import.meta.url);
const MAIN = fileURLToPath(new URL(`../cli/main${extname(THIS)}`, import.meta.url));
/** A broker from TypeScript sources needs the flags of this process, which let Node load them. */
const NODE_FLAGS = extname(THIS) === '.ts' ? process.execArgv : [];
const RESTART_MS = 1_000;

/** A broker in a process of its own, which is restarted whenever it dies. */
export class BrokerProcess {
  readonly node: string;
  readonly #options: BrokerProcessOptions;
  #child: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();
  #restart: NodeJS.Timeout | undefined;
  #isStopping = false;
  // A broker may be killed at any moment without harm to its store, and none may be left behind.
  readonly #onProcessExit = (): void => void this.#child?.kill('SIGKILL');

  constructor(options: BrokerProcessOptions) {
    this.node = options.node;
    this.#options = options;
    process.on('exit', this.#onProcessExit);
    this.#start();
  }

  /** Undefined while the broker is down before a restart. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Stops the broker with SIGTERM, and waits for its end. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (child !== undefined) {
      child.kill('SIGTERM');
      // A paused process handles SIGTERM only after SIGCONT.
      child.kill('SIGCONT');
      await this.#exited;
    }
    process.removeListener('exit', this.#onProcessExit);
  }

  #start(): void {
    const { node, argv, environment, onLine } = this.#options;
    const serve = [...NODE_FLAGS, MAIN, 'serve', ...argv];
    const setpriv =
      process.platform === 'linux' ? findExecutable('setpriv', searchPath(process.env.PATH)) : undefined;
    // If this process is killed, the kernel kills the broker too.
    const args = setpriv === undefined ? serve : ['--pdeathsig', 'KILL', process.execPath, ...serve];
    // It gets a process group of its own: Ctrl-C reaches only this process, which stops the brokers in order.
    const child = spawn(setpriv ?? process.execPath, args, {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on('line', (line) => onLine(node, line));
    }
    this.#exited = once(child, 'exit').then(([code, signal]: unknown[]) => {
      this.#child = undefined;
      if (this.#isStopping) return;
      onLine(node, `broker ${node} has ended (${signal ?? `exit code ${code}`}): restarting it`);
      this.#restart = setTimeout(() => this.#start(), RESTART_MS);
    });
  }
}
