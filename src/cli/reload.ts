import { isDeepStrictEqual } from 'node:util';
import { OPTION_NAMES, type OptionName } from '../config/options.js';
import type { ResolvedServe } from '../config/resolve.js';
import type { RootLogger } from '../log/logger.js';
import type { LogLevelSwitch } from './log-level.js';

/** Of the configuration, what is taken over while the process runs. */
const RELOADED: readonly OptionName[] = ['log-level', 'debug'];

/** Reads the configuration again, and takes over what may change while the process runs. */
export class ConfigReload {
  readonly #log: RootLogger;
  readonly #level: LogLevelSwitch;
  /** What the process runs with. */
  readonly #running: ResolvedServe;
  readonly #resolve: () => ResolvedServe;

  constructor(log: RootLogger, level: LogLevelSwitch, running: ResolvedServe, resolve: () => ResolvedServe) {
    this.#log = log;
    this.#level = level;
    this.#running = running;
    this.#resolve = resolve;
  }

  /** What is wrong with the configuration goes to the log, and all stays as it is. */
  run(): void {
    let found: ResolvedServe;
    try {
      found = this.#resolve();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.error({ reason }, 'the configuration is wrong now: nothing of it was taken over');
      return;
    }
    const { level } = found.config.log;
    const tell = (): void => this.#log.info({ logLevel: level }, 'the configuration was read again');
    // By the level that shows more of the two.
    const isTold = this.#log.level === 'debug' || this.#log.level === 'info';
    if (isTold) tell();
    this.#level.set(level);
    if (!isTold) tell();
    const waiting = this.#changed(found);
    if (waiting.length === 0) return;
    this.#log.warn({ options: waiting }, 'changed in the configuration, and without effect before a restart');
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
