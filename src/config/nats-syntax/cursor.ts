import type { Place } from './node.js';
import { NatsSyntaxError } from './syntax-error.js';

const NEWLINE = /[\n\r]/;
const SPACE = /\s/;

/** Walks over the text of one file. At its end every character is ''. */
export class Cursor {
  position = 0;
  readonly path: string;
  readonly text: string;
  #lineStarts: number[] | undefined;

  constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
  }

  get char(): string {
    return this.text.charAt(this.position);
  }

  get isAtEnd(): boolean {
    return this.position >= this.text.length;
  }

  /** Goes on if the text has these characters here. */
  take(characters: string): boolean {
    if (!this.text.startsWith(characters, this.position)) return false;
    this.position += characters.length;
    return true;
  }

  /** Passes what a sticky expression matches here. @returns the match, '' for none */
  match(sticky: RegExp): string {
    sticky.lastIndex = this.position;
    const found = sticky.exec(this.text)?.[0] ?? '';
    this.position += found.length;
    return found;
  }

  isAtNewline(): boolean {
    return NEWLINE.test(this.char);
  }

  /** Passes blanks and tabs. */
  skipBlanks(): void {
    this.match(/[ \t]*/y);
  }

  /** Passes white space, newlines too. */
  skipSpace(): void {
    this.match(/\s*/y);
  }

  isAtSpace(): boolean {
    return SPACE.test(this.char);
  }

  /** Passes a comment up to its newline. */
  skipComment(): boolean {
    if (this.char !== '#' && !this.text.startsWith('//', this.position)) return false;
    this.match(/[^\n\r]*/y);
    return true;
  }

  place(position = this.position): Place {
    this.#lineStarts ??= [0, ...[...this.text.matchAll(/\n/g)].map(({ index }) => index + 1)];
    const starts = this.#lineStarts;
    let low = 0;
    for (let high = starts.length; high - low > 1; ) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= position) low = middle;
      else high = middle;
    }
    return { file: this.path, line: low + 1, column: position - starts[low] + 1 };
  }

  /** An error here. It does not show what stands in the file, which may be a password. */
  error(what: string, position = this.position): NatsSyntaxError {
    return new NatsSyntaxError(this.place(position), what);
  }
}
