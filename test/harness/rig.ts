import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before } from 'node:test';
import type { StanOptions } from 'node-nats-streaming';
import { Broker, type BrokerSettings, isOtherServer, type StoreKind } from './broker.js';
import { NatsServer } from './nats-server.js';
import { RawClient } from './raw-client.js';
import { StanClient } from './stan-client.js';

export { isOtherServer };

/** Both stores: everything but surviving a restart is the same. */
export const STORES: readonly StoreKind[] = ['memory', 'file'];

export interface RigOptions {
  store: StoreKind;
  flags?: readonly string[];
  /** Lines of a configuration for nats-server. */
  natsConfig?: string;
  /** Without it the tests start brokers themselves. */
  broker?: false;
  /** Clients are gone after all tests, not after each: for tests that run at the same time. */
  keepClients?: true;
}

/**
 * A nats-server and a broker for the tests of one `describe`, and clients that are gone after each test. Channels and
 * clients have names of their own in each test, so that the tests share a broker.
 */
export class Rig {
  readonly store: StoreKind;
  #nats: NatsServer | undefined;
  #broker: Broker | undefined;
  readonly #brokers: Broker[] = [];
  readonly #folders: string[] = [];
  #clients: (StanClient | RawClient)[] = [];
  readonly #options: RigOptions;
  #names = 0;

  constructor(options: RigOptions) {
    this.#options = options;
    this.store = options.store;
    before(() => this.#setUp());
    if (!options.keepClients) afterEach(() => this.#dropClients());
    after(() => this.#tearDown());
  }

  get nats(): NatsServer {
    return this.#nats!;
  }

  get broker(): Broker {
    return this.#broker!;
  }

  /** A name that no other test uses. */
  name(kind: string): string {
    return `${kind}-${++this.#names}`;
  }

  folder(): string {
    const folder = mkdtempSync(join(tmpdir(), 'stanchion-test-'));
    this.#folders.push(folder);
    return folder;
  }

  /** The settings of a broker of its own in this rig: another cluster id, another folder. */
  settings(changes: Partial<BrokerSettings> = {}): BrokerSettings {
    const settings: BrokerSettings = {
      natsUrl: this.nats.url,
      clusterId: this.name('cluster'),
      store: this.store,
      flags: this.#options.flags ?? [],
      ...changes,
    };
    if (settings.store === 'file' && settings.dir === undefined) settings.dir = join(this.folder(), 'data');
    return settings;
  }

  /** One more broker, gone after the tests. */
  async startBroker(changes: Partial<BrokerSettings> = {}): Promise<Broker> {
    const broker = await Broker.start(this.settings(changes));
    this.#brokers.push(broker);
    return broker;
  }

  /** node-nats-streaming, connected. */
  async connect(
    clientId = this.name('client'),
    options: StanOptions & { broker?: Broker } = {},
  ): Promise<StanClient> {
    const { broker = this.broker, ...rest } = options;
    const client = await StanClient.connect(broker.settings.natsUrl, broker.clusterId, clientId, rest);
    this.#clients.push(client);
    return client;
  }

  /** A raw client, connected to NATS and not yet to the broker. */
  async raw(broker = this.broker): Promise<RawClient> {
    const client = await RawClient.open(broker.settings.natsUrl, broker.clusterId);
    this.#clients.push(client);
    return client;
  }

  async #setUp(): Promise<void> {
    const { natsConfig } = this.#options;
    this.#nats = await NatsServer.start(
      natsConfig === undefined ? {} : { config: natsConfig, dir: this.folder() },
    );
    if (this.#options.broker !== false) this.#broker = await this.startBroker();
  }

  async #dropClients(): Promise<void> {
    const clients = this.#clients;
    this.#clients = [];
    for (const client of clients) await client.drop();
  }

  async #tearDown(): Promise<void> {
    await this.#dropClients();
    for (const broker of this.#brokers) await broker.destroy();
    await this.#nats?.stop();
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true });
  }
}
