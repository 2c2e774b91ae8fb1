import { isDeepStrictEqual } from 'node:util';
import { OPTION_NAMES, type OptionName } from '../config/options.js';
import type { ResolvedServe } from '../config/resolve.js';
import type { RootLogger } from '../log/logger.js';
import type { LogLevelSwitch } from './log-level.js';

/** The options that may change while the process runs. */
const RELOADED: readonly OptionName[] = ['log-level', 'debug'];

/** Reads the configuration again, and applies the options that may change while the process runs. */
export class ConfigReload {
  readonly #log: RootLogger;
  readonly #level: LogLevelSwitch;
  /** The configuration at the start of the process. */
  readonly #running: ResolvedServe;
  readonly #resolve: () => ResolvedServe;

  constructor(log: RootLogger, level: LogLevelSwitch, running: ResolvedServe, resolve: () => ResolvedServe) {
    this.#log = log;
    this.#level = level;
    this.#running = running;
    this.#resolve = resolve;
  }

  /** An error in the configuration is logged, and nothing changes. */
  run(): void {
    let found: ResolvedServe;
    try {
      found = this.#resolve();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.error({ reason }, 'the configuration has an error: nothing of it was applied');
      return;
    }
    const { level } = found.config.log;
    const logReload = (): void => this.#log.info({ logLevel: level }, 'the configuration was read again');
    // The line is written under the old level or the new one, whichever shows it.
    const isShown = this.#log.level === 'debug' || this.#log.level === 'info';
    if (isShown) logReload();
    this.#level.set(level);
    if (!isShown) logReload();
    const waiting = this.#changed(found);
    if (waiting.length === 0) return;
    this.#log.warn({ options: waiting }, 'these options changed; they take effect after a restart');
  }

  #changed({ options, channels }: ResolvedServe): string[] {
    const running = this.#running;
    const changed: string[] = OPTION_NAMES.filter(
      (name) => !RELOADED.includes(name) && !isDeepStrictEqual(options[name], running.options[name]),
    );
    if (!isDeepStrictEqual(channels, running.channels)) changed.push('channels');
    return changed;
  }
}
