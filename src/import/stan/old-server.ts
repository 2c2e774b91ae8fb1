import { StanError } from '../../client/client-errors.js';
import { connect } from '../../client/connect.js';
import type { ConnectOptions } from '../../client/connect-options.js';
import type { StanConnection } from '../../client/stan-connection.js';
import { must } from '../../util/assert.js';
import type { SourceChannel, SourceProblem, SourceSubscription } from '../types/source.js';
import { SourceError } from '../types/source-error.js';
import { ChannelPatterns } from './channel-patterns.js';
import { offline } from './durable.js';
import { Monitor } from './monitor.js';
import { Positions } from './positions.js';

export interface OldServerOptions {
  /** For people, without secrets. */
  name: string;
  connect: ConnectOptions;
  /** URL of the old server's HTTP port; undefined if it has none. */
  monitorUrl: string | undefined;
  /** Channel names and patterns; all channels if there are none. */
  channels: readonly string[];
  /** Gives up. */
  signal: AbortSignal;
  /** Something for people to know at once: that the connection is lost, or back. */
  onNote(text: string): void;
}

/** A channel whose bounds and subscriptions show when its messages have been read. */
export interface StanChannel extends SourceChannel {
  lastSequence: number;
  messages: number;
  subscriptions: SourceSubscription[];
  /** How many of its messages may be on their way, by their size. */
  maxInFlight: number;
}

/** A running STAN server, as an import sees it: a connection, and its monitoring. */
export class OldServer {
  readonly name: string;
  readonly problems: SourceProblem[] = [];
  readonly #options: OldServerOptions;
  readonly #monitor: Monitor | undefined;
  readonly #positions: Positions;
  readonly #patterns: ChannelPatterns;
  #connection: StanConnection | undefined;
  /** Without the monitoring they are looked up once. */
  #named: StanChannel[] | undefined;

  constructor(options: OldServerOptions) {
    const { name, connect: connectOptions, monitorUrl, signal } = options;
    this.name = name;
    this.#options = options;
    this.#monitor = monitorUrl === undefined ? undefined : new Monitor(monitorUrl, signal);
    this.#positions = new Positions(connectOptions, signal);
    this.#patterns = new ChannelPatterns(options.channels);
  }

  get clusterId(): string {
    return this.#options.connect.clusterId;
  }

