// The start, the stop and the failure of a broker in a process, and the parts beside it: HTTP and a nats-server.

import type { BrokerOptions } from '../broker/handlers/broker-options.js';
import { systemClock } from '../clock/clock.js';
import { guardedClock } from '../clock/guarded-clock.js';
import { limitsFor, type ServeConfig } from '../config/serve-config.js';
import type { HttpServer } from '../http/http-server.js';
import type { Logger } from '../log/logger.js';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import { monitoringOf } from '../nats/monitoring.js';
import type { SupervisedServer } from '../nats/supervised-server.js';
import { bugOf, isBug } from '../util/bug.js';
import type { RunningBroker, StopReason } from './running-broker.js';

/** The common part of a lone broker and a member of a group. */
export abstract class Assembly<Node extends MonitoredNode & { failed(error: Error): void }>
  implements RunningBroker
{
  readonly ready: Promise<void>;
  readonly stopped: Promise<StopReason>;
  protected readonly config: ServeConfig;
  protected readonly log: Logger;
  protected readonly node: Node;
  protected http: HttpServer | undefined;
  protected natsServer: SupervisedServer | undefined;
  protected isStopping = false;
  protected onReady!: () => void;
  /** An exception that nothing expects, in what stands around the broker: without that it cannot go on. */
  protected readonly broken = (thrown: unknown): void => {
    const bug = bugOf(thrown);
    this.log.error({ err: bug }, 'a bug: something around the broker has failed, and stops it');
    this.fail(bug);
  };
  /** A rehearsal shares no state with the broker, which goes on. */
  protected readonly rehearsalFailed = (thrown: unknown): void => {
    const message =
      'a bug: the rehearsal has failed. All else goes on; the first messages are slower than they could be';
    this.log.error({ err: bugOf(thrown) }, message);
  };
  /** The clock of the machine, for what stands around the broker. */
  protected readonly clock = guardedClock(systemClock, this.broken);
  readonly #starting = new AbortController();
  #isStarted = false;
  /** It came to light while it was stopping. */
  #bug: Error | undefined;
  #onNeverReady!: (error: Error) => void;
  #onStopped!: (reason: StopReason) => void;

  protected constructor(config: ServeConfig, log: Logger, node: Node) {
    this.config = config;
    this.log = log;
    this.node = node;
    this.ready = new Promise((resolve, reject) => {
      this.onReady = resolve;
      this.#onNeverReady = reject;
    });
    this.ready.catch(() => {});
    this.stopped = new Promise((resolve) => {
      this.#onStopped = resolve;
    });
  }

  /**
   * Starts the parts, in order. After an error, `closeParts` closes those that were started.
   *
   * @param signal gives up the start: it waits for nothing more, and closes what it has begun
   */
  protected abstract startParts(signal: AbortSignal): Promise<void>;

  /** Closes the parts that were started, in reverse order, so that all answers remain true. */
  protected abstract closeParts(): Promise<void>;

  /**
   * @param signal gives up the start; after the start, it stops the broker
   * @throws the error of the start, or the signal's reason, after everything is closed again
   */
  async start(signal?: AbortSignal): Promise<this> {
    const giveUp = (): void => this.#giveUp(signal?.reason);
    const given = this.#starting.signal;
    signal?.addEventListener('abort', giveUp);
    try {
      if (signal?.aborted) giveUp();
      given.throwIfAborted();
      await this.startParts(given);
      given.throwIfAborted();
    } catch (error) {
      // When a start is given up, its parts fail with all kinds of errors.
      const why: unknown = given.aborted ? given.reason : error;
      await this.#closeAll();
      throw why;
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
    this.#isStarted = true;
    if (signal !== undefined) this.#stopOn(signal);
    return this;
  }

  get urls(): readonly string[] {
    return this.natsServer === undefined ? this.config.nats.servers : [this.natsServer.url];
  }

  get httpUrl(): string | undefined {
    return this.http?.url;
  }

  reload(): void {
    this.http?.reload();
    this.natsServer?.reload();
  }

  async stop(): Promise<void> {
    if (!this.isStopping) {
      this.log.info({}, 'stopping');
      try {
        await this.#close();
      } catch (cause) {
        const error = cause instanceof Error ? cause : new Error(String(cause));
        this.#onStopped({ exitCode: 1, error });
        throw error;
      }
      this.log.info({}, 'stopped');
      this.#onStopped(this.#bug === undefined ? { exitCode: 0 } : { exitCode: 1, error: this.#bug });
    }
    await this.stopped;
  }

  protected fail(error: Error): void {
    if (this.isStopping) {
      // Answers that were due at the end may be missing.
      if (isBug(error)) this.#bug ??= error;
      return;
    }
    this.node.failed(error);
    if (this.#isStarted) void this.#closeAll().then(() => this.#onStopped({ exitCode: 1, error }));
    else this.#giveUp(error);
  }

  /** Gives up the start. `start` then closes the parts: one that is just starting cannot be closed yet. */
  #giveUp(reason: unknown): void {
    this.isStopping = true;
    this.#starting.abort(reason);
  }

  #stopOn(signal: AbortSignal): void {
    // `stopped` has the error too.
    const stop = (): void => void this.stop().catch(() => {});
    signal.addEventListener('abort', stop);
    // One signal may outlive many brokers.
    void this.stopped.then(() => signal.removeEventListener('abort', stop));
  }

  /** Starts HTTP. Call it first, so that probes can distinguish a long recovery from a hang. */
  protected async startHttp(): Promise<void> {
    const { config } = this;
    const { httpPort, httpAddress, httpAllowedHosts, httpTls, httpAccess, metricsMaxChannels } = config;
    if (httpPort === undefined) return;
    // The code for HTTP is loaded only if it is needed.
    const { HttpServer } = await import('../http/http-server.js');
    this.http = await HttpServer.start({
      host: httpAddress,
      allowedHosts: httpAllowedHosts,
      port: httpPort,
      tls: httpTls,
      access: httpAccess,
      node: this.node,
      natsMonitoring: () => monitoringOf(config.natsServer, this.natsServer),
      maxChannelSeries: metricsMaxChannels,
      log: this.log.child({ component: 'http' }),
      clock: systemClock,
    });
  }

  /** Starts the nats-server, if the configuration has one. @returns how to connect to NATS */
  protected async startNatsServer(signal: AbortSignal): Promise<ServeConfig['nats']> {
    const { natsServer, nats, httpPort } = this.config;
    if (natsServer === undefined) return nats;
    const { SupervisedServer } = await import('../nats/supervised-server.js');
    signal.throwIfAborted();
    this.natsServer = await SupervisedServer.start({
      config: natsServer,
      credentials: nats,
      logger: this.log,
      withMonitoring: httpPort !== undefined,
      signal,
    });
    return { ...nats, servers: [this.natsServer.url] };
  }

  async #closeAll(): Promise<void> {
    await this.#close().catch((cause: unknown) =>
      this.log.error({ err: cause }, 'not everything could be closed'),
    );
  }

  async #close(): Promise<void> {
    this.isStopping = true;
    try {
      await this.closeParts();
    } finally {
      await this.natsServer?.stop();
      await this.http?.close();
      // This has no effect if the broker was ready.
      this.#onNeverReady(new Error('stopped before it was ready'));
    }
  }
}

export function brokerOptions(config: ServeConfig): BrokerOptions {
  return {
    clusterId: config.clusterId,
    discoverPrefix: config.discoverPrefix,
    heartbeatIntervalMs: config.heartbeatIntervalMs,
    heartbeatTimeoutMs: config.heartbeatTimeoutMs,
    heartbeatFailCount: config.heartbeatFailCount,
    maxChannels: config.maxChannels,
    limitsFor: (channelName) => limitsFor(config, channelName),
    maxPendingBytes: config.maxPendingBytes,
    replaceDurable: config.replaceDurable,
  };
}
