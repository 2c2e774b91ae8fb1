import { appendFileSync, createWriteStream } from 'node:fs';
import { join } from 'node:path';

/** What happened in a run, line by line, with times since its begin. */
export class Story {
  readonly dir: string;
  readonly violations: string[] = [];
  /** All of it. */
  readonly lines: string[] = [];
  readonly #isLoud: boolean;
  readonly #beginMs = performance.now();
  readonly #file: string;

  constructor(dir: string, isLoud: boolean) {
    this.dir = dir;
    this.#isLoud = isLoud;
    this.#file = join(dir, 'chaos.log');
  }

  get nowMs(): number {
    return Math.round(performance.now() - this.#beginMs);
  }

  tell(text: string): void {
    const line = `[${this.nowMs}] ${text}`;
    this.lines.push(line);
    appendFileSync(this.#file, `${line}\n`);
    if (this.#isLoud) console.log(line);
  }

  /** Something that must hold does not. */
  violate(text: string): void {
    this.violations.push(`[${this.nowMs}] ${text}`);
    this.tell(`VIOLATION ${text}`);
  }

  /** Where the output of one process goes, each line with its time. */
  output(name: string): (line: string) => void {
    const file = createWriteStream(join(this.dir, `${name}.log`), { flags: 'a' });
    return (line) => void file.write(`[${this.nowMs}] ${line}\n`);
  }
}
