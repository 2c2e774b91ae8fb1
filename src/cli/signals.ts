import type { RootLogger } from '../log/logger.js';

const SECOND_SIGNAL_EXIT_CODE = 1;

/**
 * SIGTERM and SIGINT ask to stop, the second one ends the process at once.
 *
 * @param stop called once
 */
export function onStopSignal(log: RootLogger, stop: () => void): void {
  let isStopping = false;
  const handle = (signal: NodeJS.Signals): void => {
    if (isStopping) {
      log.warn({ signal }, 'asked to stop a second time: ending at once');
      process.exit(SECOND_SIGNAL_EXIT_CODE);
    }
    isStopping = true;
    log.info({ signal }, 'asked to stop');
    stop();
  };
  process.on('SIGTERM', handle);
  process.on('SIGINT', handle);
}

/** SIGUSR2 turns debug messages on, and off again. */
export function onDebugSignal(log: RootLogger): void {
  const usual = log.level === 'debug' ? 'info' : log.level;
  process.on('SIGUSR2', () => {
    log.level = log.level === 'debug' ? usual : 'debug';
    log.info({ level: log.level }, 'log level changed');
  });
}
