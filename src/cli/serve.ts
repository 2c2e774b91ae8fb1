import { isatty } from 'node:tty';
import { type ResolvedServe, resolveServe } from '../config/resolve.js';
import type { LogConfig } from '../config/serve-config.js';
import { createLogger, type RootLogger } from '../log/logger.js';
import { descriptorOutput, fileOutput, type LogFile } from '../log/output.js';
import type { RunningBroker, StartBroker } from '../run/running-broker.js';
import { configFileReader } from './config-file-reader.js';
import { errorText } from './error-text.js';
import { LogLevelSwitch } from './log-level.js';
import { writePidFile } from './pid-file.js';
import { ConfigReload } from './reload.js';
import { onDebugSignal, onReloadSignal, onRotateSignal, onStopSignal } from './signals.js';

const STDIN = 0;
const STDOUT = 1;
/** How long a start that is given up may take to clean up. */
const STOP_WHILE_STARTING_MS = 1_000;

/**
 * Runs one broker until it is asked to stop, or cannot go on.
 *
 * @param argv the arguments after `serve`
 * @returns the exit code
 * @throws ConfigError, and Error if the log cannot be written
 */
export async function serve(argv: readonly string[], startBroker: StartBroker): Promise<number> {
  const readFile = await configFileReader(argv);
  const resolve = (): ResolvedServe => resolveServe(argv, process.env, readFile);
  const running = resolve();
  const { config } = running;
  const logFile = openLogFile(config.log);
  const log = await openLog(config.log, logFile);
  endOnUncaught(log);
  const level = new LogLevelSwitch(log);
  onDebugSignal(level);
  onRotateSignal(log, logFile);
  let broker: RunningBroker | undefined;
  const configReload = new ConfigReload(log, level, running, resolve);
  onReloadSignal(log, isatty(STDIN), () => {
    configReload.run();
    broker?.reload();
  });
  const stopAsked = new Promise<void>((resolve) => onStopSignal(log, resolve));
  for (const warning of config.warnings) log.warn({}, warning);

  const startGivenUp = new AbortController();
  void stopAsked.then(() => startGivenUp.abort());
  const neverReady = 'stopped before it was ready';
  try {
    if (config.pidFile !== undefined) writePidFile(config.pidFile);
    const starting = startBroker(config, { log, signal: startGivenUp.signal });
    broker = await Promise.race([starting, stopAsked.then(() => delay(STOP_WHILE_STARTING_MS))]);
    if (broker === undefined) {
      // A file system may hang for ever, and nothing has been acknowledged yet.
      starting.catch(() => {});
      log.info({}, neverReady);
      return 0;
    }
    // `stopped` has the reason too.
    broker.ready.catch(() => {});
    const { stopped } = broker;
    void stopAsked.then(() => broker?.stop());
    const reason = await stopped;
    if (reason.error) logError(log, reason.error);
    return reason.exitCode;
  } catch (error) {
    if (error === startGivenUp.signal.reason) {
      log.info({}, neverReady);
      return 0;
    }
    logError(log, error);
    return 1;
  }
}

function delay(ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), ms);
  });
}

function openLogFile({ file }: LogConfig): LogFile | undefined {
  if (file === undefined) return undefined;
  try {
    return fileOutput(file);
  } catch (error) {
    throw new Error(`--log-file: cannot write ${file}: ${error instanceof Error ? error.message : error}`);
  }
}

function openLog(config: LogConfig, file: LogFile | undefined): Promise<RootLogger> {
  const { level, withTime } = config;
  const onTerminal = file === undefined && isatty(STDOUT);
  const format = config.format ?? (onTerminal ? 'pretty' : 'json');
  const output = file ?? descriptorOutput(STDOUT);
  return createLogger({ level, format, output, withTime, withColor: onTerminal && !process.env.NO_COLOR });
}

/** Logs one line that says what is wrong; with debug messages on, the stack too. */
function logError(log: RootLogger, error: unknown): void {
  log.error(log.level === 'debug' ? { err: error } : {}, errorText(error));
}

function endOnUncaught(log: RootLogger): void {
  const end = (error: unknown): void => {
    log.error({ err: error }, 'A bug: an unhandled error. Please report it with these lines');
    process.exit(1);
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
}
