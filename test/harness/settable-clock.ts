import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The wall clock of a process of Node that a test starts, and can set while it runs. Its monotonic clock is the machine's. */
export class SettableClock {
  /** For the process. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #path: string;

  /** @param dir where it may put a file */
  constructor(dir: string, name: string) {
    this.#path = join(dir, `${name}.clock`);
    this.set(0);
    const preload = `
      import { readFileSync } from 'node:fs';
      const { now } = Date;
      let offMs = 0;
      const look = () => { offMs = Number(readFileSync(${JSON.stringify(this.#path)}, 'utf8')); };
      look();
      setInterval(look, 10).unref();
      Date.now = () => now() + offMs;`;
    this.environment = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(preload)}` };
  }

  /** Off by so much from the machine's. */
  set(offMs: number): void {
    writeFileSync(`${this.#path}.new`, String(offMs));
    renameSync(`${this.#path}.new`, this.#path);
  }
}
