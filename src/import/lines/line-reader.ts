import type { Readable } from 'node:stream';
import { type PlacedLine, placedLines } from '../../util/lines.js';
import { SourceError } from '../types/source-error.js';
import type { LineProblems } from './line-problems.js';
import { parseLine } from './parse-message.js';

/** Limit of a line. The largest message that NATS carries has 64 MiB, and six times as many characters if all of them are escaped. */
const MAX_LINE_BYTES = 400 * 1024 * 1024;

export interface ParsedLine extends Omit<PlacedLine, 'bytes'> {
  object: Readonly<Record<string, unknown>>;
}

/** The lines of a stream as objects. A line that is none is a loss. */
export class LineReader {
  readonly #name: string;
  readonly #lines: AsyncGenerator<PlacedLine>;
  readonly #stream: Readable;
  readonly #problems: LineProblems;
  #back: ParsedLine | undefined;

  constructor(name: string, stream: Readable, problems: LineProblems) {
    this.#name = name;
    this.#stream = stream;
    this.#lines = placedLines(stream, MAX_LINE_BYTES);
    this.#problems = problems;
  }

  /** The next line that is not empty; undefined behind the last one. */
  async next(): Promise<ParsedLine | undefined> {
    const back = this.#back;
    this.#back = undefined;
    if (back !== undefined) return back;
    for (;;) {
      const read = await this.#lines.next().catch((error: Error) => {
        throw new SourceError('damaged', `${this.#name} cannot be read to its end: ${error.message}`, {
          cause: error,
        });
      });
      if (read.done) return undefined;
      const { bytes, ...place } = read.value;
      if (bytes.length === 0) continue;
      const object = this.check(place.number, () => parseLine(bytes));
      if (object !== undefined) return { ...place, object };
    }
  }

  /** The next call of `next` gives this line. */
  putBack(line: ParsedLine): void {
    this.#back = line;
  }

  /** What a line says; undefined if it is wrong, and the source lenient. */
  check<T>(number: number, parse: () => T): T | undefined {
    try {
      return parse();
    } catch (error) {
      this.#problems.loss(`line ${number}: ${(error as Error).message}`);
      return undefined;
    }
  }

  close(): void {
    this.#stream.destroy();
  }
}
