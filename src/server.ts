import { type BrokerOptions, embeddedConfig } from './config/embedded.js';
import type { LogConfig } from './config/serve-config.js';
import { createLogger, type Logger, silentLogger } from './log/logger.js';
import { descriptorOutput, fileOutput } from './log/output.js';
import type { RunningBroker } from './run/running-broker.js';
import { startBroker as start } from './run/start.js';

export type { BrokerOptions, ChannelOptions } from './config/embedded.js';
export type { LogFields, Logger } from './log/logger.js';
export type { RunningBroker, StopReason } from './run/running-broker.js';

const STDOUT = 1;

/**
 * Starts a broker in this process, for tests and for programs that have one inside. It resolves when clients can connect; a member of
 * a group, when it serves or watches. It waits for NATS as long as that takes, or until `signal` gives it up. A signal that comes later
 * stops the broker, as `stop` does.
 *
 * Nothing is logged unless `log`, `logLevel`, `logFormat` or `logFile` is given. Neither the environment nor signals are looked at.
 *
 * @throws Error saying what is in the way: an option that cannot be, a port that is taken, a store that is held or damaged. The reason of
 *   the signal, once everything is closed again
 */
export async function startBroker(options: BrokerOptions = {}): Promise<RunningBroker> {
  const config = await embeddedConfig(options);
  const log = options.log ?? loggerOf(options, config.log);
  for (const warning of config.warnings) log.warn({}, warning);
  const { signal } = options;
  const broker = await start(config, { log, signal });
  const stopped = broker.stopped.then(({ error }) => {
    if (error === undefined) signal?.throwIfAborted();
    throw error ?? new Error('the broker was stopped before it was ready');
  });
  // Which says why, where `ready` says only that it will not be.
  await Promise.race([broker.ready.catch(() => stopped), stopped]);
  return broker;
}

function loggerOf({ logLevel, logFormat, logFile }: BrokerOptions, config: LogConfig): Logger {
  if (logLevel === undefined && logFormat === undefined && logFile === undefined) return silentLogger;
  const { level, format = 'json', file, withTime } = config;
  return createLogger({
    level,
    format,
    output: file === undefined ? descriptorOutput(STDOUT) : fileOutput(file),
    withTime,
  });
}
