import { printable } from '../util/printable.js';

/** Shows the progress of a command on standard error: on a terminal one line that changes, elsewhere a line each time. */
export class Progress {
  readonly #out: NodeJS.WriteStream;
  #isShown = false;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  show(line: string): void {
    const text = printable(line);
    if (!this.#out.isTTY) {
      this.#out.write(`${text}\n`);
      return;
    }
    const width = (this.#out.columns || 80) - 1;
    this.#out.write(`\r\x1b[K${text.slice(0, width)}`);
    this.#isShown = true;
  }

  /** Clears the line on a terminal. */
  end(): void {
    if (this.#isShown) this.#out.write('\r\x1b[K');
    this.#isShown = false;
  }
}

const BAR_WIDTH = 40;

/** How much of a known amount is done, as a bar with its figures. */
export function bar(done: number, due: number): string {
  const share = due === 0 ? 1 : Math.min(1, done / due);
  const full = Math.round(share * BAR_WIDTH);
  const percent = String(Math.floor(share * 100)).padStart(3);
  return `${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)} ${percent}%  ${done.toLocaleString('en-US')} of ${due.toLocaleString('en-US')}`;
}