  get connection(): StanConnection {
    return must(this.#connection, 'a source is opened before it is read');
  }

  /** @throws SourceError if there is no answer, or a refusal */
  async open(): Promise<void> {
    try {
      this.#connection = await connect({ ...this.#options.connect, resume: true });
    } catch (error) {
      if (!(error instanceof StanError)) throw error;
      throw new SourceError('connection', error.message, { cause: error });
    }
    void this.#report(this.#connection);
    if (this.#monitor === undefined)
      this.#note(
        'without --monitor URL the positions of durables are not known: in the new store they begin as new ones',
      );
  }

  async close(): Promise<void> {
    await this.#connection?.close().catch(() => {});
  }

  /** The channels that are wanted, as they are now. @throws SourceError if one that was named is not there */
  async channels(): Promise<StanChannel[]> {
    const patterns = this.#patterns;
    const monitor = this.#monitor;
    if (this.#named !== undefined) return this.#named;
    if (monitor === undefined) {
      const [wildcard] = patterns.wildcards;
      if (wildcard !== undefined || patterns.names.length === 0) {
        const what = wildcard === undefined ? 'All channels' : `Channels by the pattern ${wildcard}`;
        throw new SourceError(
          'unsupported',
          `${what} can be found by the monitoring alone: give --monitor http://OLD:8222, or --channels with names`,
        );
      }
      const channels: StanChannel[] = [];
      for (const name of [...patterns.names].sort())
        channels.push(channelOf(name, 1, await this.newest(name)));
      this.#named = channels;
      return channels;
    }
    const all = await monitor.channels();
    const missing = patterns.names.find((name) => !all.some((channel) => channel.name === name));
    if (missing !== undefined) throw new SourceError('not-found', `${this.name} has no channel ${missing}`);
    const wanted =
      this.#options.channels.length === 0 ? all : all.filter((channel) => patterns.matches(channel.name));
    for (const channel of wanted) this.#positions.seen(channel);
    return wanted.map(({ name, msgs, bytes, first_seq, last_seq }) => ({
      ...channelOf(name, msgs === 0 ? last_seq + 1 : first_seq, last_seq),
      messages: msgs,
      maxInFlight: inFlightOf(msgs, bytes),
    }));
  }

  /** The sequence of the newest message of a channel; 0 if there never was one, as far as is known. */
  async newest(channel: string): Promise<number> {
    if (this.#monitor !== undefined) return (await this.#monitor.channel(channel))?.last_seq ?? 0;
    return await newestOf(this.connection, channel, this.#options.signal);
  }

  /** Whether a channel has a message behind this one, as far as the server says. */
  async hasMore(channel: string, after: number): Promise<boolean> {
    if (this.#monitor === undefined) return (await this.newest(channel)) > after;
    const now = await this.#monitor.channel(channel);
    return now !== undefined && now.msgs > 0 && now.last_seq > after;
  }

  /** Adds the positions of a channel's durables, which have come so far while its messages were read. */
  async addPositions(channel: StanChannel): Promise<void> {
    const now = await this.#monitor?.channel(channel.name);
    if (this.#monitor === undefined || now === undefined) return;
    const { lastSequence } = channel;
    for (const { durable, position, note } of await this.#positions.of(now, this.#monitor)) {
      channel.subscriptions.push(offline(durable, position, lastSequence));
      this.#note(note.text);
    }
    const newer = now.last_seq - lastSequence;
    if (newer <= 0) return;
    this.problems.push({
      ...{ isLoss: true, where: this.name },
      text: `channel ${channel.name}: ${newer} messages have come behind ${lastSequence} since, and are not in the new store. Stop the publishers and import again, or use --follow`,
    });
  }

  #note(text: string): void {
    this.problems.push({ isLoss: false, where: this.name, text });
  }

  async #report(connection: StanConnection): Promise<void> {
    const { onNote } = this.#options;
    for await (const status of connection.status()) {
      if (status.type === 'disconnect')
        onNote(`the connection to ${this.name} is lost: trying again until it is back`);
      else if (status.type === 'reconnect') onNote(`the connection to ${this.name} is back`);
      else if (status.type === 'connectionLost') onNote(status.error.message);
      else if (status.type === 'resumed') onNote(`${this.name} knows this client again`);
    }
  }
}

/** What is on its way lies in the memory of the NATS server, which drops a client that is too far behind, or of the import. */
const IN_FLIGHT_BYTES = 16 * 1024 * 1024;

/** Where the size of messages is not known. */
const MAX_UNKNOWN_IN_FLIGHT = 1_024;

function inFlightOf(messages: number, bytes: number): number {
  if (messages === 0 || bytes === 0) return MAX_UNKNOWN_IN_FLIGHT;
  return Math.max(1, Math.floor((IN_FLIGHT_BYTES * messages) / bytes));
}

function channelOf(name: string, firstSequence: number, lastSequence: number): StanChannel {
  return {
    ...{ name, firstSequence, lastSequence, messages: lastSequence - firstSequence + 1 },
    ...{ subscriptions: [], maxInFlight: MAX_UNKNOWN_IN_FLIGHT },
  };
}

/** How long the newest message may take; a channel without messages has none. */
const NEWEST_MS = 3_000;

/** The sequence of the newest message of a channel; 0 if there is none. */
async function newestOf(connection: StanConnection, channel: string, signal: AbortSignal): Promise<number> {
  const subscription = await connection.subscribe(channel, {
    startAt: 'last',
    manualAck: true,
    maxInFlight: 1,
  });
  try {
    const messages = subscription[Symbol.asyncIterator]();
    const timeout = AbortSignal.any([signal, AbortSignal.timeout(NEWEST_MS)]);
    const newest = await new Promise<number>((resolve, reject) => {
      timeout.addEventListener('abort', () => resolve(0), { once: true });
      messages.next().then(({ value }) => resolve(value?.sequence ?? 0), reject);
    });
    signal.throwIfAborted();
    return newest;
  } finally {
    await subscription.close().catch(() => {});
  }
}
