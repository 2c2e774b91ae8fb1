import type { ServeConfig } from '../config/serve-config.js';
import type { Logger } from '../log/logger.js';

/** Why a broker has stopped. */
export interface StopReason {
  /** Of the process: 0 if it was asked to stop. */
  readonly exitCode: number;
  readonly error?: Error;
}

/** A broker in this process. */
export interface RunningBroker {
  /** Resolves when clients can connect; rejects if it stops before. */
  readonly ready: Promise<void>;
  /** Resolves when everything is closed, whatever the reason. Never rejects. */
  readonly stopped: Promise<StopReason>;
  /** NATS servers that it is attached to, or its own: where clients connect. */
  readonly urls: readonly string[];
  /** Undefined: no HTTP. */
  readonly httpUrl: string | undefined;
  /** Reads again what may change while it runs: the certificate of HTTP, and the configuration file of a nats-server of its own. */
  reload(): void;
  /** Closes clients' state and store cleanly. Resolves when that is done. */
  stop(): Promise<void>;
}

export interface StartOptions {
  log: Logger;
  /** Gives the start up, and later asks the broker to stop. */
  signal?: AbortSignal | undefined;
}

export type StartBroker = (config: ServeConfig, options: StartOptions) => Promise<RunningBroker>;
