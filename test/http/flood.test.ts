import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { NO_CONFIG_FILE, resolveServeConfig } from '../../src/config/resolve.js';
import { HttpServer } from '../../src/http/http-server.js';
import { silentLogger } from '../../src/log/logger.js';
import { BrokerNode } from '../../src/run/broker-node.js';
import { InMemoryBroker } from '../broker/in-memory.js';
import { waitFor } from '../harness/wait.js';

const CHANNELS = 300;
const TABLE = '/dashboard/channels?q=a&sort=rate';

describe('a flood of requests', () => {
  let http: HttpServer;
  let port: number;
  const sockets: Socket[] = [];

  before(async () => {
    const world = await InMemoryBroker.start();
    await world.connect('p');
    for (let i = 0; i < CHANNELS; i++) await world.publish('p', `channel.${i}`);
    const config = resolveServeConfig([], {}, () => NO_CONFIG_FILE);
    const node = new BrokerNode(config, 'id', world.clock);
    node.recovered(world.broker);
    node.linkUp('127.0.0.1:4222');
    node.serving();
    http = await HttpServer.start({
      ...{ host: '127.0.0.1', port: 0, tls: undefined, access: undefined, node, maxChannelSeries: CHANNELS },
      allowedHosts: [],
      natsMonitoring: () => ({ kind: 'off' }),
      log: silentLogger,
      clock: world.clock,
    });
    port = Number(new URL(http.url).port);
  });
  after(async () => {
    for (const socket of sockets) socket.destroy();
    await http?.close();
  });

  /** How often the event loop has gone round. */
  let rounds = 0;
  let counting = setImmediate(function count() {
    rounds++;
    counting = setImmediate(count);
  });
  after(() => clearImmediate(counting));

  /** Sends requests without a wait for the answers. */
  async function send(path: string, count: number): Promise<{ answers(): number; rounds(): number }> {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    await once(socket, 'connect');
    let text = '';
    let [firstRound, lastRound] = [0, 0];
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      if (text === '') firstRound = rounds;
      lastRound = rounds;
      text += chunk;
    });
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(count));
    return {
      answers: () => text.split('HTTP/1.1 200 OK').length - 1,
      rounds: () => lastRound - firstRound,
    };
  }

  for (const [path, count] of [
    [TABLE, 200],
    ['/livez', 1_000],
    ['/metrics', 50],
  ] as const) {
    it(`of ${path} gets no more than one answer for each connection and round of the event loop`, async () => {
      const sent = await send(path, count);
      await waitFor(() => sent.answers() === count, 'all answers');
      assert.ok(sent.rounds() >= count - 1, `${count} answers in ${sent.rounds()} rounds`);
    });
  }

  it('leaves room for a probe: it is answered before all that was asked for first', async () => {
    const each = 50;
    const sent = await Promise.all(Array.from({ length: 20 }, () => send(TABLE, each)));
    const all = (): number => sent.reduce((sum, { answers }) => sum + answers(), 0);
    const live = await send('/livez', 1);
    await waitFor(() => live.answers() === 1, 'the probe');
    const before = all();
    await waitFor(() => all() === each * sent.length, 'all answers');
    assert.ok(before < (each * sent.length) / 2, `${before} answers came before that of the probe`);
  });
});
