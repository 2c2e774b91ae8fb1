// The tables of Go servers' SQL stores that are kept here, for databases of both kinds.

import { readFileSync } from 'node:fs';
import { brotliDecompressSync } from 'node:zlib';
import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import type { DatabaseProcess } from '../../sql/database-process.js';
import { compressed } from '../packed.js';
import type { Kind } from './scenario.js';

/** A value as JSON can have it: bytes as `{ hex }`, large numbers as text. */
type KeptValue = string | number | boolean | null | { readonly hex: string };
type KeptTables = Readonly<Record<string, readonly (readonly KeptValue[])[]>>;

/** Each table's columns, with their types in PostgreSQL and in MySQL: as the Go server's `scripts/*.db.sql` make them. */
const TABLES: Readonly<
  Record<string, readonly (readonly [name: string, postgres: string, mysql: string])[]>
> = {
  ServerInfo: [
    ['uniquerow', 'INTEGER DEFAULT 1', 'INT DEFAULT 1'],
    ['id', 'VARCHAR(1024)', 'VARCHAR(1024)'],
    ['proto', 'BYTEA', 'BLOB'],
    ['version', 'INTEGER', 'INTEGER'],
  ],
  Clients: [
    ['id', 'VARCHAR(1024)', 'VARCHAR(1024)'],
    ['hbinbox', 'TEXT', 'TEXT'],
    ['proto', 'BYTEA', 'BLOB'],
  ],
  Channels: [
    ['id', 'INTEGER', 'INTEGER'],
    ['name', 'VARCHAR(1024) NOT NULL', 'VARCHAR(1024) NOT NULL'],
    ['maxseq', 'BIGINT DEFAULT 0', 'BIGINT UNSIGNED DEFAULT 0'],
    ['maxmsgs', 'INTEGER DEFAULT 0', 'INTEGER DEFAULT 0'],
    ['maxbytes', 'BIGINT DEFAULT 0', 'BIGINT DEFAULT 0'],
    ['maxage', 'BIGINT DEFAULT 0', 'BIGINT DEFAULT 0'],
    ['deleted', 'BOOL DEFAULT FALSE', 'BOOL DEFAULT FALSE'],
  ],
  Messages: [
    ['id', 'INTEGER', 'INTEGER'],
    ['seq', 'BIGINT', 'BIGINT UNSIGNED'],
    ['timestamp', 'BIGINT', 'BIGINT'],
    ['size', 'INTEGER', 'INTEGER'],
    ['data', 'BYTEA', 'BLOB'],
  ],
  Subscriptions: [
    ['id', 'INTEGER', 'INTEGER'],
    ['subid', 'BIGINT', 'BIGINT UNSIGNED'],
    ['lastsent', 'BIGINT DEFAULT 0', 'BIGINT UNSIGNED DEFAULT 0'],
    ['proto', 'BYTEA', 'BLOB'],
    ['deleted', 'BOOL DEFAULT FALSE', 'BOOL DEFAULT FALSE'],
  ],
  SubsPending: [
    ['subid', 'BIGINT', 'BIGINT UNSIGNED'],
    ['row', 'BIGINT', 'BIGINT UNSIGNED'],
    ['seq', 'BIGINT DEFAULT 0', 'BIGINT UNSIGNED DEFAULT 0'],
    ['lastsent', 'BIGINT DEFAULT 0', 'BIGINT UNSIGNED DEFAULT 0'],
    ['pending', 'BYTEA', 'BLOB'],
    ['acks', 'BYTEA', 'BLOB'],
  ],
  StoreLock: [
    ['id', 'VARCHAR(30)', 'VARCHAR(30)'],
    ['tick', 'BIGINT DEFAULT 0', 'BIGINT UNSIGNED DEFAULT 0'],
  ],
};

/** The primary keys, as far as the reader of the tables has any use for them. */
const KEYS: Readonly<Record<string, string>> = { Messages: 'id, seq', Subscriptions: 'id, subid' };

/** Changes a database. */
export interface SqlSession {
  run(statement: string, parameters?: readonly unknown[]): Promise<unknown[][]>;
  close(): Promise<void>;
}

export async function openSession({ kind, url }: DatabaseProcess): Promise<SqlSession> {
  if (kind === 'postgres') {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    return {
      run: async (statement, parameters = []) => {
        let count = 0;
        const text = statement.replaceAll('`', '"').replace(/\?/g, () => `$${++count}`);
        return (await client.query({ text, values: [...parameters], rowMode: 'array' })).rows;
      },
      close: () => client.end(),
    };
  }
  const connection = await createConnection({
    ...{ uri: url, rowsAsArray: true, supportBigNumbers: true, bigNumberStrings: true },
  });
  return {
    run: async (statement, parameters = []) => {
      const [rows] = await connection.query(statement, [...parameters]);
      return Array.isArray(rows) ? (rows as unknown[][]) : [];
    },
    close: () => connection.end(),
  };
}

/** Makes the tables, without rows. */
export async function makeTables(session: SqlSession, { kind }: DatabaseProcess): Promise<void> {
  for (const [table, columns] of Object.entries(TABLES)) {
    const parts = columns.map(
      ([name, postgres, mysql]) => `\`${name}\` ${kind === 'postgres' ? postgres : mysql}`,
    );
    const key = KEYS[table];
    if (key !== undefined) parts.push(`PRIMARY KEY (${key})`);
    await session.run(`CREATE TABLE ${table} (${parts.join(', ')})`);
  }
}

/** Fills the tables with what a Go server has left. */
export async function putTables(session: SqlSession, { name }: Kind): Promise<void> {
  const packed = readFileSync(new URL(`./${name}.tables.br`, import.meta.url));
  const tables = JSON.parse(brotliDecompressSync(packed).toString()) as KeptTables;
  for (const [table, rows] of Object.entries(tables)) {
    await session.run(`DELETE FROM ${table}`);
    for (const row of rows)
      await session.run(
        `INSERT INTO ${table} VALUES (${row.map(() => '?').join(', ')})`,
        row.map((value) =>
          typeof value === 'object' && value !== null ? Buffer.from(value.hex, 'hex') : value,
        ),
      );
  }
}

/** The rows of all tables, packed. */
export async function packTables(session: SqlSession): Promise<Buffer> {
  const tables: Record<string, KeptValue[][]> = {};
  for (const [table, columns] of Object.entries(TABLES)) {
    const rows = await session.run(
      `SELECT ${columns.map(([name]) => `\`${name}\``).join(', ')} FROM ${table}`,
    );
    tables[table] = rows.map((row) => row.map(keptValue));
  }
  return compressed(Buffer.from(JSON.stringify(tables)));
}

function keptValue(value: unknown): KeptValue {
  if (Buffer.isBuffer(value)) return { hex: value.toString('hex') };
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value;
  throw new Error(`a column has ${typeof value}`);
}
