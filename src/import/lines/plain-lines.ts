import { once } from 'node:events';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageBlock, type ParsedMessage } from '../types/message-block.js';
import type { MessageSink, SourceChannel, SourceState } from '../types/source.js';
import { SourceError } from '../types/source-error.js';
import { LineProblems } from './line-problems.js';
import { LineReader, type ParsedLine } from './line-reader.js';
import { messageFields } from './parse-message.js';

/** Lines of one channel, one behind the other. */
interface Run {
  start: number;
  end: number;
}

/** Limit of the runs of all channels. */
const MAX_RUNS = 1_000_000;

/**
 * Messages alone, as `stanchion sub -o json` prints them: of one channel or of several, also mixed. They are read twice, since what
 * channels there are shows only at the end. What cannot be read twice is copied to a temporary file.
 */
export class PlainLines {
  readonly state: SourceState;
  readonly #path: string;
  readonly #folder: string | undefined;
  readonly #runs: ReadonlyMap<string, readonly Run[]>;
  readonly #nowNs: bigint;

  private constructor(
    state: SourceState,
    path: string,
    folder: string | undefined,
    runs: ReadonlyMap<string, readonly Run[]>,
    nowNs: bigint,
  ) {
    this.state = state;
    this.#path = path;
    this.#folder = folder;
    this.#runs = runs;
    this.#nowNs = nowNs;
  }

  /**
   * Reads all lines once.
   *
   * @param first the first line
   * @param path the file that can be read again; undefined if there is none
   * @param nowNs the time of messages without one
   */
  static async open(
    reader: LineReader,
    problems: LineProblems,
    first: ParsedLine,
    path: string | undefined,
    nowNs: bigint,
  ): Promise<PlainLines> {
    const spool = path === undefined ? await Spool.create() : undefined;
    try {
      const channels = new Map<string, Numbering>();
      const runs = new Map<string, Run[]>();
      let last: { subject: string; run: Run } | undefined;
      let runCount = 0;
      for (let line: ParsedLine | undefined = first; line !== undefined; line = await reader.next()) {
        const { object, number } = line;
        const message = reader.check(number, () => messageFields(object));
        if (message === undefined) continue;
        const { subject } = message;
        const numbering = channels.get(subject) ?? new Numbering(nowNs, problems);
        channels.set(subject, numbering);
        if (numbering.place(message, number) === undefined) continue;
        const { start, end } = (await spool?.add(object)) ?? line;
        // Lines between two of a run may be wrong ones: the second reading passes over them again.
        if (last?.subject === subject) last.run.end = end;
        else {
          if (++runCount > MAX_RUNS)
            throw new SourceError(
              'unsupported',
              `the channels change more than ${MAX_RUNS} times from line to line: sort the lines by channel`,
            );
          last = { subject, run: { start, end } };
          const ofChannel = runs.get(subject);
          if (ofChannel === undefined) runs.set(subject, [last.run]);
          else ofChannel.push(last.run);
        }
      }
      await spool?.end();
      for (const [name, numbering] of channels) numbering.note(name);
      problems.note(
        'it has messages alone: clients, subscriptions and the positions of durables do not come along',
      );
      const state = {
        ...{ clusterId: undefined, subjects: undefined, clients: [] },
        channels: [...channels].map(([name, { first, last, messages }]) => ({
          ...{ name, firstSequence: first, lastSequence: last, messages, subscriptions: [] },
        })),
      };
      state.channels.sort((a, b) => (a.name < b.name ? -1 : 1));
      return new PlainLines(state, path ?? spool?.path ?? '', spool?.folder, runs, nowNs);
    } catch (error) {
      await spool?.remove();
      throw error;
    } finally {
      reader.close();
    }
  }

