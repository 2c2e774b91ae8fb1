import { SourceError } from '../types/source-error.js';
import {
  bigintOf,
  bytesOf,
  type Database,
  numberOf,
  type SqlRow,
  type SqlValue,
  textOf,
} from './database.js';

/** The version of the tables, which has never been another one. */
const KNOWN_VERSION = 1;

/** A row of ServerInfo. */
export interface ServerRow {
  clusterId: string;
  /** A ServerInfo. */
  proto: Buffer;
}

/** A row of Clients. */
export interface ClientRow {
  id: string;
  heartbeatInbox: string;
  /** A ClientInfo; empty if the row is older than release 0.10.0 of the Go server. */
  proto: Buffer;
}

/** A row of Channels. */
export interface ChannelRow {
  id: number;
  name: string;
  /** The newest sequence that there ever was, as far as the table knows: it is kept up only when messages go. */
  maxSequence: number;
  /** The limits that the server had when it ran last. 0 is unlimited. */
  maxMessages: number;
  maxBytes: number;
  maxAgeNs: bigint;
}

/** A row of Subscriptions, with its rows of SubsPending. */
export interface SubscriptionRow {
  /** Unique among all channels. */
  id: number;
  lastSent: number;
  /** A SubState; empty if there is none. */
  proto: Buffer;
  /** Delivered and not acknowledged. */
  pending: Set<number>;
}

/** What is left of a channel's messages. */
export interface MessageBounds {
  count: number;
  /** 0 if there is none. */
  first: number;
  /** 0 if there is none. */
  last: number;
}

/** A row of Messages without its data. */
export interface MessageRow {
  sequence: number;
  bytes: number;
}

/** The tables of the Go server's SQL store: see its `scripts/postgres.db.sql` and `mysql.db.sql`. */
export class SqlTables {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** @throws SourceError if there are no such tables, or if they are of a version that is not known */
  async server(): Promise<ServerRow> {
    const { name } = this.#database;
    let rows: SqlRow[];
    try {
      rows = await this.#database.query('SELECT id, proto, version FROM ServerInfo WHERE uniquerow=1');
    } catch (error) {
      const hint = 'Are the tables of a NATS Streaming server in this database?';
      throw new SourceError('not-found', `${(error as Error).message}. ${hint}`, { cause: error });
    }
    const [row] = rows;
    if (row === undefined)
      throw new SourceError(
        'not-found',
        `${name} has the tables of a NATS Streaming server that never ran on them`,
      );
    const version = this.#read('ServerInfo', row[2], numberOf);
    if (version !== KNOWN_VERSION)
      throw new SourceError(
        'unsupported',
        `${name} has tables of version ${version}: known is ${KNOWN_VERSION}`,
      );
    return {
      clusterId: this.#read('ServerInfo', row[0], textOf),
      proto: this.#read('ServerInfo', row[1], bytesOf),
    };
  }

  /** The owner and the count of a fault-tolerant group's lock, which its active server raises once a second; undefined if it is free. */
  async lock(): Promise<string | undefined> {
    const [row] = await this.#database.query('SELECT id, tick FROM StoreLock');
    if (row === undefined) return undefined;
    const owner = this.#read('StoreLock', row[0], textOf);
    return owner === '' ? undefined : `${owner} ${this.#read('StoreLock', row[1], bigintOf)}`;
  }

  async clients(): Promise<ClientRow[]> {
    const rows = await this.#database.query('SELECT id, hbinbox, proto FROM Clients ORDER BY id');
    return rows.map(([id, heartbeatInbox, proto]) => ({
      id: this.#read('Clients', id, textOf),
      heartbeatInbox: this.#read('Clients', heartbeatInbox, textOf),
      proto: this.#read('Clients', proto, bytesOf),
    }));
  }

