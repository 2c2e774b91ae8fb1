import { must } from '../../util/assert.js';
import type {
  ImportSource,
  MessageSink,
  SourceChannel,
  SourceProblem,
  SourceState,
} from '../types/source.js';
import { SourceError } from '../types/source-error.js';
import { ExportedLines } from './exported-lines.js';
import { decompressed, openRawInput, type RawInput, STANDARD_INPUT } from './line-input.js';
import { LineProblems } from './line-problems.js';
import { LineReader } from './line-reader.js';
import { PlainLines } from './plain-lines.js';

export interface LinesSourceOptions {
  /** The file's; `-` is standard input. */
  path: string;
  isLenient: boolean;
  /** The time of messages whose line does not say it, nanoseconds since 1970. */
  nowNs: bigint;
}

/** A file of JSON Lines: an export of a store, or messages alone. */
export class LinesSource implements ImportSource {
  readonly name: string;
  readonly #options: LinesSourceOptions;
  readonly #problems: LineProblems;
  #input: RawInput | undefined;
  #reader: LineReader | undefined;
  #content: ExportedLines | PlainLines | undefined;

  constructor(options: LinesSourceOptions) {
    this.#options = options;
    this.name = options.path === STANDARD_INPUT ? 'standard input' : options.path;
    this.#problems = new LineProblems(this.name, options.isLenient);
  }

  get problems(): readonly SourceProblem[] {
    return this.#problems.all;
  }

  async open(): Promise<SourceState> {
    const { path, nowNs } = this.#options;
    this.#input = await openRawInput(path);
    const { stream, isPlainFile } = await decompressed(this.#input);
    const reader = new LineReader(this.name, stream, this.#problems);
    this.#reader = reader;
    const first = await reader.next();
    if (first === undefined) throw new SourceError('not-found', `${this.name} has no lines`);
    const { object, number } = first;
    if ('stanchion' in object) {
      this.#content = await ExportedLines.open(this.name, reader, this.#problems, first);
    } else if ('subject' in object) {
      const again = isPlainFile ? path : undefined;
      this.#content = await PlainLines.open(reader, this.#problems, first, again, nowNs);
    } else {
      throw new SourceError(
        'unsupported',
        `${this.name}: line ${number} is neither the header of \`stanchion export\` nor a message as \`stanchion sub -o json\` prints it`,
      );
    }
    return this.#content.state;
  }

  async read(channel: SourceChannel, sink: MessageSink): Promise<void> {
    await must(this.#content, 'a source is opened before it is read').read(channel, sink);
  }

  async close(): Promise<void> {
    // The streams behind it may wait for it, and would not hear that nothing more is wanted: an open standard input kept the process alive.
    this.#input?.stream.destroy();
    this.#reader?.close();
    await this.#content?.close();
  }
}
