import { z } from 'zod';
import { addSecret } from '../../util/secrets.js';
import { SourceError } from '../types/source-error.js';

const sequence = z.int().min(0);

const subscription = z.object({
  client_id: z.string().default(''),
  durable_name: z.string().default(''),
  queue_name: z.string().default(''),
  is_durable: z.boolean().default(false),
  is_offline: z.boolean().default(false),
  max_inflight: z.int().min(0).default(0),
  ack_wait: z.int().min(0).default(0),
  last_sent: sequence,
  pending_count: z.int().min(0),
});

const channel = z.object({
  name: z.string(),
  msgs: z.int().min(0),
  bytes: z.int().min(0).default(0),
  first_seq: sequence,
  last_seq: sequence,
  subscriptions: z.array(subscription).default([]),
});

const channels = z.object({
  total: z.int().min(0),
  count: z.int().min(0),
  channels: z.array(channel).default([]),
});

export type MonitoredSubscription = z.infer<typeof subscription>;
export type MonitoredChannel = z.infer<typeof channel>;

const TIMEOUT_MS = 30_000;
/** Channels in one answer. */
const PAGE = 256;

/** The monitoring pages of a STAN server: `/streaming/serverz` and `/streaming/channelsz`. */
export class Monitor {
  /** Without user and password. */
  readonly #base: string;
  readonly #headers: Record<string, string> = {};
  readonly #signal: AbortSignal;

  /** @param url of its HTTP port, as http://host:8222; with user and password, if it asks for them */
  constructor(url: string, signal: AbortSignal) {
    const parsed = new URL(url);
    const { username, password } = parsed;
    if (username !== '') {
      addSecret(decodeURIComponent(password));
      const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
      this.#headers.authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
    }
    parsed.username = parsed.password = '';
    this.#base = parsed.href.replace(/\/+$/, '').replace(/\/streaming$/, '');
    this.#signal = signal;
  }

  async clusterId(): Promise<string> {
    const answer = await this.#get('/streaming/serverz', z.object({ cluster_id: z.string().min(1) }));
    return answer.cluster_id;
  }

  /** All channels with their subscriptions, in the order of their names. */
  async channels(): Promise<MonitoredChannel[]> {
    const found = new Map<string, MonitoredChannel>();
    for (let offset = 0; ; ) {
      const page = await this.#get(`/streaming/channelsz?subs=1&offset=${offset}&limit=${PAGE}`, channels);
      for (const each of page.channels) found.set(each.name, each);
      offset += page.channels.length;
      if (page.channels.length === 0 || offset >= page.total) break;
    }
    return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** One channel with its subscriptions; undefined if there is none of that name. */
  async channel(name: string): Promise<MonitoredChannel | undefined> {
    return await this.#get(`/streaming/channelsz?subs=1&channel=${encodeURIComponent(name)}`, channel, true);
  }

  async #get<T>(path: string, schema: z.ZodType<T>, mayBeMissing: true): Promise<T | undefined>;
  async #get<T>(path: string, schema: z.ZodType<T>): Promise<T>;
  async #get<T>(path: string, schema: z.ZodType<T>, mayBeMissing = false): Promise<T | undefined> {
    const url = `${this.#base}${path}`;
    try {
      const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(TIMEOUT_MS)]);
      const response = await fetch(url, { signal, headers: this.#headers });
      if (response.status === 404 && mayBeMissing) return undefined;
      if (!response.ok) throw new Error(`it answers with status ${response.status}`);
      return schema.parse(await response.json());
    } catch (error) {
      this.#signal.throwIfAborted();
      throw new SourceError(
        'connection',
        `The monitoring page ${url} cannot be read: ${reasonOf(error)}. --monitor is the URL of the old server's HTTP port (-m), as http://old:8222`,
        { cause: error },
      );
    }
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof z.ZodError) return 'it is not that of a NATS Streaming server';
  const { message, cause } = error as Error;
  return cause instanceof Error ? cause.message : message;
}
