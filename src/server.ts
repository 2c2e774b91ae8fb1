import { randomBytes } from 'node:crypto';
import { Broker } from './broker/broker.js';
import type { ClientPinger } from './broker/context.js';
import type { RunningBroker, StopReason } from './cli/running.js';
import { VERSION } from './cli/version.js';
import { systemClock } from './clock/clock.js';
import { limitsFor, type ServeConfig } from './config/serve-config.js';
import { BrokerNode } from './http/broker-node.js';
import type { HttpServer } from './http/server.js';
import type { Link } from './link/link.js';
import type { Logger } from './log/logger.js';
import { NatsAttachment } from './nats/connection.js';
import { monitoringOf } from './nats/monitoring.js';
import { SupervisedServer } from './nats/server.js';
import { encodePing } from './protocol/messages.js';
import { stanSubjects } from './protocol/subjects.js';
import { openStore } from './store/open.js';
import { newStoreId } from './store/store-id.js';
import type { Store } from './store/types.js';

export type { RunningBroker, StopReason } from './cli/running.js';
export type { ServeConfig } from './config/serve-config.js';

/** How long another broker of the cluster id has to show itself at the start. The Go server's figure. */
const OTHER_BROKER_ANSWER_MS = 250;
/** For the last answers to reach NATS when stopping. */
const LAST_FLUSH_MS = 1_000;

/**
 * Starts a broker in this process: its nats-server if it has one, its store, its place in NATS. With a group it is a member,
 * active or standby.
 *
 * @throws Error saying what is in the way: a port that is taken, a store that is held or damaged, NATS that cannot be reached
 */
export async function startBroker(config: ServeConfig, options: { log: Logger }): Promise<RunningBroker> {
  const { group, store } = config;
  if (group !== undefined && store.kind === 'file') {
    const { startMember } = await import('./group/running-member.js');
    return startMember({ ...config, group, store }, options.log);
  }
  const assembly = new Assembly(config, options.log);
  try {
    await assembly.start();
  } catch (error) {
    await assembly.close();
    throw error;
  }
  return assembly;
}

/** The parts of one broker, started and stopped in order. */
class Assembly implements RunningBroker {
  readonly ready: Promise<void>;
  readonly stopped: Promise<StopReason>;

  readonly #config: ServeConfig;
  readonly #log: Logger;
  readonly #node: BrokerNode;
  #http: HttpServer | undefined;
  #natsServer: SupervisedServer | undefined;
  #attachment: NatsAttachment | undefined;
  #store: Store | undefined;
  #broker: Broker | undefined;
  #hasBeenReady = false;
  #isStopping = false;
  #onReady!: () => void;
  #onNeverReady!: (error: Error) => void;
  #onStopped!: (reason: StopReason) => void;

  constructor(config: ServeConfig, log: Logger) {
    this.#config = config;
    this.#log = log;
    this.#node = new BrokerNode(config, newStoreId(randomBytes), systemClock);
    this.ready = new Promise((resolve, reject) => {
      this.#onReady = resolve;
      this.#onNeverReady = reject;
    });
    this.ready.catch(() => {});
    this.stopped = new Promise((resolve) => {
      this.#onStopped = resolve;
    });
  }

