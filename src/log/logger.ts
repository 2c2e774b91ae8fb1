import { pino } from 'pino';
import type { LogOutput } from './output.js';
import { prettyDestination } from './pretty.js';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ['pretty', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** What an entry is about, as names and values. An error goes under `err`. What each entry has anyway would be there twice. */
export type LogFields = Record<string, unknown> & { level?: never; time?: never; msg?: never };

/** Where the program tells people what it does. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** One that adds these fields to every entry. */
  child(fields: LogFields): Logger;
}

/** The logger at the root: what entries appear can be changed while it runs, for its children too. */
export interface RootLogger extends Logger {
  level: LogLevel;
}

export interface LoggerOptions {
  level: LogLevel;
  format: LogFormat;
  /** Written to at once and in order, so that the last entry before an exit is not lost. */
  output: LogOutput;
  /** Whether an entry starts with the time. */
  withTime?: boolean;
  /** With colours, where the format has any. */
  withColor?: boolean;
}

export function createLogger(options: LoggerOptions): RootLogger {
  const withTime = options.withTime ?? true;
  const destination =
    options.format === 'pretty'
      ? prettyDestination(options.output, options.withColor ?? false)
      : options.output;
  const root = pino(
    {
      // Levels are looked at here: a child of pino keeps the level that it was made with.
      level: 'debug',
      base: null,
      timestamp: withTime && pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  return new LeveledLogger(root, { threshold: LOG_LEVELS.indexOf(options.level) });
}

/** A logger that drops everything: for tests, and where the caller wants silence. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};

/** One for a whole family of loggers. */
interface SharedLevel {
  threshold: number;
}

const DEBUG = LOG_LEVELS.indexOf('debug');
const INFO = LOG_LEVELS.indexOf('info');
const WARN = LOG_LEVELS.indexOf('warn');

class LeveledLogger implements RootLogger {
  readonly #out: pino.Logger;
  readonly #shared: SharedLevel;

  constructor(out: pino.Logger, shared: SharedLevel) {
    this.#out = out;
    this.#shared = shared;
  }

  get level(): LogLevel {
    return LOG_LEVELS[this.#shared.threshold]!;
  }

  set level(level: LogLevel) {
    this.#shared.threshold = LOG_LEVELS.indexOf(level);
  }

  debug(fields: LogFields, message: string): void {
    if (this.#shared.threshold <= DEBUG) this.#out.debug(fields, message);
  }

  info(fields: LogFields, message: string): void {
    if (this.#shared.threshold <= INFO) this.#out.info(fields, message);
  }

  warn(fields: LogFields, message: string): void {
    if (this.#shared.threshold <= WARN) this.#out.warn(fields, message);
  }

  error(fields: LogFields, message: string): void {
    this.#out.error(fields, message);
  }

  child(fields: LogFields): Logger {
    return new LeveledLogger(this.#out.child(fields), this.#shared);
  }
}
