import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeSubscriptionRequest, StartPosition } from '../../src/protocol/messages.js';
import { MemoryStore } from '../../src/store/memory/memory-store.js';
import type { ChannelLog } from '../../src/store/types/store.js';
import { ManualClock } from '../clock/manual-clock.js';
import { waitFor } from '../harness/wait.js';
import { InMemoryBroker, RecordingLink } from './in-memory.js';

const CLIENTS = 1_000;
const INTERVAL_MS = 30_000;

/** A store with the clients of a term before. */
function storeWithClients(clock: ManualClock, count: number): MemoryStore {
  const store = new MemoryStore({ clock, random: (size) => Buffer.alloc(size, 7) });
  for (let i = 0; i < count; i++) {
    store.recovered.clients.push({
      clientId: `client-${i}`,
      heartbeatInbox: `_INBOX.hb.${i}`,
      connId: Buffer.from(`conn-${i}`),
      protocol: 1,
      pingIntervalSeconds: 5,
      pingMaxOut: 3,
      session: i + 1,
    });
  }
  return store;
}

describe('after a takeover', () => {
  it('the first heartbeats to clients are spread evenly over an interval, and so are all later ones', async () => {
    const clock = new ManualClock();
    const askedMs = new Map<string, number[]>();
    const broker = new InMemoryBroker(
      { heartbeatIntervalMs: INTERVAL_MS, heartbeatTimeoutMs: 1_000 },
      storeWithClients(clock, CLIENTS),
      undefined,
      {
        clock,
        ping: (inbox) => {
          askedMs.set(inbox, [...(askedMs.get(inbox) ?? []), clock.monotonicMs()]);
          return Promise.resolve(true);
        },
      },
    );
    await broker.broker.linkUp(broker.link);
    await broker.pass(2 * INTERVAL_MS);
    assert.equal(askedMs.size, CLIENTS);
    const perSecond = new Map<number, number>();
    for (const timesMs of askedMs.values()) {
      assert.ok(timesMs.length >= 1 && timesMs.length <= 2);
      assert.ok((timesMs[0] ?? 0) <= INTERVAL_MS + 20);
      for (const timeMs of timesMs) {
        const second = Math.floor(timeMs / 1_000);
        perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
      }
    }
    const most = Math.max(...perSecond.values());
    assert.ok(most <= (CLIENTS / INTERVAL_MS) * 1_000 * 1.2, `${most} clients are asked in one second`);
  });

  it('deliveries over a new link give way to messages that come in, however many subscriptions there are', async () => {
    const subscriptions = 200;
    const broker = await InMemoryBroker.start();
    await broker.connect('c');
    for (let i = 0; i < subscriptions; i++)
      await broker.subscribe({ clientId: 'c', subject: `channel.${i}`, inbox: `_INBOX.in.${i}` });
    broker.broker.linkDown();
    let served = 0;
    for (const channel of broker.broker.channels.all()) {
      // As if each took a millisecond.
      Object.defineProperty(channel, 'groups', {
        get: () => {
          broker.clock.freeze(1);
          served++;
          return new Map();
        },
      });
    }
    await broker.broker.linkUp(new RecordingLink());
    assert.ok(served > 0 && served < 10, `${served} channels in one turn`);
    await waitFor(() => served >= subscriptions, 'all channels have had their turn');
  });

  it('messages of many channels that reach their age limit go in slices', async () => {
    const channels = 400;
    const broker = await InMemoryBroker.start({ limits: { maxAgeMs: 10_000 } });
    await broker.connect('c');
    for (let i = 0; i < channels; i++) await broker.publish('c', `channel.${i}`, 1);
    const count = (): number => {
      let messages = 0;
      for (const { log } of broker.broker.channels.all()) messages += log.messageCount;
      return messages;
    };
    const inner = broker.clock.monotonicMs.bind(broker.clock);
    // Each look at the clock takes a millisecond, and there is one for each channel that is done.
    let looksMs = 0;
    broker.clock.monotonicMs = () => inner() + looksMs++;
    broker.clock.advance(9_000);
    while (count() === channels) broker.clock.advance(1);
    const dropped = channels - count();
    assert.ok(dropped < 20, `${dropped} of ${channels} go in the first slice`);
    broker.clock.advance(60_000);
    assert.equal(count(), 0);
  });

  it('a subscription to a channel with very many messages beyond their age waits until they are gone, in slices, and others do not', async () => {
    const broker = await InMemoryBroker.start({ limits: { maxAgeMs: 10_000 } });
    await broker.connect('c');
    const log = (): ChannelLog => {
      const channel = broker.broker.channels.get('old');
      assert.ok(channel !== undefined);
      return channel.log;
    };
    const messages = 5_000;
    for (let i = 0; i < messages; i += 100) {
      const acks: Promise<void>[] = [];
      for (let j = 0; j < 100; j++) acks.push(broker.publish('c', 'old'));
      await Promise.all(acks);
    }
    // Time passes, and no timer has run yet.
    broker.clock.freeze(11_000);
    const inner = broker.clock.monotonicMs.bind(broker.clock);
    let looksMs = 0;
    broker.clock.monotonicMs = () => inner() + looksMs++;
    const ask = (subject: string, reply: string): void => {
      const payload = encodeSubscriptionRequest({
        ...{ clientId: 'c', subject, inbox: `_INBOX.${subject}` },
        ...{ maxInFlight: 10, ackWaitSeconds: 30, startPosition: StartPosition.FIRST },
      });
      void broker.message('_STAN.sub.c', payload, reply);
    };
    ask('old', '_INBOX.reply.old');
    assert.ok(
      log().messageCount > messages - 1_000,
      `${log().messageCount} left of ${messages} after one turn`,
    );
    ask('new', '_INBOX.reply.new');
    const answers = (): string[] =>
      broker.link.sent.map(({ subject }) => subject).filter((subject) => subject.startsWith('_INBOX.reply.'));
    await waitFor(() => answers().includes('_INBOX.reply.new'), 'the answer for the other channel');
    await waitFor(
      () => answers().includes('_INBOX.reply.old'),
      'the answer for the channel with old messages',
    );
    assert.equal(log().messageCount, 0);
    assert.deepEqual(
      broker.link.sent.filter(({ subject }) => subject === '_INBOX.old'),
      [],
      'nothing beyond its age is delivered',
    );
  });
});
