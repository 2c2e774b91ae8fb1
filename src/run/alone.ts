import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Broker } from '../broker/broker.js';
import { Probe } from '../broker/check/probe.js';
import { SelfCheck } from '../broker/check/self-check.js';
import type { ClientPinger } from '../broker/handlers/client-pinger.js';
import { ackSubject } from '../broker/served-subjects.js';
import { systemClock } from '../clock/clock.js';
import type { ServeConfig } from '../config/serve-config.js';
import type { Logger } from '../log/logger.js';
import { NatsAttachment } from '../nats/attachment.js';
import type { MovingLink } from '../nats/moving-link.js';
import { stanSubjects } from '../protocol/stan-subjects.js';
import type { Store } from '../store/types/store.js';
import { newStoreId } from '../store/types/store-id.js';
import { must } from '../util/assert.js';
import { VERSION } from '../version.js';
import { Assembly, brokerOptions } from './assembly.js';
import { BrokerNode } from './broker-node.js';
import { openStore } from './open-store.js';
import { isAnswered } from './other-broker.js';
import { machineTimes } from './rehearsal/pace.js';
import type { Rehearsal } from './rehearsal/rehearsal.js';
import { orStoreGone } from './store-gone.js';

/** After 10 ms of work, while no client is there to wait for it. */
const REHEARSAL_PAUSE_MS = 2;
/** How long the last answers may take to reach NATS at a stop. */
const LAST_FLUSH_MS = 1_000;

/** A lone broker, which has its store for itself. */
export class BrokerAlone extends Assembly<BrokerNode> {
  #attachment: NatsAttachment | undefined;
  #store: Store | undefined;
  #broker: Broker | undefined;
  #selfCheck: SelfCheck | undefined;
  /** The link that has all subscriptions of the broker. */
  #subscribedLink: MovingLink | undefined;
  readonly #startTimes = machineTimes();
  #rehearsal: Rehearsal | undefined;
  #isServing = false;
  #hasBeenReady = false;

  constructor(config: ServeConfig, log: Logger) {
    super(config, log, new BrokerNode(config, newStoreId(randomBytes), systemClock));
  }

