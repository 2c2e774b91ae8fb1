/** How far a command is, on standard error: one line that changes on a terminal, lines elsewhere. */
export class Progress {
  readonly #out: NodeJS.WriteStream;
  #isShown = false;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  say(text: string): void {
    if (!this.#out.isTTY) {
      this.#out.write(`${text}\n`);
      return;
    }
    const width = (this.#out.columns || 80) - 1;
    this.#out.write(`\r\x1b[K${text.slice(0, width)}`);
    this.#isShown = true;
  }

  /** Leaves the terminal as it was. */
  end(): void {
    if (this.#isShown) this.#out.write('\r\x1b[K');
    this.#isShown = false;
  }
}
