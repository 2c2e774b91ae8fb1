// Makes a store with a past by a program of another version, and writes down what its clients know of it.

import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { NatsConnection } from 'nats';
import { decodeMsgProto, StartPosition, type SubscriptionRequest } from '../../src/protocol/messages.js';
import { Child } from '../harness/child.js';
import { runCommand } from '../harness/command.js';
import { NatsServer } from '../harness/nats-server.js';
import { RawClient } from '../harness/raw-client.js';
import { waitFor } from '../harness/wait.js';
import { packFolder } from './packed.js';
import { DeliveredChannel } from './read-channel.js';
import { type Knowledge, type KnownChannel, textOf } from './stored-stores.js';

const USAGE = `node --import tsx test/data/make-store.ts --program CHECKOUT/dist/cli/main.js --name NAME
makes test/data/NAME.store.br and test/data/NAME.json`;
const CLUSTER_ID = 'kept';
const CONFIG = `store_limits:
  channels:
    capped: { max_msgs: 5 }
`;
/** No message comes again while the store is made. */
const ACK_WAIT_SECONDS = 3600;

/** A subscriber that acks as the maker says. */
class Inbox {
  readonly delivered = new Set<number>();
  readonly acked = new Set<number>();
  ackInbox = '';

  constructor(
    nats: NatsConnection,
    readonly name: string,
  ) {
    nats.subscribe(name, {
      callback: (_error, { data }) => {
        this.delivered.add(decodeMsgProto(data).sequence);
      },
    });
  }

  async got(count: number): Promise<void> {
    await waitFor(
      () => this.delivered.size >= count,
      () => `${this.name} gets ${count} messages; it has ${[...this.delivered].join()}`,
    );
  }

  get pending(): number[] {
    return [...this.delivered].filter((sequence) => !this.acked.has(sequence));
  }
}

/** The clients of the store, on one connection. */
class Maker {
  readonly #client: RawClient;
  readonly #acked = new Map<string, number>();

  constructor(client: RawClient) {
    this.#client = client;
  }

  /** Each client has a heartbeat inbox that stays the same. */
  async join(clientId: string): Promise<void> {
    const connId = Buffer.from(clientId);
    const { error } = await this.#client.connect({
      ...{ clientId, connId, heartbeatInbox: `heartbeat.${clientId}` },
    });
    if (error !== '') throw new Error(error);
  }

  /** Publishes the next ones of a channel. */
  async publish(channel: string, count: number): Promise<void> {
    const first = (this.#acked.get(channel) ?? 0) + 1;
    for (let number = first; number < first + count; number++) {
      const { error } = await this.#client.publish({
        ...{ clientId: 'writer', connId: Buffer.from('writer'), subject: channel },
        ...{ guid: `${channel}-${number}`, data: Buffer.from(textOf(channel, number)) },
      });
      if (error !== '') throw new Error(error);
      this.#acked.set(channel, number);
    }
  }

  async subscribe(channel: string, name: string, rest: Partial<SubscriptionRequest>): Promise<Inbox> {
    const inbox = new Inbox(this.#client.nats, `inbox.${name}`);
    const { ackInbox, error } = await this.#client.requestSubscription({
      ...{ clientId: 'reader', subject: channel, inbox: inbox.name },
      ...{ ackWaitSeconds: ACK_WAIT_SECONDS, startPosition: StartPosition.FIRST, ...rest },
    });
    if (error !== '') throw new Error(error);
    inbox.ackInbox = ackInbox;
    return inbox;
  }

  ack(inbox: Inbox, channel: string, sequences: readonly number[]): void {
    for (const sequence of sequences) {
      this.#client.ack(inbox.ackInbox, channel, sequence);
      inbox.acked.add(sequence);
    }
  }

  async closeSubscription(inbox: Inbox, channel: string, durableName: string): Promise<void> {
    const { error } = await this.#client.closeSubscription({
      ...{ clientId: 'reader', subject: channel, inbox: inbox.ackInbox, durableName },
    });
    if (error !== '') throw new Error(error);
  }
}

