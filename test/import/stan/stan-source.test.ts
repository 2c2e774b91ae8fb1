import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { FollowSource } from '../../../src/import/stan/follow-source.js';
import { StanSource, type StanSourceOptions } from '../../../src/import/stan/stan-source.js';
import type { ImportSource, SourceState } from '../../../src/import/types/source.js';
import { connect } from '../../../src/index.js';
import { decodeMsgProto } from '../../../src/protocol/messages.js';
import { FaultProxy } from '../../harness/fault-proxy.js';
import { freePort } from '../../harness/free-ports.js';
import { findGoServer, GoServer } from '../../harness/go-server.js';
import { Rig } from '../../harness/rig.js';
import { waitFor } from '../../harness/wait.js';
import { KeepingSink } from '../lines/support.js';

/** A STAN server with monitoring. */
interface Old {
  url: string;
  monitorUrl: string;
  clusterId: string;
}

interface AllRead {
  state: SourceState;
  messages: Map<string, KeepingSink['messages']>;
}

async function readAll(source: ImportSource): Promise<AllRead> {
  try {
    const state = await source.open();
    const messages = new Map<string, KeepingSink['messages']>();
    for (const channel of state.channels) {
      const sink = new KeepingSink();
      await source.read(channel, sink);
      messages.set(channel.name, sink.messages);
    }
    return { state, messages };
  } finally {
    await source.close();
  }
}

function optionsFor(
  { url, monitorUrl, clusterId }: Old,
  more: Partial<StanSourceOptions> = {},
): StanSourceOptions {
  return {
    ...{ name: url, monitorUrl, channels: [], maxInFlight: 100, signal: new AbortController().signal },
    connect: { servers: url, clusterId, clientId: 'the-import', connectTimeout: 5_000 },
    onNote: () => {},
    ...more,
  };
}

function positionsOf({ channels }: SourceState): Record<string, [lastSent: number, pending: number[]]> {
  return Object.fromEntries(
    channels.flatMap(({ name, subscriptions }) =>
      subscriptions.map((each) => [
        `${name} ${each.clientId} ${each.queueGroup || each.durableName}`,
        [each.lastSent, each.pending],
      ]),
    ),
  );
}

const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** Of a durable that has been sent 210 messages. */
const PENDING = [7, 100, 203, 204, 205, 206, 207, 208, 209, 210];

