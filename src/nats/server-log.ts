import type { Logger } from '../log/logger.js';

const MAX_LINE_CHARS = 4_096;
const KEPT_LINES = 20;
const LINE = /^\[\d+\] (?:\S+ \S+ )?\[(\w{3})\] (.*)$/;

/** Passes the lines of a nats-server's log to ours, and keeps the last ones to explain an early end. */
export class ServerLog {
  readonly lastLines: string[] = [];
  /** The fatal error, or the first line: before its log begins, a nats-server says what is wrong and then explains its flags. */
  complaint = '';
  private rest = '';

  constructor(private readonly logger: Logger) {}

  write(chunk: string): void {
    const lines = (this.rest + chunk).split('\n');
    this.rest = lines.pop()!.slice(0, MAX_LINE_CHARS);
    for (const line of lines) this.line(line.trimEnd().slice(0, MAX_LINE_CHARS));
  }

  end(): void {
    if (this.rest !== '') this.line(this.rest);
    this.rest = '';
  }

  private line(line: string): void {
    if (line === '') return;
    const [, level, text = ''] = LINE.exec(line) ?? [undefined, 'ERR', line];
    if (level === 'FTL' || this.complaint === '') this.complaint = text;
    this.lastLines.push(text);
    if (this.lastLines.length > KEPT_LINES) this.lastLines.shift();
    if (level === 'INF') this.logger.info({}, text);
    else if (level === 'WRN') this.logger.warn({}, text);
    else if (level === 'DBG' || level === 'TRC') this.logger.debug({}, text);
    else this.logger.error({}, text);
  }
}