async function make(program: string, root: string): Promise<{ knowledge: Knowledge; packed: Buffer }> {
  const dir = path.join(root, 'store');
  const config = path.join(root, 'config.yaml');
  fs.writeFileSync(config, CONFIG);
  const nats = await NatsServer.start();
  const args = ['serve', '--nats-server', nats.url, '--cluster-id', CLUSTER_ID, '--store', 'file'];
  const start = async (): Promise<Child> => {
    const child = new Child(process.execPath, [program, ...args, '--dir', dir, '-c', config]);
    await waitFor(
      () => {
        if (child.hasExited) throw new Error(child.output);
        return child.output.includes('Streaming Server is ready');
      },
      () => `the broker is ready; it said:\n${child.output}`,
    );
    return child;
  };
  let broker = await start();
  const client = await RawClient.open(nats.url, CLUSTER_ID);
  try {
    const maker = new Maker(client);
    await maker.join('writer');
    await maker.join('reader');
    await maker.publish('orders', 40);
    await maker.publish('capped', 12);
    await maker.publish('large', 2);
    await maker.publish('audit.log', 10);
    const billing = await maker.subscribe('orders', 'billing', { durableName: 'billing', maxInFlight: 8 });
    await billing.got(8);
    maker.ack(billing, 'orders', [1, 2, 3, 4, 5, 6, 7, 8]);
    await billing.got(16);
    maker.ack(billing, 'orders', [10, 12]);
    await billing.got(18);
    const archive = await maker.subscribe('orders', 'archive', { durableName: 'archive', maxInFlight: 3 });
    await archive.got(3);
    maker.ack(archive, 'orders', [1, 3]);
    await archive.got(5);
    await maker.closeSubscription(archive, 'orders', 'archive');
    const group = { queueGroup: 'workers', durableName: 'shared', maxInFlight: 3 };
    const workers = [
      await maker.subscribe('audit.log', 'worker.1', group),
      await maker.subscribe('audit.log', 'worker.2', group),
    ];
    await waitFor(() => workers.every(({ delivered }) => delivered.size === 3), 'each worker has three');
    const loose = await maker.subscribe('large', 'loose', { maxInFlight: 1 });
    await loose.got(1);
    await broker.end('SIGKILL');

    broker = await start();
    const segments = path.join(dir, 'segments');
    await waitFor(() => fs.readdirSync(segments).length > 0, 'a checkpoint is made');
    await maker.publish('orders', 10);
    await maker.publish('capped', 4);
    await maker.publish('audit.log', 5);
    const read = async (channel: string, last: number): Promise<KnownChannel> => {
      const delivered = await DeliveredChannel.read(nats.url, CLUSTER_ID, channel, last);
      return { first: delivered.first, last, sha256: delivered.sha256(last) };
    };
    const knowledge: Knowledge = {
      clusterId: CLUSTER_ID,
      clients: ['reader', 'writer'],
      channels: {
        'audit.log': await read('audit.log', 15),
        large: await read('large', 2),
        capped: await read('capped', 16),
        orders: await read('orders', 50),
      },
      pending: {
        'orders archive': archive.pending,
        'orders billing': billing.pending,
        'audit.log workers': workers.flatMap(({ pending }) => pending).sort((a, b) => a - b),
        'large inbox.loose': loose.pending,
      },
    };
    await broker.end('SIGTERM');
    // A broker makes it anew.
    fs.rmSync(path.join(dir, 'reserve'), { recursive: true, force: true });
    return { knowledge, packed: packFolder(dir) };
  } finally {
    await client.drop();
    await broker.destroy();
    await nats.stop();
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { program: { type: 'string' }, name: { type: 'string' } } });
  const { program, name } = values;
  if (program === undefined || name === undefined) throw new Error('--program and --name are needed');
  const root = fs.mkdtempSync(path.join(tmpdir(), 'stanchion-make-'));
  try {
    const { knowledge, packed } = await make(path.resolve(program), root);
    fs.writeFileSync(new URL(`./${name}.store.br`, import.meta.url), packed);
    fs.writeFileSync(new URL(`./${name}.json`, import.meta.url), `${JSON.stringify(knowledge, null, 2)}\n`);
    console.log(`${name}.store.br has ${packed.length} bytes`);
    return 0;
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
}

runCommand(main, USAGE);