/** The same for any STAN server. */
function promises(server: () => Old): void {
  const connectAs = (clientId: string) =>
    connect({ servers: server().url, clusterId: server().clusterId, clientId });

  async function publish(channel: string, first: number, last: number): Promise<void> {
    const connection = await connectAs('publisher');
    await Promise.all(range(first, last).map((number) => connection.publish(channel, `order ${number}`)));
    await connection.close();
  }

  /** Reads by a durable until it has been sent 210, and leaves what is to be pending. */
  async function leavePending(
    clientId: string,
    channel: string,
    queue?: string,
  ): Promise<{ close(): Promise<void> }> {
    const connection = await connectAs(clientId);
    let sent = 0;
    await connection.subscribe(channel, {
      durable: 'ledger',
      ...(queue !== undefined && { queue }),
      ...{ startAt: 'all', manualAck: true, maxInFlight: PENDING.length },
      callback: (_error, message) => {
        if (!PENDING.includes(message.sequence)) message.ack();
        sent = message.sequence;
      },
    });
    await waitFor(() => sent === 210, 'it has been sent the last of them');
    return connection;
  }

  it('gives all messages, and each durable that is offline exactly where it is', async () => {
    await publish('orders', 1, 300);
    await publish('other.one', 1, 3);
    await (await leavePending('billing', 'orders')).close();
    await (await leavePending('worker', 'orders', 'workers')).close();
    const source = new StanSource(optionsFor(server()));
    const { state, messages } = await readAll(source);
    assert.deepEqual([...messages.keys()], ['orders', 'other.one']);
    assert.deepEqual(
      messages.get('orders')?.map(({ sequence }) => sequence),
      range(1, 300),
    );
    const seventh = decodeMsgProto(Buffer.from(messages.get('orders')?.[6]?.bytes ?? '', 'hex'));
    assert.deepEqual(
      [seventh.subject, seventh.sequence, Buffer.from(seventh.data).toString(), seventh.redelivered],
      ['orders', 7, 'order 7', false],
    );
    assert.deepEqual(positionsOf(state), {
      'orders billing ledger': [210, PENDING],
      'orders  ledger:workers': [210, PENDING],
    });
    // It has read, and has acknowledged nothing for the durables.
    const again = await readAll(new StanSource(optionsFor(server(), { channels: ['orders'] })));
    assert.deepEqual(positionsOf(again.state), positionsOf(state));
  });

  it('begins a durable whose client is connected where it surely has everything before, and says so', async () => {
    await publish('live', 1, 300);
    const connection = await leavePending('reader', 'live');
    const source = new StanSource(optionsFor(server(), { channels: ['live'] }));
    const { state } = await readAll(source);
    await connection.close();
    assert.deepEqual(positionsOf(state), { 'live reader ledger': [0, []] });
    assert.match(
      source.problems.map(({ text }) => text).join('\n'),
      /durable ledger of client reader on live: has 10 pending messages up to 210, .* It begins behind 0: it gets up to 210 messages again, and misses none/,
    );
  });

  it('follows until it is told to end, and has by then what was published last', async () => {
    await publish('followed', 1, 50);
    const until = new AbortController();
    const parent = mkdtempSync(join(tmpdir(), 'stanchion-follow-'));
    let done = 0;
    const source = new FollowSource({
      ...optionsFor(server(), { channels: ['followed', 'new.>'] }),
      ...{ dir: join(parent, 'store'), until: until.signal },
      onProgress: (read) => {
        done = read;
      },
    });
    const reading = readAll(source);
    await waitFor(() => done >= 50, 'it has what was there');
    await publish('new.channel', 1, 20);
    await waitFor(() => done >= 70, 'it has found the new channel');
    await publish('followed', 51, 90);
    until.abort();
    const { state, messages } = await reading;
    assert.deepEqual(
      state.channels.map(({ name, lastSequence }) => [name, lastSequence]),
      [
        ['followed', 90],
        ['new.channel', 20],
      ],
    );
    assert.deepEqual(
      messages.get('followed')?.map(({ sequence }) => sequence),
      range(1, 90),
    );
    assert.deepEqual(readdirSync(parent), [], 'what was gathered is gone');
    rmSync(parent, { recursive: true });
  });

  it('goes on following when the monitoring has not answered for a while, as during a restart', async () => {
    await publish('restarted', 1, 5);
    let isDown = false;
    const proxy = createServer((request, response) => {
      if (isDown) request.destroy();
      else
        fetch(`${server().monitorUrl}${request.url}`)
          .then(async (answer) => response.writeHead(answer.status).end(await answer.text()))
          .catch(() => request.destroy());
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const monitorUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const until = new AbortController();
    const parent = mkdtempSync(join(tmpdir(), 'stanchion-follow-'));
    const notes: string[] = [];
    let done = 0;
    const source = new FollowSource({
      ...optionsFor({ ...server(), monitorUrl }, { channels: ['restarted', 'later.>'] }),
      ...{ dir: join(parent, 'store'), until: until.signal },
      onNote: (text) => notes.push(text),
      onProgress: (read) => {
        done = read;
      },
    });
    try {
      const reading = readAll(source);
      await waitFor(() => done >= 5, 'it has what was there');
      isDown = true;
      await waitFor(() => notes.some((note) => note.includes('It is asked again')), 'it has been refused');
      isDown = false;
      await publish('later.channel', 1, 5);
      await waitFor(() => done >= 10, 'it has found the new channel');
      until.abort();
      const { messages } = await reading;
      assert.equal(messages.get('later.channel')?.length, 5);
    } finally {
      proxy.close();
      rmSync(parent, { recursive: true });
    }
  });

  it('goes on when its connection is cut, without a gap, though messages are lost on their way', async () => {
    await publish('cut', 1, 2000);
    const proxy = await FaultProxy.start(Number(new URL(server().url).port));
    try {
      const source: ImportSource = new StanSource(
        optionsFor({ ...server(), url: proxy.url }, { channels: ['cut'] }),
      );
      const { channels } = await source.open();
      const [channel] = channels;
      assert.ok(channel !== undefined);
      const sink = new KeepingSink();
      let cuts = 0;
      const drain = sink.drain.bind(sink);
      sink.drain = async () => {
        await drain();
        if (sink.messages.length > 500 * (cuts + 1) && cuts < 2) {
          cuts++;
          proxy.cut();
        }
      };
      await source.read(channel, sink);
      await source.close();
      assert.equal(cuts, 2);
      assert.deepEqual(
        sink.messages.map(({ sequence }) => sequence),
        range(1, 2000),
      );
    } finally {
      await proxy.stop();
    }
  });
}

describe('a running server that is imported by the protocol', () => {
  const rig = new Rig({ store: 'memory', broker: false });
  let old: Old | undefined;

  before(async () => {
    const port = await freePort();
    const { clusterId } = await rig.startBroker({
      flags: ['--http-port', `${port}`, '--http-addr', '127.0.0.1'],
    });
    old = { url: rig.nats.url, monitorUrl: `http://127.0.0.1:${port}`, clusterId };
  });

  promises(() => {
    assert.ok(old !== undefined);
    return old;
  });

  it('needs the monitoring for patterns and for all channels, and only names without it', async () => {
    assert.ok(old !== undefined);
    const without = { monitorUrl: undefined };
    await assert.rejects(
      readAll(new StanSource(optionsFor(old, without))),
      /All channels can be found by the monitoring alone/,
    );
    await assert.rejects(
      readAll(new StanSource(optionsFor(old, { ...without, channels: ['a', 'b.*'] }))),
      /by the pattern b\.\*/,
    );
    const source = new StanSource(optionsFor(old, { ...without, channels: ['other.one'] }));
    const { messages } = await readAll(source);
    assert.deepEqual(messages.get('other.one')?.length, 3);
    assert.match(source.problems[0]?.text ?? '', /positions of durables are not known/);
    await assert.rejects(
      readAll(new StanSource(optionsFor(old, { channels: ['nowhere'] }))),
      /has no channel nowhere/,
    );
    await assert.rejects(
      readAll(new StanSource(optionsFor({ ...old, monitorUrl: `${old.monitorUrl}/metrics` }))),
      /monitoring page .* cannot be read/,
    );
    const withPassword = old.monitorUrl.replace('//', '//me:secret@');
    await assert.rejects(
      readAll(new StanSource(optionsFor({ ...old, monitorUrl: `${withPassword}/metrics` }))),
      (error: Error) => !error.message.includes('secret'),
    );
  });
});

const found = findGoServer();
describe('a running Go server that is imported by the protocol', {
  skip: 'skipped' in found ? found.skipped : false,
}, () => {
  let server: GoServer | undefined;
  const dir = mkdtempSync(join(tmpdir(), 'stanchion-go-'));

  before(async () => {
    if ('binary' in found) server = await GoServer.start(found.binary, dir, ['-cid', 'old']);
  });
  after(async () => {
    await server?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  promises(() => {
    assert.ok(server !== undefined);
    return { url: server.url, monitorUrl: server.monitorUrl, clusterId: 'old' };
  });
});
