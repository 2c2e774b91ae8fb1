import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import {
  ClosedError,
  InvalidOptionError,
  type Message,
  type MessageCallback,
  type StanConnection,
  type StanError,
  SubscribeError,
  type SubscribeOptions,
} from '../../src/index.js';
import { waitFor } from '../harness/wait.js';
import { ClientRig, texts } from './client-rig.js';

describe('subscribing', () => {
  const rig = new ClientRig();

  /** A channel with messages `1` to `count`. */
  async function filled(connection: StanConnection, count: number): Promise<string> {
    const channel = rig.channel();
    for (let i = 1; i <= count; i++) await connection.publish(channel, String(i));
    return channel;
  }

  it('gives each of two readers that wait a message of its own', async () => {
    const connection = await rig.connect();
    const channel = rig.channel();
    const iterator = (await connection.subscribe(channel, { startAt: 'all' }))[Symbol.asyncIterator]();
    const waiting = [iterator.next(), iterator.next()];
    await connection.publish(channel, 'one');
    await connection.publish(channel, 'two');
    assert.deepEqual(
      (await Promise.all(waiting)).map(({ value }) => value.string()),
      ['one', 'two'],
    );
  });

  it('acks what one of two readers has while the other waits', async () => {
    const connection = await rig.connect();
    const channel = rig.channel();
    // The server sends the second one when it has the ack of the first.
    const subscription = await connection.subscribe(channel, { startAt: 'all', maxInFlight: 1 });
    const iterator = subscription[Symbol.asyncIterator]();
    const waiting = [iterator.next(), iterator.next()];
    for (const text of ['one', 'two']) await connection.publish(channel, text);
    const startMs = performance.now();
    assert.equal((await waiting[1])!.value.string(), 'two');
    assert.ok(performance.now() - startMs < 20_000, 'before ackWait');
  });

  it('gives all that a message has', async () => {
    const connection = await rig.connect();
    const before = Date.now();
    const channel = await filled(connection, 1);
    const subscription = await connection.subscribe(channel, { startAt: 'all' });
    const { value } = await subscription[Symbol.asyncIterator]().next();
    assert.equal(value.subject, channel);
    assert.equal(value.sequence, 1);
    assert.equal(value.string(), '1');
    assert.equal(value.json(), 1);
    assert.equal(value.redelivered, false);
    assert.equal(value.redeliveryCount, 0);
    assert.ok(value.timestamp.getTime() >= before && value.timestamp.getTime() <= Date.now());
    assert.equal(value.timestampNanos / 1_000_000n, BigInt(value.timestamp.getTime()));
  });

  const starts: [string, SubscribeOptions['startAt'], string[]][] = [
    ['the newest message', 'last', ['5', 'new']],
    ['all that is stored', 'all', ['1', '2', '3', '4', '5', 'new']],
    ['a sequence', { sequence: 4 }, ['4', '5', 'new']],
    ['a time in the past', { time: new Date(0) }, ['1', '2', '3', '4', '5', 'new']],
    ['a time ago', { timeAgo: 3_600_000 }, ['1', '2', '3', '4', '5', 'new']],
    ['the present', { timeAgo: 0 }, ['new']],
    ['what is published from now on', 'new', ['new']],
    ['that too unless told otherwise', undefined, ['new']],
  ];
  for (const [where, startAt, expected] of starts) {
    it(`begins with ${where}`, async () => {
      const connection = await rig.connect();
      const channel = await filled(connection, 5);
      // The present is another millisecond than the last message's.
      await sleep(2);
      const subscription = await connection.subscribe(channel, startAt === undefined ? {} : { startAt });
      await connection.publish(channel, 'new');
      assert.deepEqual(await texts(subscription[Symbol.asyncIterator](), expected.length), expected);
    });
  }

  it('begins between two messages by their time', async () => {
    const connection = await rig.connect();
    const channel = await filled(connection, 2);
    // Times are in milliseconds: the one to begin at is later than the second message, and earlier than the third.
    await sleep(5);
    const time = new Date();
    await sleep(5);
    await connection.publish(channel, '3');
    const subscription = await connection.subscribe(channel, { startAt: { time } });
    assert.deepEqual(await texts(subscription[Symbol.asyncIterator](), 1), ['3']);
  });

  it('begins with everything when it is to begin before all time', async () => {
    const connection = await rig.connect();
    const channel = await filled(connection, 1);
    for (const startAt of [{ timeAgo: Number.POSITIVE_INFINITY }, { time: new Date(-8.64e15) }]) {
      const subscription = await connection.subscribe(channel, { startAt });
      assert.deepEqual(await texts(subscription[Symbol.asyncIterator](), 1), ['1']);
    }
  });

  it('says which option cannot be', async () => {
    const connection = await rig.connect();
    const bad: [unknown, RegExp][] = [
      [{ startAt: 'first' }, /startAt "first"/],
      [null, /the options of subscribe cannot be null/],
      [{ startAt: { sequence: -1 } }, /startAt \{ sequence: -1 \}/],
      [{ startAt: { sequence: 5n } }, /startAt \{ sequence: 5n \}/],
      [{ startAt: { timeAgo: '5' } }, /startAt \{ timeAgo: '5' \}/],
      [{ queue: null }, /queue null.*string/],
      [{ durable: 5 }, /durable 5.*string/],
      [{ manualAck: 'false' }, /manualAck "false".*true or false/],
      [{ codec: JSON }, /codec.*encode and decode/],
      [{ startAt: { time: new Date(Number.NaN) } }, /startAt/],
      [{ ackWait: 10 }, /ackWait 10.*from 1000/],
      [{ maxInFlight: 0 }, /maxInFlight 0/],
      [{ callback: 'x' }, /callback "x"/],
      [{ queue: 'q', durable: 'a:b' }, /durable "a:b"/],
      // Else it was none, and began anew each time.
      [{ durableName: 'd' }, /^subscribe has no option "durableName"\. Did you mean durable\?/],
      [{ manualAcks: true }, /"manualAcks"\. Did you mean manualAck\?/],
      [{ startFrom: 1 }, /"startFrom"\. It has queue, durable, startAt, /],
    ];
    for (const [options, message] of bad) {
      await assert.rejects(
        connection.subscribe(rig.channel(), options as SubscribeOptions),
        (error: StanError) => {
          assert.ok(error instanceof InvalidOptionError, String(message));
          assert.match(error.message, message);
          return true;
        },
      );
    }
    await assert.rejects(connection.subscribe('a.*'), { code: 'INVALID_SUBJECT' });
  });

  it('acks a message when the next one is asked for, and a slow loop slows the server down', async () => {
    const connection = await rig.connect();
    const channel = await filled(connection, 10);
    const subscription = await connection.subscribe(channel, { startAt: 'all', maxInFlight: 2 });
    const messages = subscription[Symbol.asyncIterator]();
    assert.deepEqual(await texts(messages, 1), ['1']);
    // One is being handled, one waits, and no more has come.
    await waitFor(() => subscription.getPending() === 1, 'the next one');
    await connection.publish(rig.channel(), 'a round trip');
    assert.equal(subscription.getPending(), 1);
    assert.deepEqual(await texts(messages, 9), ['2', '3', '4', '5', '6', '7', '8', '9', '10']);
    assert.equal(subscription.getDelivered(), 10);
  });

  it('calls back for one message after the other, and acks what ended well', async () => {
    const connection = await rig.connect();
    const channel = await filled(connection, 3);
    const events: string[] = [];
    await connection.subscribe(channel, {
      startAt: 'all',
      maxInFlight: 1,
      callback: async (_error, message) => {
        events.push(`begin ${message.string()}`);
        await setImmediate();
        events.push(`end ${message.string()}`);
      },
    });
    await waitFor(() => events.length === 6, 'all');
    assert.deepEqual(events, ['begin 1', 'end 1', 'begin 2', 'end 2', 'begin 3', 'end 3']);
  });

  it('waits for whatever a callback returns that can be awaited', async () => {
    const connection = await rig.connect();
    const channel = await filled(connection, 2);
    const events: string[] = [];
    const callback = (_error: unknown, message: Message): PromiseLike<void> => ({
      // A query, say, that begins when it is awaited.
      // biome-ignore lint/suspicious/noThenProperty: it is what this is about
      then(resolve) {
        events.push(`begin ${message.string()}`);
        return setImmediate().then(() => {
          events.push(`end ${message.string()}`);
          return resolve!();
        });
      },
    });
    await connection.subscribe(channel, { startAt: 'all', callback: callback as MessageCallback });
    await waitFor(() => events.length === 4, 'all');
    assert.deepEqual(events, ['begin 1', 'end 1', 'begin 2', 'end 2']);
  });

  it('does not ack what a callback failed with, reports it, and gets it again', async () => {
    const connection = await rig.connect();
    const channel = await filled(connection, 2);
    const errors: StanError[] = [];
    void (async () => {
      for await (const status of connection.status()) if (status.type === 'error') errors.push(status.error);
    })();
    const seen: string[] = [];
    await connection.subscribe(channel, {
      startAt: 'all',
      ackWait: 1_000,
      callback: (_error, { sequence, redelivered, redeliveryCount }) => {
        seen.push(`${sequence}${redelivered ? ` again ${redeliveryCount}` : ''}`);
        if (sequence === 1 && !redelivered) throw new Error('no');
      },
    });
    await waitFor(() => seen.includes('1 again 1'), 'it comes again');
    assert.deepEqual(seen.slice(0, 2), ['1', '2']);
    assert.equal(errors.length, 1);
    assert.equal(errors[0]!.code, 'CALLBACK_FAILED');
    assert.match(errors[0]!.message, /failed with message 1: no/);
  });

  it('goes on whatever a callback throws', async () => {
    const connection = await rig.connect();
    const channel = await filled(connection, 6);
    const thrown = [null, undefined, 'text', Symbol('symbol'), Object.create(null)];
    const told: string[] = [];
    void (async () => {
      for await (const status of connection.status()) {
        if (status.type === 'error')
          told.push(/failed with message \d: (.*?)\./.exec(status.error.message)![1]!);
      }
    })();
    for (const isAsync of [false, true]) {
      const seen: number[] = [];
      await connection.subscribe(channel, {
        startAt: 'all',
        callback: (_error, { sequence }) => {
          seen.push(sequence);
          if (sequence > thrown.length) return;
          if (isAsync) return Promise.reject(thrown[sequence - 1]);
          throw thrown[sequence - 1];
        },
      });
      await waitFor(() => seen.length === 6, 'all');
    }
    const once = ['null', 'undefined', 'text', 'Symbol(symbol)', '[Object: null prototype] {}'];
    await waitFor(() => told.length === 10, 'all that was thrown');
    assert.deepEqual(told, [...once, ...once]);
  });

  it('leaves acks to the program if it says so', async () => {
    const connection = await rig.connect();
    const channel = await filled(connection, 3);
    const subscription = await connection.subscribe(channel, {
      startAt: 'all',
      manualAck: true,
      ackWait: 2_000,
      maxInFlight: 2,
    });
    const messages = subscription[Symbol.asyncIterator]();
    const first: Message = (await messages.next()).value;
    const second: Message = (await messages.next()).value;
    assert.deepEqual([first.sequence, second.sequence], [1, 2]);
    await connection.publish(rig.channel(), 'a round trip');
    assert.equal(subscription.getPending(), 0, 'two are not acked, so there is no third');
    second.ack();
    second.ack();
    // Which comes first is a matter of time: the one that the ack made room for, or the one whose ack wait ends.
    const later: Message[] = [];
    while (!later.some(({ sequence }) => sequence === 3) || !later.some(({ sequence }) => sequence === 1)) {
      const message: Message = (await messages.next()).value;
      later.push(message);
      message.ack();
    }
    assert.equal(later.find(({ sequence }) => sequence === 3)!.redelivered, false);
    assert.equal(later.find(({ sequence }) => sequence === 1)!.redelivered, true);
  });

  it('does not pile up what comes again while it waits', async () => {
    const connection = await rig.connect();
    const channel = await filled(connection, 5);
    const subscription = await connection.subscribe(channel, { startAt: 'all', ackWait: 1_000 });
    const redelivered = (await rig.connect()).subscribe(channel, {
      startAt: 'all',
      ackWait: 1_000,
      manualAck: true,
    });
    const other = (await redelivered)[Symbol.asyncIterator]();
    await texts(other, 5);
    // The other one gets all of them a second time; this one has not been read at all.
    assert.equal((await other.next()).value.redelivered, true);
    await texts(other, 4);
    assert.equal(subscription.getPending(), 5);
    assert.deepEqual(await texts(subscription[Symbol.asyncIterator](), 5), ['1', '2', '3', '4', '5']);
  });

  it('is read by one loop at a time, and closed when the loop is left', async () => {
    const connection = await rig.connect();
    const channel = await filled(connection, 3);
    const subscription = await connection.subscribe(channel, { startAt: 'all' });
    for await (const message of subscription) {
      assert.throws(() => subscription[Symbol.asyncIterator](), InvalidOptionError);
      if (message.sequence === 2) break;
    }
    assert.equal(subscription.isClosed(), true);
    assert.equal(await subscription.closed, undefined);
    const withCallback = await connection.subscribe(channel, { callback: () => {} });
    assert.throws(() => withCallback[Symbol.asyncIterator](), InvalidOptionError);
  });

  it('keeps the position of a durable when it is closed, and forgets it when it is unsubscribed', async () => {
    const connection = await rig.connect();
    const channel = await filled(connection, 3);
    const options = { durable: 'd', startAt: 'all', manualAck: true } as const;
    const first = await connection.subscribe(channel, options);
    const message = (await first[Symbol.asyncIterator]().next()).value;
    message.ack();
    await first.close();
    await assert.rejects(first.close(), ClosedError);
    const second = await connection.subscribe(channel, options);
    const seconds = second[Symbol.asyncIterator]();
    assert.equal((await seconds.next()).value.sequence, 2);
    await second.unsubscribe();
    assert.equal((await seconds.next()).done, true);
    const third = await connection.subscribe(channel, options);
    assert.equal((await third[Symbol.asyncIterator]().next()).value.sequence, 1);
  });

  it('keeps a durable when the connection is closed', async () => {
    const clientId = rig.rig.name('client');
    const first = await rig.connect({ clientId });
    const channel = await filled(first, 2);
    const subscription = await first.subscribe(channel, { durable: 'd', startAt: 'all' });
    assert.deepEqual(await texts(subscription[Symbol.asyncIterator](), 2), ['1', '2']);
    await first.close();
    const second = await rig.connect({ clientId });
    await second.publish(channel, '3');
    const again = await second.subscribe(channel, { durable: 'd' });
    // The second message was being handled: it comes again.
    assert.deepEqual(await texts(again[Symbol.asyncIterator](), 2), ['2', '3']);
  });

  it("is refused a durable that is in use, in the server's words", async () => {
    const connection = await rig.connect();
    const channel = await filled(connection, 1);
    await connection.subscribe(channel, { durable: 'd' });
    await assert.rejects(connection.subscribe(channel, { durable: 'd' }), (error: SubscribeError) => {
      assert.ok(error instanceof SubscribeError);
      assert.equal(error.serverText, 'stan: duplicate durable registration');
      return true;
    });
  });

  it('shares a channel with the members of its queue group', async () => {
    const connection = await rig.connect();
    const channel = rig.channel();
    const seen: string[][] = [[], []];
    for (const mine of seen) {
      await connection.subscribe(channel, {
        queue: 'q',
        callback: (_error, message) => void mine.push(message.string()),
      });
    }
    await Promise.all(Array.from({ length: 100 }, (_, i) => connection.publish(channel, String(i))));
    await waitFor(() => seen.flat().length === 100, 'all');
    assert.equal(new Set(seen.flat()).size, 100);
    assert.ok(seen.every((mine) => mine.length > 0));
  });

  it('keeps the position of a durable queue group', async () => {
    const connection = await rig.connect();
    const channel = await filled(connection, 2);
    const options = { queue: 'q', durable: 'd', startAt: 'all', manualAck: true } as const;
    const first = await connection.subscribe(channel, options);
    const messages = first[Symbol.asyncIterator]();
    for (let i = 0; i < 2; i++) (await messages.next()).value.ack();
    await first.close();
    await connection.publish(channel, '3');
    const other = await rig.connect();
    const second = await other.subscribe(channel, options);
    assert.deepEqual(await texts(second[Symbol.asyncIterator](), 1), ['3']);
  });

  it('ends with its connection', async () => {
    const connection = await rig.connect();
    const subscription = await connection.subscribe(rig.channel());
    const next = subscription[Symbol.asyncIterator]().next();
    await connection.close();
    assert.equal((await next).done, true);
    assert.equal(subscription.isClosed(), true);
    await assert.rejects(connection.subscribe(rig.channel()), ClosedError);
  });

  it('is closed at the end of its block', async () => {
    const connection = await rig.connect();
    const channel = rig.channel();
    {
      await using subscription = await connection.subscribe(channel, { durable: 'd' });
      assert.equal(subscription.isClosed(), false);
    }
    // It would be in use.
    await connection.subscribe(channel, { durable: 'd' });
  });
});