  async start(): Promise<void> {
    const config = this.#config;
    const log = this.#log;
    await this.#startHttp();
    // The store before NATS: who may not have it should not disturb anybody else.
    this.#store = await openStore(config, {
      clock: systemClock,
      log,
      measures: this.#node.measures,
      onLost: (error) => this.#fail(error),
    });
    let nats = config.nats;
    if (config.natsServer !== undefined) {
      this.#natsServer = await SupervisedServer.start({
        config: config.natsServer,
        credentials: config.nats,
        logger: log,
        withMonitoring: config.httpPort !== undefined,
      });
      nats = { ...nats, servers: [this.#natsServer.url] };
    }
    const broker = this.#makeBroker(this.#store);
    this.#broker = broker;
    this.#node.recovered(broker);
    let isChecked = false;
    const attachment = new NatsAttachment({
      config: nats,
      name: `stanchion ${config.nodeName}`,
      version: VERSION,
      handler: broker,
      logger: log,
      waitOnFirstConnect: true,
      onLinkUp: (link) => {
        this.#node.linkUp(attachment.server);
        if (isChecked) void this.#serve(link);
      },
      onLinkDown: (reason) => {
        this.#node.linkDown(reason);
        broker.linkDown();
      },
      onDrain: () => broker.linkDrained(),
    });
    this.#attachment = attachment;
    await attachment.start();
    await this.#refuseSecondBroker();
    isChecked = true;
    if (attachment.link !== undefined) void this.#serve(attachment.link);
  }

  reload(): void {
    this.#http?.reload();
  }

  async stop(): Promise<void> {
    if (!this.#isStopping) {
      this.#log.info({}, 'stopping');
      await this.close();
      this.#log.info({}, 'stopped');
      this.#onStopped({ exitCode: 0 });
    }
    await this.stopped;
  }

  /** Ends what has been started, in reverse. What was said stays true: what is gathered is committed and answered first. */
  async close(): Promise<void> {
    this.#isStopping = true;
    this.#node.stopping();
    this.#broker?.drain();
    await this.#store?.close();
    const link = this.#attachment?.link;
    if (link !== undefined) await Promise.race([link.flush().catch(() => {}), delay(LAST_FLUSH_MS)]);
    this.#broker?.stop();
    await this.#attachment?.close();
    await this.#natsServer?.stop();
    await this.#http?.close();
    if (!this.#hasBeenReady) this.#onNeverReady(new Error('stopped before it was ready'));
  }

  /** First of all, so that whoever watches can tell a long recovery from a hang. */
  async #startHttp(): Promise<void> {
    const config = this.#config;
    const { httpPort, httpAddress, httpTls, httpAccess, metricsMaxChannels } = config;
    if (httpPort === undefined) return;
    // Loaded only where it is asked for.
    const { HttpServer } = await import('./http/server.js');
    this.#http = await HttpServer.start({
      host: httpAddress,
      port: httpPort,
      tls: httpTls,
      access: httpAccess,
      node: this.#node,
      natsMonitoring: () => monitoringOf(config.natsServer, this.#natsServer),
      maxChannelSeries: metricsMaxChannels,
      log: this.#log.child({ component: 'http' }),
      clock: systemClock,
    });
  }

  #makeBroker(store: Store): Broker {
    const config = this.#config;
    const log = this.#log;
    return new Broker({
      options: {
        clusterId: config.clusterId,
        discoverPrefix: config.discoverPrefix,
        heartbeatIntervalMs: config.heartbeatIntervalMs,
        heartbeatTimeoutMs: config.heartbeatTimeoutMs,
        heartbeatFailCount: config.heartbeatFailCount,
        maxChannels: config.maxChannels,
        limitsFor: (channelName) => limitsFor(config, channelName),
        maxPendingBytes: config.maxPendingBytes,
        replaceDurable: config.replaceDurable,
      },
      store,
      clock: systemClock,
      log,
      measures: this.#node.measures,
      pinger: this.#pinger,
      hashSeed: randomBytes(4).readUInt32LE(),
      defer: setImmediate,
      onFailed: (error) => this.#fail(error),
    });
  }

  readonly #pinger: ClientPinger = {
    ping: async (heartbeatInbox, timeoutMs) => {
      try {
        await this.#attachment!.control.request(heartbeatInbox, undefined, { timeout: timeoutMs });
        return true;
      } catch {
        // No answer, nobody listening, or no connection: it has not shown that it is there.
        return false;
      }
    },
  };

  /** Two brokers that answer for one cluster id would both give out sequences. */
  async #refuseSecondBroker(): Promise<void> {
    const { clusterId, discoverPrefix } = this.#config;
    const { pings } = stanSubjects(clusterId, discoverPrefix);
    const nobody = encodePing({ connId: randomBytes(16) });
    const isAnswered = await this.#attachment!.control.request(pings, nobody, {
      timeout: OTHER_BROKER_ANSWER_MS,
    }).then(
      () => true,
      () => false,
    );
    if (isAnswered) {
      throw new Error(
        `another streaming server answers for cluster id "${clusterId}" at ${this.#attachment!.server}: stop it, or choose another --cluster-id`,
      );
    }
  }

  async #serve(link: Link): Promise<void> {
    try {
      await this.#broker!.linkUp(link);
    } catch {
      // The link went down again: the attachment says so, and brings the next one.
      return;
    }
    if (this.#isStopping || this.#attachment?.link !== link) return;
    this.#node.serving();
    const { clusterId, nodeName } = this.#config;
    const { channels, clients, store } = this.#broker!;
    const about = {
      clusterId,
      node: nodeName,
      store: store.kind,
      nats: this.#attachment.server,
      channels: channels.size,
      clients: clients.size,
    };
    if (this.#hasBeenReady) {
      this.#log.info(about, 'serving again');
      return;
    }
    this.#hasBeenReady = true;
    this.#log.info(about, 'Streaming Server is ready');
    this.#onReady();
  }

  #fail(error: Error): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#node.failed(error);
    this.#broker?.stop();
    void this.close()
      .catch((cause: unknown) => this.#log.error({ err: cause }, 'not everything could be closed'))
      .then(() => this.#onStopped({ exitCode: 1, error }));
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
