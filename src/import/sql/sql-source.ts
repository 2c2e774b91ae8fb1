import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, systemClock } from '../../clock/clock.js';
import { isChannelNameStringValid } from '../../protocol/stan-subjects.js';
import type { LogLimits } from '../../store/types/store.js';
import { MessageOpener } from '../go-state/message-opener.js';
import { ProblemList } from '../go-state/problem-list.js';
import { subjectsOf } from '../go-state/server-subjects.js';
import { recoveredSubscriptions, type StoredSubscription } from '../go-state/subscription-fate.js';
import { GoWireError } from '../go-wire/field-reader.js';
import {
  decodeGoClient,
  decodeGoServerInfo,
  decodeGoSubscription,
  type GoClient,
} from '../go-wire/go-records.js';
import { StoredMessage } from '../go-wire/stored-message.js';
import type {
  HiddenMessages,
  ImportSource,
  MessageSink,
  SourceChannel,
  SourceProblem,
  SourceState,
} from '../types/source.js';
import { SourceError } from '../types/source-error.js';
import type { Database } from './database.js';
import { openDatabase, shownDatabaseUrl } from './database-url.js';
import { proveKey } from './key-proof.js';
import { messageFloor } from './message-floor.js';
import { type ChannelRow, type MessageBounds, SqlTables, type SubscriptionRow } from './sql-tables.js';

/** Rows whose sizes are asked for in one query. */
const PAGE_ROWS = 5_000;
/** Messages that are read by one query, unless the first one is larger. */
const PAGE_BYTES = 4 * 1024 * 1024;
/** An active server of a fault-tolerant group raises its lock once a second. */
const LOCK_WATCH_MS = 2_500;
const NO_MESSAGES_HIDDEN: HiddenMessages = { byMaxMessages: 0, byMaxBytes: 0, byMaxAge: 0 };

export interface SqlSourceOptions {
  /** `postgres://` or `mysql://`. */
  readonly url: string;
  /** Limits that the old server is to have had, where they are not those that its tables name; undefined: those of the tables. */
  readonly limits?: ((channel: string) => LogLimits) | undefined;
  /** The old server's `encryption_key`. */
  readonly key?: Buffer | undefined;
  /** Whether what is damaged is left out and noted. Else it ends the import. */
  readonly isLenient: boolean;
  /** For the age of messages. */
  readonly clock?: Pick<Clock, 'wallNs'> | undefined;
}

/** A channel, and where its messages lie. */
interface OpenChannel {
  readonly id: number;
  readonly first: number;
  readonly last: number;
}

/** The tables of a stopped Go NATS Streaming server. They are read in one transaction that cannot write. */
export class SqlSource implements ImportSource {
  readonly name: string;
  readonly #options: SqlSourceOptions;
  readonly #problems: ProblemList;
  readonly #channels = new Map<string, OpenChannel>();
  readonly #message = new StoredMessage();
  #database: Database | undefined;

  constructor(options: SqlSourceOptions) {
    this.name = shownDatabaseUrl(options.url);
    this.#options = options;
    this.#problems = new ProblemList(options.isLenient);
  }

  get problems(): readonly SourceProblem[] {
    return this.#problems.all;
  }

