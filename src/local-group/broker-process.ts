import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { findExecutable, searchPath } from '../nats/executable.js';

export interface BrokerProcessOptions {
  node: string;
  /** What follows `serve`. */
  argv: readonly string[];
  environment: NodeJS.ProcessEnv;
  onLine(node: string, line: string): void;
}

const THIS = fileURLToPath(import.meta.url);
const MAIN = fileURLToPath(new URL(`../cli/main${extname(THIS)}`, import.meta.url));
/** Sources need what lets this process read them. */
const NODE_FLAGS = extname(THIS) === '.ts' ? process.execArgv : [];
const RESTART_MS = 1_000;

/** A broker as a process of its own, started again when it dies, whatever it died of. */
export class BrokerProcess {
  readonly node: string;
  readonly #options: BrokerProcessOptions;
  #child: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();
  #restart: NodeJS.Timeout | undefined;
  #isStopping = false;
  // A store is left well by a death at any moment, and nobody should have to look for brokers that were left behind.
  readonly #onProcessExit = (): void => void this.#child?.kill('SIGKILL');

  constructor(options: BrokerProcessOptions) {
    this.node = options.node;
    this.#options = options;
    process.on('exit', this.#onProcessExit);
    this.#start();
  }

  /** Undefined while there is none: it has died, and is about to be started again. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** SIGTERM, and until it has ended. It is not started again. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (child !== undefined) {
      child.kill('SIGTERM');
      // A paused one cannot heed it.
      child.kill('SIGCONT');
      await this.#exited;
    }
    process.removeListener('exit', this.#onProcessExit);
  }

  #start(): void {
    const { node, argv, environment, onLine } = this.#options;
    const serve = [process.execPath, ...NODE_FLAGS, MAIN, 'serve', ...argv];
    const setpriv =
      process.platform === 'linux' ? findExecutable('setpriv', searchPath(process.env.PATH)) : undefined;
    // If this process is killed, the kernel ends them too.
    const [command, ...args] = setpriv === undefined ? serve : [setpriv, '--pdeathsig', 'KILL', ...serve];
    // In a process group of its own: Ctrl-C is for this process, which stops them in order.
    const child = spawn(command!, args, {
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
      onLine(node, `broker ${node} has ended (${signal ?? `exit code ${code}`}): it is started again`);
      this.#restart = setTimeout(() => this.#start(), RESTART_MS);
    });
  }
}
