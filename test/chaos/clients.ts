import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type StanConnection } from '../../src/index.js';
import { StanClient } from '../harness/stan-client.js';
import type { Story } from './chaos-log.js';
import { CLUSTER_ID } from './host.js';

const TRIES = 60;
const RETRY_MS = 300;
const REQUEST_MS = 4_000;
/** Clients find out so soon that a nats-server has fallen silent. */
const NATS_PING_MS = 1_000;
const NATS_PINGS = 2;
/** No run is so long: whether the broker is there is the probe's business. */
const PING_MS = 20_000;
const PINGS = 30;

/** Clients of a run, which are told nothing of faults. */
export class Clients {
  readonly #story: Story;
  readonly #field: StanClient[] = [];
  readonly #own: StanConnection[] = [];
  #isEnding = false;

  constructor(story: Story) {
    this.#story = story;
  }

  /** A client of this project's library. */
  async own(clientId: string, servers: readonly string[], ackTimeout: number): Promise<StanConnection> {
    const connection = await this.again(`client ${clientId} connects`, () =>
      connect({
        clusterId: CLUSTER_ID,
        clientId,
        servers: [...servers],
        connectTimeout: REQUEST_MS,
        ackTimeout,
        pingInterval: PING_MS,
        pingMaxOut: PINGS,
        natsPingInterval: NATS_PING_MS,
        natsMaxPingOut: NATS_PINGS,
      }),
    );
    this.#own.push(connection);
    void connection.closed().then((error) => {
      if (!this.#isEnding && error !== undefined)
        this.#story.violate(`client ${clientId} has lost its connection: ${error.message}`);
    });
    return connection;
  }

  /** A node-nats-streaming as it comes from npm. */
  async field(clientId: string, servers: readonly string[], ackTimeout: number): Promise<StanClient> {
    const client = await this.again(`client ${clientId} connects`, () =>
      StanClient.connect(servers[0]!, CLUSTER_ID, clientId, {
        servers: [...servers],
        connectTimeout: REQUEST_MS,
        ackTimeout,
        maxReconnectAttempts: -1,
        stanPingInterval: PING_MS,
        stanMaxPingOut: PINGS,
        pingInterval: NATS_PING_MS,
        maxPingOut: NATS_PINGS,
      }),
    );
    this.#field.push(client);
    return client;
  }

  /** For requests, which are not kept through a takeover. */
  async again<T>(what: string, action: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await action();
      } catch (error) {
        if (tries === TRIES) throw new Error(`${what}: ${(error as Error).message}`);
        this.#story.tell(`${what}, and fails: ${(error as Error).message}`);
        await sleep(RETRY_MS);
      }
    }
  }

  check(): void {
    for (const { clientId, lost } of this.#field)
      if (lost !== undefined) this.#story.violate(`client ${clientId} has lost its connection: ${lost}`);
  }

  end(): void {
    this.#isEnding = true;
    for (const client of this.#field) client.drop();
  }
}
