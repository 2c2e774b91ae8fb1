import { type ChildProcess, spawn } from 'node:child_process';

const MAX_OUTPUT_CHARS = 64 * 1024;
const STOP_MS = 15_000;

/** All that run, so that none outlives the bench. */
const running = new Set<ChildProcess>();

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

/** A process that the bench started. */
export class Child {
  readonly #name: string;
  readonly #process: ChildProcess;
  readonly #exited: Promise<number | null>;
  #onOutput: (() => void) | undefined;
  #output = '';
  #stdout = '';
  #ended = false;

  constructor(name: string, command: string, args: string[]) {
    this.#name = name;
    this.#process = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this.#process);
    this.#exited = new Promise((resolve) => {
      const ended = (code: number | null) => {
        this.#ended = true;
        running.delete(this.#process);
        resolve(code);
        this.#onOutput?.();
      };
      this.#process.once('error', (error) => {
        this.#collect(`${error.message}\n`);
        ended(null);
      });
      this.#process.once('close', ended);
    });
    this.#process.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout = (this.#stdout + text).slice(-MAX_OUTPUT_CHARS);
      this.#collect(text);
    });
    this.#process.stderr!.setEncoding('utf8').on('data', (text: string) => this.#collect(text));
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  /**
   * Resolves when the output so far matches.
   * @throws Error with the end of its output, if it ended before or took too long
   */
  async matching(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray> {
    const timer = setTimeout(() => this.#onOutput?.(), timeoutMs);
    const deadlineMs = performance.now() + timeoutMs - 1;
    try {
      for (;;) {
        const match = pattern.exec(this.#output);
        if (match !== null) return match;
        if (this.#ended) throw this.#error('ended');
        if (performance.now() >= deadlineMs)
          throw this.#error(`did not say ${pattern} within ${timeoutMs} ms`);
        await new Promise<void>((resolve) => {
          this.#onOutput = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Waits for its end.
   * @returns what it wrote on standard output
   * @throws Error with the end of its output, if it failed or took too long (then it is killed)
   */
  async completed(timeoutMs: number): Promise<string> {
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      this.#process.kill('SIGKILL');
    }, timeoutMs);
    const code = await this.#exited;
    clearTimeout(timer);
    if (timedOut) throw this.#error(`took more than ${timeoutMs} ms`);
    if (code !== 0) throw this.#error(`ended with exit code ${code}`);
    return this.#stdout;
  }

  /** Asks it to end, and kills it if it does not. */
  async stop(): Promise<void> {
    if (this.#ended) return;
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  #collect(text: string): void {
    this.#output = (this.#output + text).slice(-MAX_OUTPUT_CHARS);
    const waiting = this.#onOutput;
    this.#onOutput = undefined;
    waiting?.();
  }

  #error(what: string): Error {
    const tail = this.#output.trimEnd().split('\n').slice(-15).join('\n  ');
    return new Error(`${this.#name} ${what}; its output:\n  ${tail === '' ? '(none)' : tail}`);
  }
}
