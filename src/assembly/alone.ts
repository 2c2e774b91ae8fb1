import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Broker } from '../broker/broker.js';
import type { ClientPinger } from '../broker/context.js';
import { VERSION } from '../cli/version.js';
import { systemClock } from '../clock/clock.js';
import type { ServeConfig } from '../config/serve-config.js';
import { BrokerNode } from '../http/broker-node.js';
import type { Link } from '../link/link.js';
import type { Logger } from '../log/logger.js';
import { NatsAttachment } from '../nats/connection.js';
import { encodePing } from '../protocol/messages.js';
import { stanSubjects } from '../protocol/subjects.js';
import { openStore } from '../store/open.js';
import { newStoreId } from '../store/store-id.js';
import type { Store } from '../store/types.js';
import { Assembly, brokerOptions } from './assembly.js';

/** How long another broker of the cluster id has to show itself at the start. The Go server's figure. */
const OTHER_BROKER_ANSWER_MS = 250;
/** For the last answers to reach NATS when stopping. */
const LAST_FLUSH_MS = 1_000;

/** A broker without a group, which has its store for itself. */
export class BrokerAlone extends Assembly<BrokerNode> {
  #attachment: NatsAttachment | undefined;
  #store: Store | undefined;
  #broker: Broker | undefined;
  #hasBeenReady = false;

  constructor(config: ServeConfig, log: Logger) {
    super(config, log, new BrokerNode(config, newStoreId(randomBytes), systemClock));
  }

  protected async startParts(signal: AbortSignal): Promise<void> {
    const { config, log, node } = this;
    await this.startHttp();
    // The store before NATS: who may not have it should not disturb anybody else.
    this.#store = await openStore(config, {
      clock: systemClock,
      log,
      measures: node.measures,
      onLost: (error) => this.fail(error),
      signal,
    });
    signal.throwIfAborted();
    const nats = await this.startNatsServer(signal);
    signal.throwIfAborted();
    const broker = this.#makeBroker(this.#store);
    this.#broker = broker;
    node.recovered(broker);
    let isChecked = false;
    const attachment = new NatsAttachment({
      config: nats,
      name: `stanchion ${config.nodeName}`,
      version: VERSION,
      handler: broker,
      logger: log,
      waitOnFirstConnect: true,
      onLinkUp: (link) => {
        node.linkUp(attachment.server);
        if (isChecked) void this.#serve(link);
      },
      onLinkDown: (reason) => {
        node.linkDown(reason);
        broker.linkDown();
      },
      onDrain: () => broker.linkDrained(),
    });
    this.#attachment = attachment;
    await attachment.start(signal);
    signal.throwIfAborted();
    await this.#refuseSecondBroker();
    signal.throwIfAborted();
    isChecked = true;
    if (attachment.link !== undefined) void this.#serve(attachment.link);
  }

  /** What is gathered is committed and answered first. */
  protected async closeParts(): Promise<void> {
    this.node.stopping();
    this.#broker?.drain();
    try {
      await this.#store?.close();
      const link = this.#attachment?.link;
      if (link !== undefined) {
        const inTime = delay(LAST_FLUSH_MS, undefined, { ref: false });
        await Promise.race([link.flush().catch(() => {}), inTime]);
      }
    } finally {
      this.#broker?.stop();
      await this.#attachment?.close();
    }
  }

  protected override fail(error: Error): void {
    if (!this.isStopping) this.#broker?.stop();
    super.fail(error);
  }

  #makeBroker(store: Store): Broker {
    return new Broker({
      options: brokerOptions(this.config),
      store,
      clock: systemClock,
      log: this.log,
      measures: this.node.measures,
      pinger: this.#pinger,
      hashSeed: randomBytes(4).readUInt32LE(),
      defer: setImmediate,
      onFailed: (error) => this.fail(error),
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
    const { clusterId, discoverPrefix } = this.config;
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
    if (this.isStopping || this.#attachment?.link !== link) return;
    this.node.serving();
    const { clusterId, nodeName } = this.config;
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
      this.log.info(about, 'serving again');
      return;
    }
    this.#hasBeenReady = true;
    this.log.info(about, 'Streaming Server is ready');
    this.onReady();
  }
}
