import type { Client } from 'pg';
import type { Database, SqlRow } from './database.js';
import { cannotConnect, queryFailed } from './sql-failure.js';

/** Sees one state of all tables, and cannot change any. */
const BEGIN = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';
const CONNECT_TIMEOUT_MS = 10_000;

/** PostgreSQL, and what speaks its protocol. */
export class Postgres implements Database {
  readonly name: string;
  readonly columns = { row: 'row' };
  readonly #client: Client;

  private constructor(name: string, client: Client) {
    this.name = name;
    this.#client = client;
  }

  /**
   * @param url `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with `?sslmode=` and the rest of libpq's parameters that `pg` knows
   * @param name for messages
   */
  static async connect(url: string, name: string): Promise<Postgres> {
    // Loaded here, since no other command needs it.
    const { default: pg } = await import('pg');
    let client: Client | undefined;
    try {
      client = new pg.Client({
        connectionString: url,
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        application_name: 'stanchion import',
        // A session that the other side has ended is found by the next query, which fails.
        keepAlive: true,
      });
      client.on('error', () => {});
      await client.connect();
      await client.query(BEGIN);
    } catch (error) {
      await client?.end().catch(() => {});
      throw cannotConnect(name, error);
    }
    return new Postgres(name, client);
  }

  async query(statement: string, parameters: readonly (string | number)[] = []): Promise<SqlRow[]> {
    let count = 0;
    const text = statement.replace(/\?/g, () => `$${++count}`);
    try {
      const { rows } = await this.#client.query<SqlRow & unknown[]>({
        text,
        values: [...parameters],
        rowMode: 'array',
      });
      return rows;
    } catch (error) {
      throw queryFailed(this.name, error);
    }
  }

  async refresh(): Promise<void> {
    await this.query('COMMIT');
    await this.query(BEGIN);
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => {});
  }
}
