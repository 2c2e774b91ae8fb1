// Makes the Go servers' stores that are kept here, by the real Go server.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../harness/command.js';
import { findGoServer } from '../../harness/go-server.js';
import { compressed, packFolder } from '../packed.js';
import { KINDS, makeGoStore } from './scenario.js';

const USAGE = `GO_SERVER=nats-streaming-server node --import tsx test/data/go-stores/make.ts
makes test/data/go-stores/*.store.br and *.json.br anew, by this Go server`;

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
    return 0;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

runCommand(main, USAGE);
