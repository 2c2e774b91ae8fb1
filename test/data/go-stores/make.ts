// Makes the Go servers' stores that are kept here, by the real Go server.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../harness/command.js';
import { findGoServer } from '../../harness/go-server.js';
import { DatabaseProcess } from '../../sql/database-process.js';
import { compressed, packFolder } from '../packed.js';
import { KINDS, type Kind, type KnownStore, makeGoStore, SQL_KINDS } from './scenario.js';
import { makeTables, openSession, packTables } from './sql-tables.js';

const USAGE = `GO_SERVER=nats-streaming-server node --import tsx test/data/go-stores/make.ts
makes test/data/go-stores/*.store.br, *.tables.br and *.json.br anew, by this Go server; for the tables a PostgreSQL has to be there`;

async function main(): Promise<number> {
  const found = findGoServer();
  if ('skipped' in found) throw new Error(found.skipped);
  const root = mkdtempSync(join(tmpdir(), 'stanchion-go-stores-'));
  try {
    for (const kind of KINDS) {
      const known = await makeGoStore(found.binary, join(root, kind.name), kind);
      const packed = packFolder(join(root, kind.name, 'store'));
      const base = new URL(`./${kind.name}`, import.meta.url).pathname;
      writeFileSync(`${base}.store.br`, packed);
      writeFileSync(`${base}.json.br`, compressed(Buffer.from(JSON.stringify(known))));
      console.log(`${kind.name}: ${packed.length} bytes, ${known.words.channels.length} channels`);
    }
    for (const kind of SQL_KINDS) {
      const { known, packed } = await makeTablesBy(found.binary, join(root, kind.name), kind);
      const base = new URL(`./${kind.name}`, import.meta.url).pathname;
      writeFileSync(`${base}.tables.br`, packed);
      writeFileSync(`${base}.json.br`, compressed(Buffer.from(JSON.stringify(known))));
      console.log(`${kind.name}: ${packed.length} bytes, ${known.words.channels.length} channels`);
    }
    return 0;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Lets a Go server make a store in a database. */
async function makeTablesBy(
  binary: string,
  root: string,
  kind: Kind,
): Promise<{ known: KnownStore; packed: Buffer }> {
  const database = await DatabaseProcess.start('postgres');
  try {
    const session = await openSession(database);
    await makeTables(session, database);
    const sql = ['-st', 'sql', '--sql_driver', 'postgres', '--sql_source', database.goSource];
    const known = await makeGoStore(binary, root, { ...kind, args: [...sql, ...kind.args] });
    const packed = await packTables(session);
    await session.close();
    return { known, packed };
  } finally {
    await database.stop();
  }
}

runCommand(main, USAGE);
