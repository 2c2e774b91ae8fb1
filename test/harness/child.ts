import { type ChildProcess, spawn } from 'node:child_process';
import { within } from './wait.js';

export interface ExitStatus {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A process that a test runs, with all that it wrote. */
export class Child {
  readonly #process: ChildProcess;
  readonly exit: Promise<ExitStatus>;
  /** Standard output and standard error as they came. */
  output = '';
  #status: ExitStatus | undefined;

  constructor(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.#process = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    const collect = (chunk: Buffer) => {
      this.output += chunk.toString();
    };
    this.#process.stdout!.on('data', collect);
    this.#process.stderr!.on('data', collect);
    this.exit = new Promise((resolve) => {
      this.#process.on('error', (error) => {
        this.output += String(error);
        this.#status = { code: null, signal: null };
        resolve(this.#status);
      });
      // 'close' and not 'exit': by then all output is here.
      this.#process.on('close', (code, signal) => {
        this.#status = { code, signal };
        resolve(this.#status);
      });
    });
  }

  get pid(): number {
    return this.#process.pid!;
  }

  get hasExited(): boolean {
    return this.#status !== undefined;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.hasExited) this.#process.kill(signal);
  }

  /** Sends the signal and waits for the end. */
  async end(signal: NodeJS.Signals): Promise<ExitStatus> {
    this.signal(signal);
    return within(this.exit, `process ${this.pid} ends after ${signal}; it said:\n${this.output}`);
  }

  /** Ends the process in any case, even if it is stopped or deaf. */
  async destroy(): Promise<void> {
    if (this.hasExited) return;
    this.#process.kill('SIGKILL');
    await this.exit;
  }
}
