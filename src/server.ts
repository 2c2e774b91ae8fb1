// A broker inside another program, `import { startBroker } from 'stanchion/server'`.

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
 * Starts a broker in this process, for tests and for embedding. It resolves when clients can connect, or, with a group, when the
 * member is active or standby. It waits for NATS without a limit, or until `signal` aborts. After the start, an abort stops the broker,
 * as `stop` does.
 *
 * It logs nothing unless `log`, `logLevel`, `logFormat` or `logFile` is given. It reads neither the environment nor signals.
 *
 * @throws ConfigError on an invalid option; Error saying what is in the way: a taken port, a store that is held or damaged; the signal's
 *   reason, after everything is closed again
 */
export async function startBroker(options: BrokerOptions = {}): Promise<RunningBroker> {
  const config = await embeddedConfig(options);
  const log = options.log ?? (await loggerOf(options, config.log));
  for (const warning of config.warnings) log.warn({}, warning);
  const { signal } = options;
  const broker = await start(config, { log, signal });
  const stopped = broker.stopped.then(({ error }) => {
    if (error === undefined) signal?.throwIfAborted();
    throw error ?? new Error('the broker was stopped before it was ready');
  });
  // `stopped` says why the broker has stopped; `ready` only rejects.
  await Promise.race([broker.ready.catch(() => stopped), stopped]);
  return broker;
}

async function loggerOf({ logLevel, logFormat, logFile }: BrokerOptions, config: LogConfig): Promise<Logger> {
  if (logLevel === undefined && logFormat === undefined && logFile === undefined) return silentLogger;
  const { level, format = 'json', file, withTime } = config;
  return await createLogger({
    level,
    format,
    output: file === undefined ? descriptorOutput(STDOUT) : fileOutput(file),
    withTime,
  });
}