  async open(): Promise<SourceState> {
    const database = await openDatabase(this.#options.url);
    this.#database = database;
    const tables = new SqlTables(database);
    const server = await tables.server();
    await this.#requireStopped(database, tables);
    const info = this.#decode('ServerInfo', server.proto, decodeGoServerInfo);
    if (info !== undefined && info.clusterId !== server.clusterId)
      this.#damaged(
        'ServerInfo',
        `the row says cluster id ${server.clusterId}, and the record in it ${info.clusterId}`,
      );
    const clients = await this.#clients(tables);
    const channels: SourceChannel[] = [];
    const rows = await tables.channels();
    for (const row of rows.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (isChannelNameStringValid(row.name)) channels.push(await this.#openChannel(tables, row, clients));
      else this.#damaged('Channels', `${JSON.stringify(row.name)} is not the name of a channel`);
    }
    return {
      clusterId: server.clusterId,
      subjects: info === undefined ? undefined : subjectsOf(info),
      clients: [...clients.values()],
      channels,
    };
  }

  async read(channel: SourceChannel, sink: MessageSink): Promise<void> {
    const open = this.#channels.get(channel.name);
    if (open === undefined || this.#database === undefined)
      throw new SourceError('not-found', `${this.name} has no channel ${channel.name}`);
    const tables = new SqlTables(this.#database);
    const opener = new MessageOpener(channel.name, this.#options.key, this.#problems);
    for (let next = open.first; next <= open.last; ) {
      const rows = await tables.from(open.id, next, PAGE_ROWS);
      if (rows.length === 0) return;
      let until = 0;
      for (let bytes = 0, i = 0; i < rows.length && (i === 0 || bytes + rows[i].bytes <= PAGE_BYTES); i++) {
        bytes += rows[i].bytes;
        until = rows[i].sequence;
      }
      for (const { sequence, proto } of await tables.messages(open.id, next, until)) {
        this.#give(channel.name, sequence, proto, sink, opener);
        if (!sink.isFull && !opener.isFull) continue;
        await sink.drain();
        opener.release();
      }
      await sink.drain();
      opener.release();
      next = until + 1;
    }
  }

  async close(): Promise<void> {
    await this.#database?.close();
    this.#database = undefined;
  }

  #give(channel: string, sequence: number, proto: Buffer, sink: MessageSink, opener: MessageOpener): void {
    const message = this.#message;
    if (!message.decode(proto, 0, proto.length) || message.sequence !== sequence) {
      this.#damaged('Messages', `message ${sequence} of ${channel} is not the message of this sequence`);
      return;
    }
    if (message.isPlain && !opener.isNeeded(proto, message))
      sink.message(proto, 0, proto.length, sequence, message.timestampMs);
    else if (opener.open(proto, message, this.#place('Messages')))
      sink.message(opener.buffer, opener.start, opener.end, sequence, message.timestampMs);
  }

  /** @throws SourceError if the lock of a fault-tolerant group is raised: a server runs that has it */
  async #requireStopped(database: Database, tables: SqlTables): Promise<void> {
    const before = await tables.lock();
    if (before === undefined) return;
    await sleep(LOCK_WATCH_MS);
    await database.refresh();
    if ((await tables.lock()) === before) return;
    throw new SourceError(
      'in-use',
      `A server uses ${this.name}: it raises the lock in StoreLock. Stop all servers of the group before the import`,
    );
  }

  async #clients(tables: SqlTables): Promise<Map<string, GoClient>> {
    const clients = new Map<string, GoClient>();
    for (const { id, heartbeatInbox, proto } of await tables.clients()) {
      const decoded =
        proto.length === 0
          ? { ...OLD_CLIENT, clientId: id, heartbeatInbox }
          : this.#decode('Clients', proto, decodeGoClient);
      if (decoded !== undefined) clients.set(decoded.clientId, decoded);
    }
    return clients;
  }

  async #openChannel(
    tables: SqlTables,
    row: ChannelRow,
    clients: ReadonlyMap<string, GoClient>,
  ): Promise<SourceChannel> {
    const bounds = await tables.bounds(row.id);
    const stored = await this.#subscriptions(tables, row);
    const { first, hidden } = await this.#firstMessage(tables, row, bounds);
    await proveKey(tables, row, first, this.#options.key, this.name);
    const subscriptions = recoveredSubscriptions(
      stored,
      (id) => clients.has(id),
      this.#place('Subscriptions'),
      this.#problems,
    );
    const lastSequence = Math.max(row.maxSequence, bounds.last, ...stored.map(({ state }) => state.lastSent));
    const lost = lastSequence - Math.max(bounds.last, row.maxSequence);
    if (lost > 0)
      this.#problems.lost(
        this.#place('Messages'),
        `the last ${lost} messages up to ${lastSequence} of ${row.name} have been delivered, and are not in the table: new ones begin at ${lastSequence + 1}`,
      );
    this.#channels.set(row.name, { id: row.id, first, last: bounds.last });
    const messages = bounds.count - hidden.byMaxMessages - hidden.byMaxBytes - hidden.byMaxAge;
    const firstSequence = messages === 0 ? lastSequence + 1 : first;
    return { name: row.name, firstSequence, lastSequence, messages, hidden, subscriptions };
  }

  async #firstMessage(
    tables: SqlTables,
    row: ChannelRow,
    bounds: MessageBounds,
  ): Promise<{ first: number; hidden: HiddenMessages }> {
    if (bounds.count === 0) return { first: bounds.last + 1, hidden: NO_MESSAGES_HIDDEN };
    const nowNs = (this.#options.clock ?? systemClock).wallNs();
    const limits = this.#options.limits?.(row.name) ?? {
      maxMessages: row.maxMessages,
      maxBytes: row.maxBytes,
      maxAgeMs: Number(row.maxAgeNs / 1_000_000n),
    };
    return await messageFloor(tables, row, bounds, limits, nowNs);
  }

  async #subscriptions(tables: SqlTables, row: ChannelRow): Promise<StoredSubscription[]> {
    const stored: StoredSubscription[] = [];
    for (const subscription of await tables.subscriptions(row.id)) {
      const one = this.#subscription(row, subscription);
      if (one !== undefined) stored.push(one);
    }
    return stored;
  }

  #subscription(
    row: ChannelRow,
    { id, lastSent, proto, pending }: SubscriptionRow,
  ): StoredSubscription | undefined {
    if (proto.length === 0) {
      this.#damaged('Subscriptions', `subscription ${id} of ${row.name} has no record`);
      return undefined;
    }
    const state = this.#decode('Subscriptions', proto, decodeGoSubscription);
    if (state === undefined) return undefined;
    state.lastSent = Math.max(state.lastSent, lastSent);
    return { state, pending };
  }

  #decode<T>(
    table: string,
    proto: Buffer,
    decode: (buffer: Buffer, start: number, end: number) => T,
  ): T | undefined {
    try {
      return decode(proto, 0, proto.length);
    } catch (error) {
      if (!(error instanceof GoWireError)) throw error;
      this.#damaged(table, error.message);
      return undefined;
    }
  }

  #damaged(table: string, text: string): void {
    this.#problems.damaged(this.#place(table), text);
  }

  #place(table: string): { where: string } {
    return { where: `${this.name}, table ${table}` };
  }
}

/** What a row without a record stands for: a client that knows no pings. */
const OLD_CLIENT = { connId: new Uint8Array(0), protocol: 0, pingIntervalSeconds: 0, pingMaxOut: 0 };
