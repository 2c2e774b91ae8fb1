// A move as people make it: a Go server at a NATS server that stays up, its store imported, and stanchion in its place.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { takeStore } from '../../src/cli/take-store.js';
import { systemClock } from '../../src/clock/clock.js';
import { nodeFs } from '../../src/files/fs.js';
import { GoFileSource } from '../../src/import/go-files/go-file-source.js';
import { type ImportReport, importInto } from '../../src/import/target/import-into.js';
import { verifyImport } from '../../src/import/target/verify-import.js';
import { storeVerify } from '../../src/store/tools/verify.js';
import { crc32 } from '../../src/util/crc.js';
import { Broker } from '../harness/broker.js';
import { GoServer } from '../harness/go-server.js';
import { NatsServer } from '../harness/nats-server.js';
import { StanClient } from '../harness/stan-client.js';

export const CLUSTER_ID = 'moved';
/** Without buffers, so that what it has said is in its files also when it is killed. */
const ARGS = ['-cid', CLUSTER_ID, '--file_buffer_size', '0'];
/** The old server's own. */
const LIMITS = { maxMessages: 1_000_000, maxBytes: 1_024_000_000, maxAgeMs: 0 };

export class MovedServer {
  readonly nats: NatsServer;
  readonly go: GoServer;
  readonly #t: TestContext;
  readonly #binary: string;
  readonly #root: string;

  private constructor(t: TestContext, binary: string, root: string, nats: NatsServer, go: GoServer) {
    this.#t = t;
    this.#binary = binary;
    this.#root = root;
    this.nats = nats;
    this.go = go;
  }

  /** @param isOld the store was made by a server before 0.20: it has an id of its own in the subjects */
  static async start(t: TestContext, binary: string, isOld = false): Promise<MovedServer> {
    const root = mkdtempSync(join(tmpdir(), 'stanchion-moved-'));
    t.after(() => rmSync(root, { recursive: true, force: true }));
    if (isOld) makeOldStore(join(root, 'go'));
    const nats = await NatsServer.start();
    t.after(() => nats.stop());
    const go = await GoServer.start(binary, join(root, 'go'), ARGS, nats.url);
    t.after(() => go.destroy());
    return new MovedServer(t, binary, root, nats, go);
  }

  /** A client that finds out within a second or two that it is not known any more. */
  async connect(clientId: string, url = this.nats.url): Promise<StanClient> {
    const client = await StanClient.connect(url, CLUSTER_ID, clientId, { stanPingInterval: 1000 });
    this.#t.after(() => client.drop());
    return client;
  }

  /** Imports the store of the Go server, which has ended, into a new one, and compares the two. */
  async import(name: string): Promise<ImportReport> {
    const source = new GoFileSource({
      dir: join(this.#root, 'go'),
      limits: () => LIMITS,
      isLenient: false,
      isCrcChecked: true,
    });
    const state = await source.open();
    const dir = join(this.#root, name);
    const report = await importInto({
      ...{ fs: nodeFs, clock: systemClock, random: randomBytes, dir, clusterId: CLUSTER_ID, source, state },
      takeLease: () => takeStore(dir, 'import', false),
    });
    assert.deepEqual(source.problems, []);
    const onDifference = (difference: object): void => assert.fail(JSON.stringify(difference));
    await verifyImport({ fs: nodeFs, clock: systemClock, dir, source, state, onDifference });
    const { damages, notes } = await storeVerify({ fs: nodeFs, clock: systemClock, dir });
    assert.deepEqual([damages, notes], [[], []]);
    return report;
  }

  /** Whether clients of an imported store send to subjects that have the old server's own id. */
  hasOldSubjects(name: string): boolean {
    return readFileSync(join(this.#root, name, 'stanchion.json'), 'utf8').includes('_STAN.pub.OLDNUID');
  }

  /** Serves from an imported store. */
  async serve(name: string, flags: readonly string[] = [], nats = this.nats): Promise<Broker> {
    const dir = join(this.#root, name);
    const broker = await Broker.start({
      ...{ natsUrl: nats.url, clusterId: CLUSTER_ID, store: 'file', dir, flags },
    });
    this.#t.after(() => broker.destroy());
    return broker;
  }

  /** A NATS server that no client of the move is at. */
  async otherNats(): Promise<NatsServer> {
    const nats = await NatsServer.start();
    this.#t.after(() => nats.stop());
    return nats;
  }

  /** Starts the Go server on a copy of its store, at another NATS server. */
  async serveCopy(nats: NatsServer): Promise<GoServer> {
    const copy = join(this.#root, 'copy');
    cpSync(join(this.#root, 'go'), copy, { recursive: true });
    const go = await GoServer.start(this.#binary, copy, ARGS, nats.url);
    this.#t.after(() => go.destroy());
    return go;
  }
}

/** What a server before 0.20 that was alone made first. Later servers keep to it. */
function makeOldStore(dir: string): void {
  const verbs = ['pub', 'sub', 'unsub', 'close', 'subclose', 'acks'];
  const fields = [
    CLUSTER_ID,
    `_STAN.discover.${CLUSTER_ID}`,
    ...verbs.map((verb) => `_STAN.${verb}.OLDNUID`),
  ];
  const info = Buffer.concat(
    fields.map((text, i) =>
      Buffer.concat([Buffer.from([((i + 1) << 3) | 2, text.length]), Buffer.from(text)]),
    ),
  );
  const head = Buffer.alloc(12);
  head.writeUInt32LE(1, 0);
  head.writeUInt32LE(info.length, 4);
  head.writeUInt32LE(crc32(info, 0, info.length), 8);
  mkdirSync(dir);
  writeFileSync(join(dir, 'server.dat'), Buffer.concat([head, info]));
}
