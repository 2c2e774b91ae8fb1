import type { Logger } from '../log/logger.js';

const MAX_LINE_CHARS = 4_096;
const KEPT_LINES = 20;
const LINE = /^\[\d+\] (?:\S+ \S+ )?\[(\w{3})\] (.*)$/;

export type ServerStream = 'stdout' | 'stderr';

/** Copies the log of a nats-server to ours, and keeps its last lines to explain a failed start. */
export class ServerLog {
  readonly lastLines: string[] = [];
  #fatal = '';
  readonly #first: Record<ServerStream, string> = { stdout: '', stderr: '' };
  readonly #rest: Record<ServerStream, string> = { stdout: '', stderr: '' };

  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Why it ended: the fatal error, or else its first line. Its log and its errors are on stderr, its usage is on stdout. */
  get complaint(): string {
    return this.#fatal || this.#first.stderr || this.#first.stdout;
  }

  write(stream: ServerStream, chunk: string): void {
    const lines = (this.#rest[stream] + chunk).split('\n');
    this.#rest[stream] = (lines.pop() ?? '').slice(0, MAX_LINE_CHARS);
    for (const line of lines) this.#line(stream, line.trimEnd().slice(0, MAX_LINE_CHARS));
  }

  end(): void {
    for (const stream of ['stderr', 'stdout'] as const) {
      this.#line(stream, this.#rest[stream]);
      this.#rest[stream] = '';
    }
  }

  #line(stream: ServerStream, line: string): void {
    if (line === '') return;
    const [, level, text = ''] = LINE.exec(line) ?? [undefined, 'ERR', line];
    if (level === 'FTL') this.#fatal = text;
    this.#first[stream] ||= text;
    this.lastLines.push(text);
    if (this.lastLines.length > KEPT_LINES) this.lastLines.shift();
    if (level === 'INF') this.#logger.info({}, text);
    else if (level === 'WRN') this.#logger.warn({}, text);
    else if (level === 'DBG' || level === 'TRC') this.#logger.debug({}, text);
    else this.#logger.error({}, text);
  }
}
