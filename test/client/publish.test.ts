import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { connect as connectNats } from 'nats';
import {
  AckTimeoutError,
  ClosedError,
  type Codec,
  ConnectionLostError,
  InvalidOptionError,
  type OnAck,
  PublishError,
  type PublishOptions,
  type StanError,
  stringCodec,
} from '../../src/index.js';
import { stanSubjects } from '../../src/protocol/stan-subjects.js';
import { Child } from '../harness/child.js';
import { isOtherServer } from '../harness/rig.js';
import { holdsFor, waitFor } from '../harness/wait.js';
import { ClientRig, texts, watch } from './client-rig.js';

describe('publishing', () => {
  const rig = new ClientRig();

  it('ends with the guid once the message is stored', async () => {
    const connection = await rig.connect();
    const channel = rig.channel();
    const guids = [await connection.publish(channel, 'one'), await connection.publish(channel, 'two')];
    assert.equal(new Set(guids).size, 2);
    for (const guid of guids) assert.match(guid, /^\w{22}$/);
    const subscription = await connection.subscribe(channel, { startAt: 'all' });
    assert.deepEqual(await texts(subscription[Symbol.asyncIterator](), 2), ['one', 'two']);
  });

  it('takes bytes, strings, nothing, and values through the codec', async () => {
    const connection = await rig.connect();
    const channel = rig.channel();
    await connection.publish(channel, new Uint8Array([1, 2, 255]));
    await connection.publish(channel, 'text');
    await connection.publish(channel);
    await connection.publish(channel, { a: [1, null] });
    await connection.publish(channel, 7, {
      codec: { encode: (n) => Buffer.from(`<${n}>`), decode: () => 0 },
    });
    const messages = (await connection.subscribe(channel, { startAt: 'all' }))[Symbol.asyncIterator]();
    const data: Uint8Array[] = [];
    while (data.length < 5) data.push((await messages.next()).value.data);
    assert.deepEqual([...data[0]!], [1, 2, 255]);
    assert.deepEqual(
      data.slice(1).map((bytes) => Buffer.from(bytes).toString()),
      ['text', '', '{"a":[1,null]}', '<7>'],
    );
  });

  it('takes bytes in any kind of view, and not what JSON has no text for', async () => {
    const connection = await rig.connect();
    const channel = rig.channel();
    const memory = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]).buffer;
    for (const data of [memory, new DataView(memory, 1, 2), new Uint16Array(memory, 4, 1)])
      await connection.publish(channel, data);
    // Of a worker, and of another realm, as test runners have it.
    await connection.publish(channel, new SharedArrayBuffer(2));
    await connection.publish(channel, runInNewContext('new Uint8Array([9]).buffer'));
    for (const data of [() => {}, Symbol('x'), 1n])
      await assert.rejects(connection.publish(channel, data), { code: 'CODEC_FAILED' });
    const messages = (await connection.subscribe(channel, { startAt: 'all' }))[Symbol.asyncIterator]();
    const seen: number[][] = [];
    while (seen.length < 5) seen.push([...(await messages.next()).value.data]);
    assert.deepEqual(seen, [[1, 2, 3, 4, 5, 6, 7, 8], [2, 3], [5, 6], [0, 0], [9]]);
  });

  it('publishes nothing when a codec gives no bytes, or throws anything', async () => {
    const connection = await rig.connect();
    const channel = rig.channel();
    const thrower = (thrown: unknown) => () => {
      throw thrown;
    };
    const bad: [() => unknown, RegExp][] = [
      [() => '{}', /returned a value of type string instead of a Uint8Array/],
      [() => [1, 2], /returned a value of type object/],
      [async () => Buffer.from('x'), /returned a promise/],
      [() => undefined, /returned undefined/],
      [thrower(new Error('mine')), /cannot be encoded: mine/],
      [thrower(null), /cannot be encoded: null/],
      [thrower(Symbol('x')), /cannot be encoded: Symbol\(x\)/],
    ];
    for (const [encode, message] of bad) {
      const codec = { encode, decode: () => 0 } as Codec<unknown>;
      await assert.rejects(connection.publish(channel, 7, { codec }), { code: 'CODEC_FAILED', message });
    }
    await connection.publish(channel, 'the first');
    const subscription = await connection.subscribe(channel, { startAt: 'all' });
    assert.deepEqual(await texts(subscription[Symbol.asyncIterator](), 1), ['the first']);
  });

  it('says that its options cannot be, and sends nothing', async () => {
    const connection = await rig.connect();
    for (const options of [null, 5, { signal: {} }, { signal: null }]) {
      await assert.rejects(connection.publish(rig.channel(), 'x', options as PublishOptions), {
        code: 'INVALID_OPTION',
      });
    }
    await assert.rejects(connection.publish(rig.channel(), 'x', { singal: undefined } as PublishOptions), {
      code: 'INVALID_OPTION',
      message: 'publish has no option "singal". Did you mean signal?',
    });
  });

  it('decodes by the codec of the connection, or of the subscription', async () => {
    const connection = await rig.connect();
    const channel = rig.channel();
    await connection.publish(channel, { n: 1 });
    const json = (await connection.subscribe(channel, { startAt: 'all' }))[Symbol.asyncIterator]();
    const { value } = await json.next();
    assert.deepEqual(value.decode(), { n: 1 });
    assert.deepEqual(value.json(), { n: 1 });
    const text = await connection.subscribe(channel, { startAt: 'all', codec: stringCodec() });
    assert.equal((await text[Symbol.asyncIterator]().next()).value.decode(), '{"n":1}');
  });

  it('copies what it is given: the bytes can be used again at once', async () => {
    const connection = await rig.connect();
    const channel = rig.channel();
    const bytes = Buffer.from('a');
    const first = connection.publish(channel, bytes);
    bytes.write('b');
    await Promise.all([first, connection.publish(channel, bytes)]);
    const subscription = await connection.subscribe(channel, { startAt: 'all' });
    assert.deepEqual(await texts(subscription[Symbol.asyncIterator](), 2), ['a', 'b']);
  });

  it('gives the guid at once and calls back with it, never before it returns', async () => {
    const connection = await rig.connect();
    const acked: string[] = [];
    const guid = connection.publishAsync(rig.channel(), 'x', (error, of) => {
      assert.equal(error, undefined);
      acked.push(of);
    });
    assert.deepEqual(acked, []);
    await connection.flush();
    assert.deepEqual(acked, [guid]);
  });

  it('says at once that a callback is none', async () => {
    const connection = await rig.connect();
    for (const onAck of [undefined, 7])
      assert.throws(
        () => connection.publishAsync(rig.channel(), 'x', onAck as unknown as OnAck),
        InvalidOptionError,
      );
  });

  it('flushes what was published until then, and not what comes after it', async () => {
    const connection = await rig.connect();
    const channel = rig.channel();
    let isOver = false;
    let acked = 0;
    // There is always one under way.
    const again = (): string => connection.publishAsync(channel, 'again', () => void (isOver || again()));
    again();
    for (let i = 0; i < 100; i++) connection.publishAsync(channel, 'x', () => acked++);
    await connection.flush();
    assert.equal(acked, 100);
    isOver = true;
    await connection.flush();
    // A flush that begins in a callback does not count the message of the callback.
    await new Promise<void>((resolve) => {
      connection.publishAsync(channel, 'x', () => void connection.flush().then(resolve));
      connection.publishAsync(channel, 'x', () => {});
    });
  });

  it('reports what had no ack when the NATS connection that it borrowed is drained, and throws nowhere else', async () => {
    const nats = await connectNats({ servers: rig.rig.nats.url });
    const connection = await rig.connect({ natsConnection: nats });
    const channel = rig.channel();
    await connection.publish(channel, 'x');
    rig.rig.broker.signal('SIGSTOP');
    try {
      const publishes = Array.from({ length: 5 }, (_, i) => connection.publish(channel, String(i)));
      const ends = Promise.allSettled(publishes);
      await nats.drain();
      for (const end of await ends)
        assert.ok(end.status === 'rejected' && end.reason instanceof ConnectionLostError);
      assert.ok((await connection.closed()) instanceof ConnectionLostError);
      await assert.rejects(connection.publish(channel, 'x'), ClosedError);
    } finally {
      rig.rig.broker.signal('SIGCONT');
    }
  });

  for (const limit of [{ maxPubAcksInFlight: 3 }, { maxPubBytesInFlight: 300 }]) {
    it(`waits, in order, at ${JSON.stringify(limit)}`, async () => {
      const connection = await rig.connect(limit);
      const channel = rig.channel();
      const all = Array.from({ length: 500 }, (_, i) => connection.publish(channel, String(i)));
      assert.equal(new Set(await Promise.all(all)).size, 500);
      const subscription = await connection.subscribe(channel, { startAt: 'all' });
      assert.deepEqual(
        await texts(subscription[Symbol.asyncIterator](), 500),
        all.map((_, i) => String(i)),
      );
    });
  }

  for (const limit of [{ maxPubAcksInFlight: 5 }, { maxPubBytesInFlight: 6_000 }]) {
    it(`never has more without an ack than it may: ${JSON.stringify(limit)}`, async () => {
      // The broker stands still: what leaves can be counted.
      const nats = await connectNats({ servers: rig.rig.nats.url });
      const { publish } = stanSubjects(rig.rig.broker.clusterId);
      const connection = await rig.connect({ ...limit, ackTimeout: 1_500, retry: false });
      rig.rig.broker.signal('SIGSTOP');
      try {
        const channel = rig.channel();
        let seen = 0;
        nats.subscribe(`${publish}.${channel}`, { callback: () => void seen++ });
        await nats.flush();
        // Each is a little more than its 1,000 bytes of data.
        const all = Array.from({ length: 12 }, () => connection.publish(channel, Buffer.alloc(1_000)));
        all.push(...all.map((each) => each.catch(() => 'failed')));
        await waitFor(() => seen >= 5, 'five are on their way');
        await holdsFor(200, () => seen === 5, 'no other leaves');
        const [first, last] = await Promise.allSettled([all[0], all[11]]);
        assert.ok(first?.status === 'rejected' && first.reason instanceof AckTimeoutError);
        assert.equal(first.reason.mayBeStored, true);
        assert.match(first.reason.message, /no ack within 1500 ms/);
        assert.ok(last?.status === 'rejected');
      } finally {
        rig.rig.broker.signal('SIGCONT');
        await nats.close();
      }
    });
  }

  it('has room for so many bytes that wait, and says so beyond', async () => {
    const connection = await rig.connect({ maxPubAcksInFlight: 1, maxQueuedBytes: 1_000 });
    const channel = rig.channel();
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => connection.publish(channel, Buffer.alloc(100))),
    );
    const failed = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason);
    assert.ok(failed.length > 0 && failed.length < 20);
    assert.ok(
      failed.every((reason) => reason instanceof PublishError && reason.code === 'PUBLISH_QUEUE_FULL'),
    );
    await connection.publish(channel, 'there is room again');
  });

  it('refuses what cannot be a channel, before anything is sent', async () => {
    const connection = await rig.connect();
    const long = 'a'.repeat(3_073);
    for (const name of [
      '',
      'a b',
      'a.*',
      'a.>',
      '.a',
      'a..b',
      'a.',
      'a/b',
      'a\0b',
      'a\x7f',
      'a\ud800',
      long,
    ]) {
      await assert.rejects(connection.publish(name, 'x'), (error: StanError) => {
        assert.ok(error instanceof InvalidOptionError, name);
        assert.equal(error.code, 'INVALID_SUBJECT');
        return true;
      });
    }
  });

  it('refuses what is larger than the NATS server takes, and lives', async () => {
    const connection = await rig.connect();
    const channel = rig.channel();
    await assert.rejects(connection.publish(channel, Buffer.alloc(1024 * 1024)), {
      code: 'PAYLOAD_TOO_LARGE',
      name: 'PublishError',
    });
    await connection.publish(channel, 'small');
  });

  it("gives the server's own words when it refuses", async () => {
    const broker = await rig.rig.startBroker({ flags: ['--max-channels', '1'] });
    const connection = await rig.connect({ clusterId: broker.clusterId });
    await connection.publish('first', 'x');
    await assert.rejects(connection.publish('second', 'x'), (error: PublishError) => {
      assert.equal(error.code, 'PUBLISH_REFUSED');
      assert.equal(error.serverText, 'too many channels');
      assert.match(error.message, /--max-channels/);
      assert.match(error.guid, /^\w{22}$/);
      return true;
    });
  });

  it('can be given up by a signal', async () => {
    const connection = await rig.connect();
    const abort = new AbortController();
    rig.rig.broker.signal('SIGSTOP');
    try {
      const publish = connection.publish(rig.channel(), 'x', { signal: abort.signal });
      abort.abort(new Error('enough'));
      await assert.rejects(publish, (error: StanError) => {
        assert.equal(error.code, 'ABORTED');
        assert.equal((error.cause as Error).message, 'enough');
        return true;
      });
      await assert.rejects(connection.publish(rig.channel(), 'x', { signal: abort.signal }), {
        code: 'ABORTED',
      });
    } finally {
      rig.rig.broker.signal('SIGCONT');
    }
    await connection.flush();
  });

  it('takes a signal for any number of messages at once', async () => {
    const connection = await rig.connect();
    const channel = rig.channel();
    const abort = new AbortController();
    const { signal } = abort;
    const listeners = (): number => getEventListeners(signal, 'abort').length;
    const stored = Array.from({ length: 100 }, () => connection.publish(channel, 'x', { signal }));
    // Of more than ten Node warns.
    assert.equal(listeners(), 1);
    await Promise.all(stored);
    await assert.rejects(connection.publish('*', 'x', { signal }));
    assert.equal(listeners(), 0);
    rig.rig.broker.signal('SIGSTOP');
    try {
      const given = Array.from({ length: 3 }, () => connection.publish(channel, 'x', { signal }));
      abort.abort();
      for (const publish of given) await assert.rejects(publish, { code: 'ABORTED' });
    } finally {
      rig.rig.broker.signal('SIGCONT');
    }
    await connection.flush();
  });

  it('waits for acks when it is closed', async () => {
    const connection = await rig.connect();
    const channel = rig.channel();
    const all = Array.from({ length: 1_000 }, (_, i) => connection.publish(channel, String(i)));
    const closing = connection.close();
    assert.equal(new Set(await Promise.all(all)).size, 1_000);
    await closing;
    await assert.rejects(connection.publish(channel, 'x'), ClosedError);
    assert.throws(() => connection.publishAsync(channel, 'x', () => {}), { code: 'CONNECTION_CLOSED' });
  });

  it('keeps what a callback throws away from other messages', async () => {
    const { broker, nats } = rig.rig;
    const script = fileURLToPath(new URL('throwing-callback.ts', import.meta.url));
    const child = new Child(process.execPath, ['--import', 'tsx', script, nats.url, broker.clusterId]);
    await child.exit;
    assert.deepEqual(child.output.trim().split('\n').sort(), ['acked: 22', "uncaught: the program's own"]);
  });

  it('sends a message again under its guid while there is no ack, and it is stored once', {
    skip: isOtherServer,
  }, async () => {
    const connection = await rig.connect();
    const channel = rig.channel();
    await connection.publish(channel, 'before');
    const paused: string[] = [];
    void (async () => {
      for await (const status of connection.status()) paused.push(status.type);
    })();
    rig.rig.broker.signal('SIGSTOP');
    const waiting = Array.from({ length: 50 }, (_, i) => connection.publish(channel, String(i)));
    const isOver = watch(Promise.all(waiting));
    await waitFor(() => paused.includes('publishingPaused'), 'it finds out');
    assert.equal(isOver(), false);
    rig.rig.broker.signal('SIGCONT');
    await Promise.all(waiting);
    await waitFor(() => paused.includes('publishingResumed'), 'it goes on');
    await connection.publish(channel, 'after');
    const subscription = await connection.subscribe(channel, { startAt: 'all' });
    assert.deepEqual(await texts(subscription[Symbol.asyncIterator](), 52), [
      'before',
      ...waiting.map((_, i) => String(i)),
      'after',
    ]);
    assert.equal(subscription.getPending(), 0);
  });

  it('sends nothing twice when retry is off', async () => {
    const nats = await connectNats({ servers: rig.rig.nats.url });
    const connection = await rig.connect({ retry: false });
    const channel = rig.channel();
    let seen = 0;
    nats.subscribe(`${stanSubjects(rig.rig.broker.clusterId).publish}.${channel}`, {
      callback: () => void seen++,
    });
    await nats.flush();
    rig.rig.broker.signal('SIGSTOP');
    const waiting = connection.publish(channel, 'x');
    await waitFor(() => seen > 0, 'it is sent');
    await holdsFor(600, () => seen === 1, 'it is not sent again in the time of several tries');
    rig.rig.broker.signal('SIGCONT');
    await waiting;
    assert.equal(seen, 1);
    await nats.close();
  });
});
