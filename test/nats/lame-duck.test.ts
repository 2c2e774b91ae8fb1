import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { startBroker } from '../../src/server.js';
import { freePort } from '../harness/free-ports.js';
import { StanClient } from '../harness/stan-client.js';
import { waitFor } from '../harness/wait.js';
import { NatsProcess } from './nats-process.js';

/** Far less than a client waits for an ack by default, far more than a busy machine takes. */
const ACK_TIMEOUT_MS = 5_000;
const AT_A_TIME = 20;

describe('a NATS server in lame-duck mode, as in a rolling update', () => {
  const servers: NatsProcess[] = [];
  const closing: (() => Promise<unknown>)[] = [];

  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    for (const server of servers.splice(0)) await server.stop();
  });

  async function cluster(count: number): Promise<NatsProcess[]> {
    const ports = await Promise.all(Array.from({ length: count }, () => freePort()));
    const routes = ports.map((port) => `nats://127.0.0.1:${port}`);
    for (const route of routes) {
      servers.push(
        await NatsProcess.start({
          config: 'lame_duck_grace_period: "25s"',
          args: ['--cluster_name', 'c', '--cluster', route, '--routes', routes.join(',')],
        }),
      );
    }
    return [...servers];
  }

  /** Publishes on a channel of its own without end, and notes what had no ack. */
  class Publisher {
    readonly channel: string;
    readonly failures: string[] = [];
    acked = 0;
    #isStopped = false;
    readonly #client: StanClient;
    readonly #loops: Promise<void>[];

    constructor(client: StanClient, channel: string) {
      this.#client = client;
      this.channel = channel;
      this.#loops = Array.from({ length: AT_A_TIME }, (_, loop) => this.#publish(loop));
    }

    async stop(): Promise<void> {
      this.#isStopped = true;
      await Promise.all(this.#loops);
    }

    async #publish(loop: number): Promise<void> {
      for (let i = 0; !this.#isStopped; i++) {
        try {
          await this.#client.publish(this.channel, `${loop} ${i}`);
          this.acked++;
        } catch (error) {
          this.failures.push(`${loop} ${i}: ${error}`);
        }
      }
    }
  }

  async function client(url: string, name: string): Promise<StanClient> {
    const connected = await StanClient.connect(url, 'c', name, { ackTimeout: ACK_TIMEOUT_MS });
    closing.push(async () => connected.drop());
    return connected;
  }

  it('costs no publisher an ack, and stores and delivers everything once and in order', async () => {
    const [one, two, three] = await cluster(3);
    assert.ok(one && two && three);
    const lines: string[] = [];
    const note = (fields: object, line: string): void => void lines.push(`${line} ${JSON.stringify(fields)}`);
    const log = { debug: note, info: note, warn: note, error: note, child: () => log };
    const broker = await startBroker({
      natsServer: [one.url, two.url, three.url],
      natsInOrder: true,
      clusterId: 'c',
      log,
    });
    closing.push(() => broker.stop());
    // Those at the server itself keep their connection too, for as long as it does.
    const publishers: Publisher[] = [];
    for (const [index, { url }] of [one, two, three].entries())
      publishers.push(new Publisher(await client(url, `p${index}`), `channel-${index}`));
    const reader = await client(three.url, 'reader');
    const live = await Promise.all(
      publishers.map(({ channel }) => reader.subscribe(channel, { all: true, maxInFlight: 1_000 })),
    );
    const enough = (more: number): Promise<void> => {
      const from = publishers.map(({ acked }) => acked);
      return waitFor(() => publishers.every(({ acked }, i) => acked >= from[i]! + more), 'all publish');
    };
    await enough(200);

    one.signal('SIGUSR2');
    await waitFor(
      () => lines.some((line) => line.startsWith('moved to another NATS server')),
      () => `the broker has moved; it said:\n${lines.join('\n')}`,
    );
    await enough(200);
    for (const publisher of publishers) await publisher.stop();
    for (const [index, publisher] of publishers.entries()) {
      assert.deepEqual(publisher.failures, []);
      const received = live[index]!;
      await received.got(publisher.acked);
      const all = await reader.subscribe(publisher.channel, { all: true, maxInFlight: 1_000 });
      await all.got(publisher.acked);
      for (const { messages, sequences } of [received, all]) {
        assert.equal(messages.length, publisher.acked);
        assert.equal(new Set(messages.map(({ data }) => data)).size, publisher.acked);
        assert.deepEqual(
          sequences,
          Array.from({ length: publisher.acked }, (_, i) => i + 1),
        );
      }
    }
    assert.equal(lines.filter((line) => /lost/.test(line)).length, 0, lines.join('\n'));
  });

  it('is left by a broker only when it ends, if there is no other', async () => {
    const [only] = await cluster(1);
    assert.ok(only);
    const lines: string[] = [];
    const note = (_: object, line: string): void => void lines.push(line);
    const log = { debug: note, info: note, warn: note, error: note, child: () => log };
    const broker = await startBroker({ natsServer: only.url, clusterId: 'c', log });
    closing.push(() => broker.stop());
    const publishing = await client(only.url, 'p');
    only.signal('SIGUSR2');
    await waitFor(() => lines.some((line) => line.startsWith('staying at')), 'it stays');
    await publishing.publish('a', 'still served');
    assert.equal(lines.filter((line) => /lost/.test(line)).length, 0, lines.join('\n'));
  });
});
