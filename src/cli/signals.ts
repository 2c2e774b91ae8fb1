import type { RootLogger } from '../log/logger.js';
import type { LogFile } from '../log/output.js';
import type { LogLevelSwitch } from './log-level.js';

/** Exit code, as a shell has it for a program that was interrupted. */
export const INTERRUPTED = 130;
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
export function onDebugSignal(level: LogLevelSwitch): void {
  process.on('SIGUSR2', () => level.toggleDebug());
}

/**
 * SIGUSR1 opens the log file anew, as in the Go server: rotation has renamed the one in use. Without a file it is taken all the
 * same. Left alone, Node answers it with a debugger on a port, which lets anybody on the machine run code in the broker.
 */
export function onRotateSignal(log: RootLogger, file: LogFile | undefined): void {
  process.on('SIGUSR1', (signal) => {
    if (file === undefined) {
      log.info({ signal }, 'the log is not in a file: nothing to open anew');
      return;
    }
    try {
      file.reopen();
      log.info({ signal }, 'the log file was opened anew');
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.error({ signal, reason }, 'the log file cannot be opened anew: the log goes on in the file before');
    }
  });
}

/**
 * SIGHUP asks to read files again. On a terminal it says that the terminal is gone: it ends the process then, as SIGTERM does.
 *
 * @param isOnTerminal whether there is a terminal to lose
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