  async channels(): Promise<ChannelRow[]> {
    const rows = await this.#database.query(
      'SELECT id, name, maxseq, maxmsgs, maxbytes, maxage FROM Channels WHERE deleted=FALSE',
    );
    return rows.map(([id, name, maxSequence, maxMessages, maxBytes, maxAge]) => ({
      id: this.#read('Channels', id, numberOf),
      name: this.#read('Channels', name, textOf),
      maxSequence: this.#read('Channels', maxSequence, numberOf),
      maxMessages: this.#read('Channels', maxMessages, numberOf),
      maxBytes: this.#read('Channels', maxBytes, numberOf),
      maxAgeNs: this.#read('Channels', maxAge, bigintOf),
    }));
  }

  async subscriptions(channelId: number): Promise<SubscriptionRow[]> {
    const rows = await this.#database.query(
      'SELECT subid, lastsent, proto FROM Subscriptions WHERE id=? AND deleted=FALSE ORDER BY subid',
      [channelId],
    );
    const found: SubscriptionRow[] = [];
    for (const [id, lastSent, proto] of rows) {
      const row = {
        id: this.#read('Subscriptions', id, numberOf),
        lastSent: this.#read('Subscriptions', lastSent, numberOf),
        proto: this.#read('Subscriptions', proto, bytesOf),
        pending: new Set<number>(),
      };
      await this.#addPending(row);
      found.push(row);
    }
    return found;
  }

  /** What is sent and acknowledged since the subscription's own row was written, in the order that it was written in. */
  async #addPending(subscription: SubscriptionRow): Promise<void> {
    const { row: column } = this.#database.columns;
    const rows = await this.#database.query(
      `SELECT seq, lastsent, pending, acks FROM SubsPending WHERE subid=? ORDER BY ${column}`,
      [subscription.id],
    );
    const sequenceOf = (value: SqlValue): number => this.#read('SubsPending', value, numberOf);
    const sequencesOf = (value: SqlValue): number[] => this.#read('SubsPending', value, parseSequences);
    for (const [single, lastSent, pending, acked] of rows) {
      // A server that caches nothing writes a row for each message, and removes it with the ack.
      const sequence = sequenceOf(single);
      if (sequence > 0) subscription.pending.add(sequence);
      for (const sent of sequencesOf(pending)) subscription.pending.add(sent);
      for (const done of sequencesOf(acked)) subscription.pending.delete(done);
      subscription.lastSent = Math.max(subscription.lastSent, sequence, sequenceOf(lastSent));
    }
  }

  async bounds(channelId: number): Promise<MessageBounds> {
    const [row = []] = await this.#database.query(
      'SELECT COUNT(seq), COALESCE(MIN(seq), 0), COALESCE(MAX(seq), 0) FROM Messages WHERE id=?',
      [channelId],
    );
    const [count, first, last] = row.map((value) => this.#read('Messages', value, numberOf));
    return { count: count ?? 0, first: first ?? 0, last: last ?? 0 };
  }

  /** The sequence of the newest message that is as old as this, or older; 0 if there is none. */
  async newestUntil(channelId: number, timestampNs: bigint): Promise<number> {
    const [row = []] = await this.#database.query(
      'SELECT COALESCE(MAX(seq), 0) FROM Messages WHERE id=? AND timestamp<=?',
      [channelId, String(timestampNs)],
    );
    return this.#read('Messages', row[0], numberOf);
  }

  /** How many messages have a sequence below this one. */
  async countBefore(channelId: number, sequence: number): Promise<number> {
    const [row = []] = await this.#database.query('SELECT COUNT(seq) FROM Messages WHERE id=? AND seq<?', [
      channelId,
      sequence,
    ]);
    return this.#read('Messages', row[0], numberOf);
  }

  /** Up to so many messages below this sequence, the newest first. */
  async before(channelId: number, sequence: number, limit: number): Promise<MessageRow[]> {
    return this.#messageRows('seq<? ORDER BY seq DESC', channelId, sequence, limit);
  }

  /** Up to so many messages from this sequence on, the oldest first. */
  async from(channelId: number, sequence: number, limit: number): Promise<MessageRow[]> {
    return this.#messageRows('seq>=? ORDER BY seq', channelId, sequence, limit);
  }

  async #messageRows(
    where: string,
    channelId: number,
    sequence: number,
    limit: number,
  ): Promise<MessageRow[]> {
    const rows = await this.#database.query(
      `SELECT seq, size FROM Messages WHERE id=? AND ${where} LIMIT ?`,
      [channelId, sequence, limit],
    );
    return rows.map(([found, bytes]) => ({
      sequence: this.#read('Messages', found, numberOf),
      bytes: this.#read('Messages', bytes, numberOf),
    }));
  }

  /** The MsgProtos from the first to the last of these sequences, in order. */
  async messages(
    channelId: number,
    first: number,
    last: number,
  ): Promise<{ sequence: number; proto: Buffer }[]> {
    const rows = await this.#database.query(
      'SELECT seq, data FROM Messages WHERE id=? AND seq>=? AND seq<=? ORDER BY seq',
      [channelId, first, last],
    );
    return rows.map(([sequence, data]) => ({
      sequence: this.#read('Messages', sequence, numberOf),
      proto: this.#read('Messages', data, bytesOf),
    }));
  }

  #read<T>(table: string, value: SqlValue, as: (value: SqlValue) => T): T {
    try {
      return as(value);
    } catch (error) {
      const reason = (error as Error).message;
      throw new SourceError(
        'damaged',
        `${this.#database.name} has a row in ${table} that cannot be read: ${reason}`,
      );
    }
  }
}

/** A JSON list of sequences, or nothing. */
function parseSequences(value: SqlValue): number[] {
  const bytes = bytesOf(value);
  if (bytes.length === 0) return [];
  const parsed: unknown = JSON.parse(bytes.toString('utf8'));
  if (parsed === null) return [];
  if (!Array.isArray(parsed) || !parsed.every((item) => Number.isSafeInteger(item) && item >= 0))
    throw new Error('a list of sequences was expected in the column');
  return parsed as number[];
}
