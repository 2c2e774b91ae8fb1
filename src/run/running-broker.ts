import type { ServeConfig } from '../config/serve-config.js';
import type { Logger } from '../log/logger.js';

/** Why a broker has stopped. */
export interface StopReason {
  /** Exit code for the process: 0 if the broker was asked to stop. */
  readonly exitCode: number;
  readonly error?: Error;
}

/** A broker in this process. */
export interface RunningBroker {
  /** Resolves when clients can connect; rejects if the broker stops before. */
  readonly ready: Promise<void>;
  /** Resolves when everything is closed, whatever the reason. Never rejects. */
  readonly stopped: Promise<StopReason>;
  /** The NATS servers for clients: those that the broker is attached to, or its own. */
  readonly urls: readonly string[];
  /** Undefined without HTTP. */
  readonly httpUrl: string | undefined;
  /** Reads files again that may change while the broker runs: the certificate of HTTP, and the configuration file of its nats-server. */
  reload(): void;
  /** Stops cleanly. Resolves when everything is closed. */
  stop(): Promise<void>;
}

export interface StartOptions {
  log: Logger;
  /** Gives up the start; after the start, it stops the broker. */
  signal?: AbortSignal | undefined;
}

export type StartBroker = (config: ServeConfig, options: StartOptions) => Promise<RunningBroker>;