  async read(channel: SourceChannel, sink: MessageSink): Promise<void> {
    const subject = Buffer.from(channel.name);
    const block = new MessageBlock(sink);
    // Everything that is wrong has been reported already.
    const ignored = new LineProblems('', true);
    const numbering = new Numbering(this.#nowNs, ignored);
    for (const { start, end } of this.#runs.get(channel.name) ?? []) {
      const reader = new LineReader(
        this.#path,
        createReadStream(this.#path, { start, end: end - 1 }),
        ignored,
      );
      for (let line = await reader.next(); line !== undefined; line = await reader.next()) {
        const { object, number } = line;
        const fields = reader.check(number, () => messageFields(object));
        // One of another channel that was passed over may lie between.
        if (fields?.subject !== channel.name) continue;
        const place = numbering.place(fields, number);
        if (place === undefined) continue;
        const message: ParsedMessage = { ...place, subject, reply: fields.reply, data: fields.data };
        const full = block.add(message);
        if (full !== undefined) await full;
      }
    }
    await block.drain();
  }

  async close(): Promise<void> {
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
  }
}

interface PlaceFields {
  subject: string;
  sequence: number | undefined;
  timestampNs: bigint | undefined;
  redelivered: boolean;
}

/** Sequences and times of the messages of a channel, also of lines that do not say them. */
class Numbering {
  first = 1;
  last = 0;
  messages = 0;
  #timestampNs: bigint;
  #unnumbered = 0;
  #untimed = 0;
  #again = 0;
  readonly #problems: LineProblems;

  constructor(nowNs: bigint, problems: LineProblems) {
    this.#timestampNs = nowNs;
    this.#problems = problems;
  }

  /** @returns undefined if the message is there already, or comes too late */
  place(
    { subject, timestampNs, redelivered, ...fields }: PlaceFields,
    line: number,
  ): { sequence: number; timestampNs: bigint } | undefined {
    const { sequence = this.last + 1 } = fields;
    if (sequence <= this.last) {
      if (redelivered) this.#again++;
      else
        this.#problems.loss(
          `line ${line}: message ${sequence} of channel ${subject} comes behind message ${this.last}: sort the lines`,
        );
      return undefined;
    }
    if (this.messages === 0) this.first = sequence;
    this.messages++;
    this.last = sequence;
    if (fields.sequence === undefined) this.#unnumbered++;
    if (timestampNs === undefined) this.#untimed++;
    else this.#timestampNs = timestampNs;
    return { sequence, timestampNs: this.#timestampNs };
  }

  /** Notes what was assumed. */
  note(channel: string): void {
    const notes = [
      [this.#unnumbered, 'have no sequence: each gets the one behind the message before it'],
      [
        this.#untimed,
        'have no timestamp: they get that of the message before them, or the time of the import',
      ],
      [this.#again, 'were redeliveries, and are stored once'],
    ] as const;
    for (const [count, what] of notes) {
      if (count > 0) this.#problems.note(`channel ${channel}: ${count} lines ${what}`);
    }
  }
}

/** Lines in a temporary file. */
class Spool {
  readonly folder: string;
  readonly path: string;
  readonly #out: WriteStream;
  #bytes = 0;
  #error: Error | undefined;

  private constructor(folder: string) {
    this.folder = folder;
    this.path = join(folder, 'lines');
    this.#out = createWriteStream(this.path, { mode: 0o600 });
    this.#out.on('error', (error) => {
      this.#error = error;
    });
  }

  static async create(): Promise<Spool> {
    return new Spool(await mkdtemp(join(tmpdir(), 'stanchion-import-')));
  }

  async add(object: object): Promise<Run> {
    const bytes = Buffer.from(`${JSON.stringify(object)}\n`);
    const start = this.#bytes;
    this.#bytes += bytes.length;
    if (!this.#out.write(bytes)) {
      // Once it has failed, no other event comes.
      if (this.#error !== undefined) throw this.#error;
      await once(this.#out, 'drain');
    }
    return { start, end: this.#bytes };
  }

  async end(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#out.once('error', () => resolve());
      this.#out.end(resolve);
    });
    if (this.#error !== undefined) throw this.#error;
  }

  async remove(): Promise<void> {
    this.#out.destroy();
    await rm(this.folder, { recursive: true, force: true });
  }
}
