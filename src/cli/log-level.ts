import type { LogLevel, RootLogger } from '../log/logger.js';

/** What is logged, as it is chosen while the process runs. */
export class LogLevelSwitch {
  readonly #log: RootLogger;
  /** Without the debug messages that somebody turned on. */
  #usual: LogLevel;

  constructor(log: RootLogger) {
    this.#log = log;
    this.#usual = usualFor(log.level);
  }

  /** Debug messages on, or off again. */
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
