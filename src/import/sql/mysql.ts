import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Database, SqlRow } from './database.js';
import { cannotConnect, queryFailed } from './sql-failure.js';

const CONNECT_TIMEOUT_MS = 10_000;

/** MySQL and MariaDB. */
export class MySql implements Database {
  readonly name: string;
  readonly columns = { row: '`row`' };
  readonly #connection: Connection;

  private constructor(name: string, connection: Connection) {
    this.name = name;
    this.#connection = connection;
  }

  /**
   * @param url `mysql://USER:PASSWORD@HOST:PORT/DATABASE`, with the parameters that `mysql2` knows, such as `?ssl={}`
   * @param name for messages
   */
  static async connect(url: string, name: string): Promise<MySql> {
    // Loaded here, since no other command needs it. In the bundle it has its default export alone.
    const { default: mysql } = await import('mysql2/promise');
    let connection: Connection | undefined;
    try {
      connection = await mysql.createConnection({
        uri: url,
        connectTimeout: CONNECT_TIMEOUT_MS,
        // A timestamp in nanoseconds does not fit a double.
        supportBigNumbers: true,
        bigNumberStrings: true,
        rowsAsArray: true,
      });
      connection.on('error', () => {});
      await begin(connection);
    } catch (error) {
      connection?.destroy();
      throw cannotConnect(name, error);
    }
    return new MySql(name, connection);
  }

  async query(statement: string, parameters: readonly (string | number)[] = []): Promise<SqlRow[]> {
    try {
      const [rows] = await this.#connection.query<RowDataPacket[]>(statement, [...parameters]);
      return rows as unknown as SqlRow[];
    } catch (error) {
      throw queryFailed(this.name, error);
    }
  }

  async refresh(): Promise<void> {
    try {
      await this.#connection.query('COMMIT');
      await begin(this.#connection);
    } catch (error) {
      throw queryFailed(this.name, error);
    }
  }

  async close(): Promise<void> {
    await this.#connection.end().catch(() => {});
  }
}

/** One state of all tables is seen, and none can be changed. */
async function begin(connection: Connection): Promise<void> {
  await connection.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
  await connection.query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
}
