// The real Go NATS Streaming server, where there is one.

import { execFileSync } from 'node:child_process';
import { Child } from './child.js';
import { freePort } from './free-ports.js';
import { waitFor } from './wait.js';

/** The binary, or why there is none. */
export function findGoServer(): { binary: string } | { skipped: string } {
  for (const binary of [process.env.GO_SERVER, 'nats-streaming-server']) {
    if (binary === undefined || binary === '') continue;
    try {
      execFileSync(binary, ['--version'], { stdio: 'ignore' });
      return { binary };
    } catch (error) {
      if (binary === process.env.GO_SERVER)
        throw new Error(`the Go server that GO_SERVER names does not run: ${(error as Error).message}`);
    }
  }
  return {
    skipped: 'no Go server: name its binary by GO_SERVER, or have go, by which `npm test` builds it',
  };
}

/** What `/streaming/channelsz?subs=1` says of a subscription. */
export interface SaidSubscription {
  client_id: string;
  inbox: string;
  ack_inbox: string;
  durable_name?: string;
  queue_name?: string;
  is_durable: boolean;
  is_offline: boolean;
  max_inflight: number;
  ack_wait: number;
  last_sent: number;
  pending_count: number;
}

export interface SaidChannel {
  name: string;
  msgs: number;
  bytes: number;
  first_seq: number;
  last_seq: number;
  subscriptions?: SaidSubscription[];
}

export interface SaidClient {
  id: string;
  hb_inbox: string;
}

/** What a running Go server says of its channels and clients. */
export interface GoServerWords {
  channels: SaidChannel[];
  clients: SaidClient[];
}

/** The second is what version 0.3.8 writes last. */
const READY = /Streaming Server is ready|Age {10}.*\n.*-{30}/;

/** A Go server with a file store, and a NATS server of its own inside unless it is attached to one. */
export class GoServer {
  readonly url: string;
  readonly #binary: string;
  readonly #args: readonly string[];
  readonly #monitorPort: number;
  #child: Child | undefined;

  private constructor(binary: string, url: string, monitorPort: number, args: readonly string[]) {
    this.url = url;
    this.#binary = binary;
    this.#monitorPort = monitorPort;
    this.#args = args;
  }

  /**
   * @param args beside ports and the folder of the store
   * @param natsUrl a NATS server to attach to
   */
  static async start(
    binary: string,
    dir: string,
    args: readonly string[],
    natsUrl?: string,
  ): Promise<GoServer> {
    const port = await freePort();
    const monitorPort = await freePort();
    const own = natsUrl === undefined ? ['-a', '127.0.0.1', '-p', `${port}`] : ['-ns', natsUrl];
    const url = natsUrl ?? `nats://127.0.0.1:${port}`;
    const store = ['-m', `${monitorPort}`, '-st', 'file', '--dir', dir];
    const server = new GoServer(binary, url, monitorPort, [...own, ...store, ...args]);
    await server.start();
    return server;
  }

  get monitorUrl(): string {
    return `http://127.0.0.1:${this.#monitorPort}`;
  }

  async start(): Promise<void> {
    const child = new Child(this.#binary, this.#args);
    this.#child = child;
    await waitFor(
      () => {
        if (child.hasExited) throw new Error(`the Go server ended:\n${child.output}`);
        return READY.test(child.output);
      },
      () => `the Go server is ready; it said:\n${child.output}`,
    );
  }

  async words(): Promise<GoServerWords> {
    const { channels } = await this.#get<{ channels?: SaidChannel[] }>('channelsz?subs=1&limit=1000');
    const { clients } = await this.#get<{ clients?: SaidClient[] }>('clientsz?limit=1000');
    return { channels: channels ?? [], clients: clients ?? [] };
  }

  async #get<T>(path: string): Promise<T> {
    const response = await fetch(`http://127.0.0.1:${this.#monitorPort}/streaming/${path}`);
    return (await response.json()) as T;
  }

  /** Ends it at once, as a power cut would. */
  kill(): Promise<unknown> {
    return this.#child?.end('SIGKILL') ?? Promise.resolve();
  }

  stop(): Promise<unknown> {
    return this.#child?.end('SIGTERM') ?? Promise.resolve();
  }

  async destroy(): Promise<void> {
    await this.#child?.destroy();
  }
}
