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

const USAGE = `GO_SERVER=nats-streaming-server GO_SERVER_OLD=... node --import tsx test/data/go-stores/make.ts [NAME]
makes test/data/go-stores/*.store.br, *.tables.br and *.json.br anew, all or one, by these Go servers of versions 0.25.6 and 0.3.8;
for the tables a PostgreSQL has to be there`;

async function main(): Promise<number> {
  const found = findGoServer();
  if ('skipped' in found) throw new Error(found.skipped);
  const root = mkdtempSync(join(tmpdir(), 'stanchion-go-stores-'));
  try {
    const [only] = process.argv.slice(2);
    for (const kind of KINDS.filter(({ name }) => only === undefined || name === only)) {
      const binary = kind.isOld ? process.env.GO_SERVER_OLD : found.binary;
      if (binary === undefined) throw new Error(`GO_SERVER_OLD must name the server that makes ${kind.name}`);
      const known = await makeGoStore(binary, join(root, kind.name), kind, found.binary);
      const packed = packFolder(join(root, kind.name, 'store'));
      const base = new URL(`./${kind.name}`, import.meta.url).pathname;
      writeFileSync(`${base}.store.br`, packed);
      writeFileSync(`${base}.json.br`, compressed(Buffer.from(JSON.stringify(known))));
      console.log(`${kind.name}: ${packed.length} bytes, ${known.words.channels.length} channels`);
    }
    for (const kind of SQL_KINDS.filter(({ name }) => only === undefined || name === only)) {
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