  protected async startParts(signal: AbortSignal): Promise<void> {
    const { config, log, node } = this;
    await this.startHttp();
    // The store comes before NATS: a broker that cannot have the store must not disturb another one.
    this.#store = await openStore(config, {
      clock: this.clock,
      log,
      measures: node.measures,
      onLost: (error) => this.fail(error),
      signal,
    });
    signal.throwIfAborted();
    const nats = await this.startNatsServer(signal);
    signal.throwIfAborted();
    const probe = new Probe(randomBytes);
    const broker = this.#makeBroker(this.#store, probe);
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
        if (isChecked) this.#serve(link).catch(this.broken);
      },
      onLinkDown: (reason) => {
        this.#isServing = false;
        node.linkDown(reason);
        broker.linkDown();
      },
      onDrain: () => broker.linkDrained(),
      onBroken: this.broken,
      clock: this.clock,
      onRefused: (refusal) => {
        node.refused(refusal);
        this.#selfCheck?.refused(refusal);
      },
    });
    this.#attachment = attachment;
    const selfCheck = this.#makeSelfCheck(attachment, broker, probe);
    this.#selfCheck = selfCheck;
    node.askProblem = () => selfCheck.problem;
    await attachment.start(signal);
    signal.throwIfAborted();
    await selfCheck.start();
    signal.throwIfAborted();
    await this.#refuseSecondBroker();
    signal.throwIfAborted();
    isChecked = true;
    if (attachment.link !== undefined) this.#serve(attachment.link).catch(this.broken);
  }

  /** Commits and answers what is gathered, then closes. */
  protected async closeParts(): Promise<void> {
    this.#rehearsal?.release();
    this.node.stopping();
    this.#selfCheck?.stop();
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

  #makeSelfCheck(attachment: NatsAttachment, broker: Broker, probe: Probe): SelfCheck {
    const { clusterId, discoverPrefix } = this.config;
    return new SelfCheck({
      clock: this.clock,
      log: this.log,
      connections: {
        get control() {
          return attachment.isConnected ? attachment.control : undefined;
        },
        get link() {
          return attachment.link;
        },
        get server() {
          return attachment.server;
        },
        renewLink: (why) => attachment.renewLink(why),
        renewControl: (why) => void attachment.renewControl(why),
        doubtServer: () => void attachment.doubtServer().catch(this.broken),
      },
      clusterId,
      subjects: stanSubjects(clusterId, discoverPrefix),
      probe,
      ackSubject: () => ackSubject(broker.store.storeId),
      serving: () => (attachment.link === this.#subscribedLink ? broker : undefined),
      onChanged: () => this.#announceServing(),
      onBroken: this.broken,
    });
  }

  #makeBroker(store: Store, probe: Probe): Broker {
    return new Broker({
      options: brokerOptions(this.config),
      store,
      clock: systemClock,
      log: this.log,
      measures: this.node.measures,
      pinger: this.#pinger,
      probe,
      hashSeed: randomBytes(4).readUInt32LE(),
      random: randomBytes,
      defer: setImmediate,
      onFailed: (error) => this.fail(orStoreGone(this.#dir, error)),
    });
  }

  readonly #pinger: ClientPinger = {
    ping: async (heartbeatInbox, timeoutMs) => {
      try {
        await this.#attached.control.request(heartbeatInbox, undefined, { timeout: timeoutMs });
        return true;
      } catch {
        // Without an answer, a responder or a connection, the client has not shown that it lives.
        return false;
      }
    },
  };

  get #attached(): NatsAttachment {
    return must(this.#attachment, 'clients are served through a transport');
  }

  get #dir(): string | undefined {
    const { store } = this.config;
    return store.kind === 'file' ? store.dir : undefined;
  }

  get #served(): Broker {
    return must(this.#broker, 'a link is served by a broker');
  }

  /** Refuses to start beside another broker of the cluster id: both would assign sequences. */
  async #refuseSecondBroker(): Promise<void> {
    const { clusterId, discoverPrefix } = this.config;
    const { control, server } = this.#attached;
    if (await isAnswered(control, stanSubjects(clusterId, discoverPrefix))) {
      throw new Error(
        `another streaming server answers for cluster id "${clusterId}" at ${server}: stop it, or choose another --cluster-id`,
      );
    }
  }

  async #serve(link: MovingLink): Promise<void> {
    try {
      await this.#served.linkUp(link);
    } catch {
      // The link went down again: the attachment reports it, and makes the next one.
      return;
    }
    if (this.#attachment?.link !== link) return;
    this.#subscribedLink = link;
    this.#announceServing();
  }

  /** Warms the code of the hot path until clients send something. */
  async #rehearse(): Promise<void> {
    // The code is loaded when the broker is ready: the start does not wait for it.
    const { Rehearsal } = await import('./rehearsal/rehearsal.js');
    if (this.isStopping) return;
    const { counters } = this.#served;
    const rehearsal = new Rehearsal({
      kind: this.config.store.kind,
      broker: brokerOptions(this.config),
      pauseMs: REHEARSAL_PAUSE_MS,
      isIdle: () => {
        const isUsed = counters.messagesIn > 0 || counters.messagesOut > 0;
        if (isUsed) rehearsal.release();
        return !isUsed;
      },
      onFailed: this.rehearsalFailed,
      since: this.#startTimes,
    });
    this.#rehearsal = rehearsal;
    rehearsal.start();
  }

  /** Announces that clients can connect, unless NATS refuses what clients need: then `SelfCheck` reports why. */
  #announceServing(): void {
    const link = this.#attachment?.link;
    if (link === undefined || link !== this.#subscribedLink) return;
    if (this.#isServing || this.isStopping || this.#selfCheck?.problem?.isOwn === true) return;
    this.#isServing = true;
    this.node.serving();
    const { clusterId, nodeName } = this.config;
    const { channels, clients, store } = this.#served;
    const about = {
      clusterId,
      node: nodeName,
      store: store.kind,
      nats: this.#attachment?.server,
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
    this.#rehearse().catch(this.rehearsalFailed);
  }
}
