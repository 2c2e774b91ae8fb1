import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect } from 'nats';
import { nodeFs } from '../../src/files/fs.js';
import { decodeMsgProto } from '../../src/protocol/messages.js';
import { DeliveredChannel } from '../data/read-channel.js';
import { type Knowledge, knowledgeOf, putStoredStore, STORED_STORES } from '../data/stored-stores.js';
import { Broker } from '../harness/broker.js';
import { NatsServer } from '../harness/nats-server.js';
import { RawClient } from '../harness/raw-client.js';
import { waitFor } from '../harness/wait.js';

/** Its subscribers, whose inboxes have always been these. */
const INBOXES: Readonly<Record<string, readonly string[]>> = {
  'orders billing': ['inbox.billing'],
  'audit.log workers': ['inbox.worker.1', 'inbox.worker.2'],
  'large inbox.loose': ['inbox.loose'],
};
const CONNECTION = { clientId: 'writer', connId: Buffer.from('writer') };

/** A store of another version, with a broker of this one, and a nats-server for the two alone. */
class Carried {
  readonly nats: NatsServer;
  readonly knowledge: Knowledge;
  readonly broker: Broker;
  readonly #deliveries: ReadonlyMap<string, Set<number>>;
  readonly #close: () => Promise<void>;
  /** What was published since, by channel. */
  readonly published = new Map<string, string[]>();

  private constructor(
    nats: NatsServer,
    knowledge: Knowledge,
    broker: Broker,
    deliveries: ReadonlyMap<string, Set<number>>,
    close: () => Promise<void>,
  ) {
    this.nats = nats;
    this.knowledge = knowledge;
    this.broker = broker;
    this.#deliveries = deliveries;
    this.#close = close;
  }

  static async open(name: (typeof STORED_STORES)[number], dir: string, flags: string[]): Promise<Carried> {
    const nats = await NatsServer.start();
    const knowledge = knowledgeOf(name);
    await putStoredStore(nodeFs, dir, name);
    // They have been connected all the time.
    const listener = await connect({ servers: nats.url });
    const deliveries = new Map<string, Set<number>>();
    for (const [subscription, inboxes] of Object.entries(INBOXES)) {
      const sequences = new Set<number>();
      deliveries.set(subscription, sequences);
      for (const inbox of inboxes)
        listener.subscribe(inbox, {
          callback: (_error, { data }) => void sequences.add(decodeMsgProto(data).sequence),
        });
    }
    await listener.flush();
    const { clusterId } = knowledge;
    const broker = await Broker.start({ natsUrl: nats.url, clusterId, store: 'file', dir, flags });
    const carried = new Carried(nats, knowledge, broker, deliveries, async () => {
      await listener.close();
      await broker.destroy();
      await nats.stop();
    });
    await carried.serves();
    return carried;
  }

  async restart(signal: NodeJS.Signals): Promise<void> {
    await this.broker.restart(signal);
    await this.serves();
  }

  /** A member is a standby first. */
  async serves(): Promise<void> {
    const { broker } = this;
    await waitFor(
      () => broker.output.includes('Streaming Server is ready'),
      () => `the broker serves; it said:\n${broker.output}`,
    );
  }

  close(): Promise<void> {
    return this.#close();
  }

  /** What was delivered and not acknowledged comes again, and nothing else. */
  async hasPending(): Promise<void> {
    for (const [subscription, sequences] of this.#deliveries) {
      const pending = this.knowledge.pending[subscription] ?? [];
      await waitFor(
        () => pending.every((sequence) => sequences.has(sequence)),
        () => `${subscription} gets ${pending.join()} again; it has ${[...sequences].join()}`,
      );
    }
    assert.deepEqual(this.#sequences('orders billing'), this.knowledge.pending['orders billing']);
  }

  #sequences(subscription: string): number[] {
    return [...(this.#deliveries.get(subscription) ?? [])].sort((a, b) => a - b);
  }

  /** Every message is there byte for byte, and what was published since behind it. */
  async hasMessages(): Promise<void> {
    const { clusterId, channels } = this.knowledge;
    await Promise.all(
      Object.entries(channels).map(async ([channel, { first, last, sha256 }]) => {
        const more = this.published.get(channel) ?? [];
        const found = await DeliveredChannel.read(this.nats.url, clusterId, channel, last + more.length);
        assert.equal(found.first, first, `the first message of ${channel}`);
        assert.equal(found.sha256(last), sha256, `the messages of ${channel}`);
        assert.deepEqual(found.texts.slice(last - first + 1), more);
      }),
    );
  }

  async publish(channel: string, text: string): Promise<void> {
    await this.#send(channel, `more-${channel}-${text}`, text);
    this.published.set(channel, [...(this.published.get(channel) ?? []), text]);
  }

  /** A publisher that has not got its acks sends again: what is in the journal's tail, and in the checkpoint. */
  async publishAgain(): Promise<void> {
    for (const [channel, { last }] of Object.entries(this.knowledge.channels))
      for (const sequence of [1, Math.ceil(last / 2), last])
        await this.#send(channel, `${channel}-${sequence}`, 'again');
  }

  /** A durable that was offline goes on with what it has not acknowledged. */
  async resumesOffline(): Promise<void> {
    await this.#with(async (client) => {
      const archive = await client.subscribe({
        ...{ clientId: 'reader', subject: 'orders', durableName: 'archive', maxInFlight: 3 },
      });
      assert.equal(archive.response.error, '');
      await archive.got(3);
      assert.deepEqual(archive.sequences.slice(0, 3), this.knowledge.pending['orders archive']);
    });
  }

  async #send(channel: string, guid: string, text: string): Promise<void> {
    await this.#with(async (client) => {
      const { error } = await client.publish({
        ...{ ...CONNECTION, subject: channel, guid, data: Buffer.from(text) },
      });
      assert.equal(error, '');
    });
  }

  async #with(work: (client: RawClient) => Promise<void>): Promise<void> {
    const client = await RawClient.open(this.nats.url, this.knowledge.clusterId);
    try {
      await work(client);
    } finally {
      await client.drop();
    }
  }
}

describe('a store that another version has made', { concurrency: true }, () => {
  let root = '';

  before(() => {
    root = mkdtempSync(join(tmpdir(), 'stanchion-upgrade-'));
  });

  after(() => rmSync(root, { recursive: true, force: true }));

  for (const name of STORED_STORES) {
    for (const [who, flags] of [
      ['a broker alone', []],
      ['a member of a group', ['--ft-group', 'g', '--node-name', 'a']],
    ] as const) {
      it(`${name} is opened by ${who} with all that is in it, takes publishes, and keeps it all over restarts`, async () => {
        const carried = await Carried.open(name, join(root, `${name} ${who}`), [...flags]);
        try {
          assert.match(carried.broker.output, /has been carried over from format version [13] to 4/);
          await carried.hasPending();
          await carried.hasMessages();
          await carried.publishAgain();
          await carried.hasMessages();
          await carried.publish('orders', 'one more');
          await carried.restart('SIGKILL');
          await carried.hasMessages();
          await carried.resumesOffline();
          await carried.publish('audit.log', 'one more');
          await carried.publish('orders', 'and another');
          await carried.restart('SIGTERM');
          await carried.hasMessages();
        } finally {
          await carried.close();
        }
      });
    }
  }
});
