import type { Logger, RootLogger } from '../log/logger.js';
import type { LogFile } from '../log/output.js';
import type { LogLevelSwitch } from './log-level.js';

/** Exit code of an interrupted program, as shells have it. */
export const INTERRUPTED = 130;
const SECOND_SIGNAL_EXIT_CODE = 1;

/** Where the signals that stop a program are logged. */
export type SignalLog = Pick<Logger, 'info' | 'warn'>;

/**
 * Calls `stop` at the first SIGTERM or SIGINT. The second one ends the process at once.
 */
export function onStopSignal(log: SignalLog, stop: () => void): void {
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
export function onDebugSignal(level: LogLevelSwitch): void {
  process.on('SIGUSR2', () => level.toggleDebug());
}

/**
 * SIGUSR1 reopens the log file after rotation has renamed it, as in the Go server. It is handled without a log file too: by
 * default Node answers SIGUSR1 with a debugger on a port, with which anyone on the machine can run code in the broker.
 */
export function onRotateSignal(log: RootLogger, file: LogFile | undefined): void {
  process.on('SIGUSR1', (signal) => {
    if (file === undefined) {
      log.info({ signal }, 'there is no log file to reopen');
      return;
    }
    try {
      file.reopen();
      log.info({ signal }, 'the log file was reopened');
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.error({ signal, reason }, 'the log file cannot be reopened: the log goes on in the old file');
    }
  });
}

/**
 * SIGHUP calls `reload`. A process that was started on a terminal ends instead, as with SIGTERM: there SIGHUP means that the
 * terminal is gone.
 */
export function onReloadSignal(log: RootLogger, isOnTerminal: boolean, reload: () => void): void {
  process.on('SIGHUP', (signal) => {
    if (isOnTerminal) {
      process.kill(process.pid, 'SIGTERM');
      return;
    }
    log.info({ signal }, 'asked to read files again');
    reload();
  });
}
