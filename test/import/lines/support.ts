import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { LinesSource } from '../../../src/import/lines/lines-source.js';
import type { MessageSink, SourceState } from '../../../src/import/types/source.js';

/** Keeps what it is given, and checks that memory stays as it is between two drains. */
export class KeepingSink implements MessageSink {
  readonly messages: { sequence: number; bytes: string; timestampMs: number }[] = [];
  #since: { buffer: Buffer; start: number; end: number; sequence: number; timestampMs: number }[] = [];
  #bytes = 0;

  get isFull(): boolean {
    return this.#bytes > 4096;
  }

  message(buffer: Buffer, start: number, end: number, sequence: number, timestampMs: number): void {
    this.#since.push({ buffer, start, end, sequence, timestampMs });
    this.#bytes += end - start;
  }

  async drain(): Promise<void> {
    for (const { buffer, start, end, ...rest } of this.#since)
      this.messages.push({ ...rest, bytes: buffer.toString('hex', start, end) });
    this.#since = [];
    this.#bytes = 0;
  }
}

export interface ReadSource {
  state: SourceState;
  messages: Record<string, KeepingSink['messages']>;
  problems: string[];
}

export const NOW_NS = 1_800_000_000_123_456_789n;

/** Writes the file and imports it. */
export async function readLines(
  t: TestContext,
  content: string | Buffer,
  options: { name?: string; isLenient?: boolean } = {},
): Promise<ReadSource> {
  const dir = mkdtempSync(join(tmpdir(), 'stanchion-lines-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, options.name ?? 'store.jsonl');
  writeFileSync(path, content);
  const source = new LinesSource({ path, isLenient: options.isLenient ?? false, nowNs: NOW_NS });
  try {
    const state = await source.open();
    const messages: ReadSource['messages'] = {};
    for (const channel of state.channels) {
      const sink = new KeepingSink();
      await source.read(channel, sink);
      messages[channel.name] = sink.messages;
    }
    return { state, messages, problems: source.problems.map(({ text }) => text) };
  } finally {
    await source.close();
  }
}
