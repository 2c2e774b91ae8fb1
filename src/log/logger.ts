// The logger, on top of pino.

import { pino } from 'pino';
import { withoutSecrets } from '../util/secrets.js';
import { withSourcePlaces } from '../util/source-places.js';
import { LOG_LEVELS, type LogFormat, type LogLevel } from './levels.js';
import type { LogOutput } from './output.js';

/** The fields of an entry. An error goes under `err`. The names that each entry has anyway are excluded. */
export type LogFields = Record<string, unknown> & { level?: never; time?: never; msg?: never };

/** Writes log entries. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A logger that adds these fields to every entry. */
  child(fields: LogFields): Logger;
}

/** The root of a family of loggers. Its level can be changed at any time, and holds for its children too. */
export interface RootLogger extends Logger {
  level: LogLevel;
}

export interface LoggerOptions {
  level: LogLevel;
  format: LogFormat;
  /** Receives entries synchronously, so that the last entry before an exit is not lost. */
  output: LogOutput;
  /** Whether an entry starts with the time. */
  withTime?: boolean;
  /** Whether the format `pretty` has colours. */
  withColor?: boolean;
}

export async function createLogger(options: LoggerOptions): Promise<RootLogger> {
  const withTime = options.withTime ?? true;
  const output = await outputOf(options);
  const destination: LogOutput = { write: (line) => output.write(clearedLine(line)) };
  const root = pino(
    {
      // LeveledLogger checks the level, since a child of pino keeps the level with which it was made.
      level: 'debug',
      base: null,
      timestamp: withTime && pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  return new LeveledLogger(root, { threshold: LOG_LEVELS.indexOf(options.level) });
}

async function outputOf({ format, output, withColor = false }: LoggerOptions): Promise<LogOutput> {
  if (format === 'json') return output;
  // A log for programs needs no formatter.
  const { prettyDestination } = await import('./pretty.js');
  return prettyDestination(output, withColor);
}

/** What JSON leaves as it is, though a terminal obeys it or shows it in another direction. (It escapes other control characters.) */
const UNSAFE_IN_JSON = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** An entry in JSON without secrets, wherever they came from, safe to look at, and with the places in the sources. */
function clearedLine(line: string): string {
  // A secret of digits may be a part of a number, which stays.
  const shown =
    withoutSecrets(line) === line ? line : `${JSON.stringify(JSON.parse(line, withoutSecretsIn))}\n`;
  return withSourcePlaces(shown).replace(
    UNSAFE_IN_JSON,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function withoutSecretsIn(_name: string, value: unknown): unknown {
  return typeof value === 'string' ? withoutSecrets(value) : value;
}

/** A logger that drops everything. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};

/** The level that a family of loggers shares. */
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
    return LOG_LEVELS[this.#shared.threshold];
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
