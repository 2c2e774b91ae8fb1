import type { LogLevel } from '../log/levels.js';
import type { RootLogger } from '../log/logger.js';

/** Changes the log level of a running process. */
export class LogLevelSwitch {
  readonly #log: RootLogger;
  /** The level to go back to when debug messages are turned off. */
  #usual: LogLevel;

  constructor(log: RootLogger) {
    this.#log = log;
    this.#usual = usualFor(log.level);
  }

  /** Turns debug messages on, or off again. */
  toggleDebug(): void {
    const log = this.#log;
    log.level = log.level === 'debug' ? this.#usual : 'debug';
    log.info({ logLevel: log.level }, 'log level changed');
  }

  set(level: LogLevel): void {
    this.#log.level = level;
    this.#usual = usualFor(level);
  }
}

function usualFor(level: LogLevel): LogLevel {
  return level === 'debug' ? 'info' : level;
}
