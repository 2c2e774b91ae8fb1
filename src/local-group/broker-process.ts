import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface BrokerProcessOptions {
  node: string;
  /** What follows `serve`. */
  argv: readonly string[];
  onLine(node: string, line: string): void;
}

const MAIN = fileURLToPath(new URL('../cli/main.js', import.meta.url));
const RESTART_MS = 1_000;

/** A broker as a process of its own, started again when it dies. */
export class BrokerProcess {
  readonly node: string;
  readonly #options: BrokerProcessOptions;
  #child: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();
  #restart: NodeJS.Timeout | undefined;
  #isStopping = false;

  constructor(options: BrokerProcessOptions) {
    this.node = options.node;
    this.#options = options;
    this.#start();
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** SIGTERM, and until it has ended. It is not started again. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (child === undefined) return;
    child.kill('SIGTERM');
    // A paused one cannot heed it.
    child.kill('SIGCONT');
    await this.#exited;
  }

  #start(): void {
    const { node, argv, onLine } = this.#options;
    const child = spawn(process.execPath, [MAIN, 'serve', ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
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
