import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { ackSubject } from '../../src/broker/served-subjects.js';
import {
  decodeConnectResponse,
  decodePubAck,
  decodeSubscriptionResponse,
  encodeAck,
  encodeCloseRequest,
  encodeConnectRequest,
  encodePing,
  encodePubMsg,
  encodeSubscriptionRequest,
  encodeUnsubscribeRequest,
} from '../../src/protocol/messages.js';
import { delimited, join, nearly, tag, unknownField, varint } from '../protocol/wire-arbitraries.js';
import { FuzzedBroker, StrictLink } from './fuzz-world.js';
import { InMemoryBroker } from './in-memory.js';
import { checkConsistency } from './model-consistency.js';

const RUNS = Number(process.env.FUZZ_RUNS ?? 60);
const MAX_CHANNELS = 20;

const PUBLISH = '_STAN.pub.c.>';
const DISCOVER = '_STAN.discover.c';
const SUBSCRIBE = '_STAN.sub.c';
const SUBJECTS = [
  PUBLISH,
  DISCOVER,
  '_STAN.discover.c.pings',
  SUBSCRIBE,
  '_STAN.subclose.c',
  '_STAN.unsub.c',
  '_STAN.close.c',
];

const uglyName = fc.constantFrom(
  '',
  ' ',
  'a b',
  'x 0\r\n\r\nPUB victim 3\r\nbad\r\n',
  '\r',
  '\n',
  '\t',
  '\0',
  '\x7f',
  '\u0085',
  '\u00a0',
  '\u2028',
  '\ufeff',
  '*',
  '>',
  'a.*',
  'a.>',
  'a>b',
  'a*b',
  '.',
  'a.',
  '.a',
  'a..b',
  '../../etc/passwd',
  'a/b',
  'a:b',
  '__proto__',
  'constructor',
  'toString',
  'é'.repeat(600),
  '\u{1f600}',
  'x'.repeat(1024),
  'x'.repeat(1025),
  'x'.repeat(5000),
  '_STAN.pub.c.foo',
  '_STAN.discover.c',
  '$SYS.REQ.SERVER.PING',
);
const name = fc.oneof(fc.constantFrom('a', 'b', 'foo', 'foo.bar', '_IN.1', '_IN.2', 'd', 'g'), uglyName);
const client = fc.oneof({ weight: 4, arbitrary: fc.constantFrom('a', 'b') }, { weight: 1, arbitrary: name });
const number = fc.oneof(
  fc.integer({ min: 1, max: 10 }),
  fc.constantFrom(0, -1, 2 ** 31 - 1, -(2 ** 31)),
  fc.integer(),
);
const sequence = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.maxSafeNat());
const connId = fc.oneof(fc.constantFrom('conn-a', 'conn-b', ''), name).map((text) => Buffer.from(text));

// The store's id and the secrets are made of the test's "random" bytes: all ack inboxes are known.
const ackInboxPrefix = ackSubject(new InMemoryBroker().broker.store.storeId).slice(0, -1);
const ackInboxOf = (id: number): string => `${ackInboxPrefix}${id}-${'A'.repeat(22)}`;
const ackInbox = fc.integer({ min: 0, max: 30 }).map(ackInboxOf);

const messages: fc.Arbitrary<Uint8Array>[] = [
  fc
    .record({ clientId: client, connId, guid: name, subject: name, reply: name, data: fc.uint8Array() })
    .map(encodePubMsg),
  fc
    .record({
      clientId: client,
      heartbeatInbox: name,
      connId,
      protocol: number,
      pingInterval: number,
      pingMaxOut: number,
    })
    .map(encodeConnectRequest),
  fc.record({ connId }).map(encodePing),
  fc
    .record({
      clientId: client,
      subject: name,
      queueGroup: fc.oneof(fc.constant(''), name),
      inbox: name,
      maxInFlight: number,
      ackWaitSeconds: number,
      durableName: fc.oneof(fc.constant(''), name),
      startPosition: fc.oneof(fc.integer({ min: 0, max: 5 }), number),
      startSequence: sequence,
      startTimeDelta: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    })
    .map(encodeSubscriptionRequest),
  fc
    .record({ clientId: client, subject: name, inbox: fc.oneof(name, ackInbox), durableName: name })
    .map(encodeUnsubscribeRequest),
  fc.record({ clientId: client }).map(encodeCloseRequest),
  fc.record({ subject: name, sequence }).map(encodeAck),
];

const badUtf8 = fc
  .tuple(fc.integer({ min: 1, max: 12 }), fc.constantFrom([0xff, 0xfe], [0xc0, 0xaf], [0xed, 0xa0, 0x80]))
  .map(([field, bytes]) => join([delimited(field, Uint8Array.from(bytes))]));
const hugeLength = fc
  .tuple(
    fc.integer({ min: 1, max: 12 }),
    fc.constantFrom(2n ** 31n, 2n ** 32n - 1n, 2n ** 63n, 2n ** 64n - 1n),
  )
  .map(([field, length]) => Buffer.concat([tag(field, 2), varint(length)]));
const wrongType = fc
  .tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 0, max: 7 }), fc.uint8Array({ maxLength: 12 }))
  .map(([number, wireType, value]) => join([{ number, wireType, value }]));

const whole = fc.oneof(...messages);
const payload: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 6, arbitrary: whole },
  { weight: 3, arbitrary: nearly(whole) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  { weight: 1, arbitrary: fc.tuple(whole, fc.oneof(badUtf8, hugeLength, wrongType)).map(Buffer.concat) },
  {
    weight: 1,
    arbitrary: fc.tuple(whole, unknownField).map(([bytes, field]) => Buffer.concat([bytes, join([field])])),
  },
);

interface Handed {
  subject: string;
  bytes: Uint8Array;
  ackId: number;
  withReply: boolean;
  endsRead: boolean;
}

/** Mostly each message on its own subject; sometimes any message on any. */
const handed: fc.Arbitrary<Handed> = fc.oneof(
  ...[...SUBJECTS, 'ack'].map((subject, index) =>
    fc.record({
      subject: fc.constant(subject),
      bytes: fc.oneof({ weight: 3, arbitrary: messages[Math.min(index, messages.length - 1)]! }, payload),
      ackId: fc.integer({ min: 0, max: 30 }),
      withReply: fc.boolean(),
      endsRead: fc.boolean(),
    }),
  ),
);

async function handAll(fuzzed: FuzzedBroker, all: readonly Handed[]): Promise<void> {
  let replies = 0;
  for (const { subject, bytes, ackId, withReply, endsRead } of all) {
    const reply = withReply ? `_R.fuzz.${++replies}` : '';
    if (subject === 'ack') {
      fuzzed.hand(fuzzed.ackSubject, bytes, reply, ackInboxOf(ackId));
    } else fuzzed.hand(subject, bytes, reply);
    if (endsRead) await fuzzed.settle();
  }
  await fuzzed.settle();
}

function connectRequest(clientId: string): Uint8Array {
  const heartbeatInbox = `_HB.${clientId}`;
  return encodeConnectRequest({
    clientId,
    heartbeatInbox,
    connId: Buffer.from(`conn-${clientId}`),
    protocol: 1,
  });
}

describe('any bytes on any subject of the broker', () => {
  it('do no harm: no error, no bad line to NATS, tables that agree, and then it serves as before', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(handed, { minLength: 20, maxLength: 120 }), async (all) => {
        const fuzzed = await FuzzedBroker.start({ maxChannels: MAX_CHANNELS });
        const { broker } = fuzzed;
        for (const id of ['a', 'b']) await fuzzed.ask(DISCOVER, connectRequest(id));
        await handAll(fuzzed, all);
        checkConsistency(broker);
        for (let second = 0; second < 40; second++) {
          fuzzed.clock.advance(100);
          await fuzzed.settle();
        }
        checkConsistency(broker);
        assert.ok(broker.channels.size <= MAX_CHANNELS);
        assert.ok(broker.clients.size <= all.length + 2);

        fuzzed.alive.add('_HB.sane');
        const connected = await fuzzed.ask(DISCOVER, connectRequest('sane'));
        assert.equal(decodeConnectResponse(connected!).error, '');
        const { link } = fuzzed;
        link.sent.length = 0;
        const message = {
          clientId: 'sane',
          guid: 'g',
          subject: [...broker.channels.all()][0]?.name ?? 'foo',
        };
        const acked = decodePubAck((await fuzzed.ask(PUBLISH, encodePubMsg(message)))!);
        assert.deepEqual([acked.guid, acked.error], ['g', '']);
        broker.stop();
      }),
      { numRuns: RUNS },
    );
  });

  it('store nothing and make no subscription as long as no client is connected', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(handed, { minLength: 20, maxLength: 200 }), async (all) => {
        const fuzzed = await FuzzedBroker.start();
        await handAll(
          fuzzed,
          all.filter(({ subject }) => subject !== DISCOVER),
        );
        const { channels, clients, subscriptions } = fuzzed.broker;
        assert.deepEqual([channels.size, clients.size, subscriptions.size], [0, 0, 0]);
        fuzzed.broker.stop();
      }),
      { numRuns: RUNS },
    );
  });
});

describe('names that do harm elsewhere', () => {
  it('of inboxes are refused if they could break a protocol line, and none is ever written into one', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(uglyName, fc.string({ unit: 'binary' })), async (inbox) => {
        const fuzzed = await FuzzedBroker.start();
        await fuzzed.ask(DISCOVER, connectRequest('a'));
        const request = {
          clientId: 'a',
          subject: 'foo',
          inbox,
          maxInFlight: 5,
          ackWaitSeconds: 5,
          startPosition: 4,
        };
        const answer = await fuzzed.ask(SUBSCRIBE, encodeSubscriptionRequest(request));
        const { error } = decodeSubscriptionResponse(answer!);
        assert.ok(error === '' || error === 'stan: invalid subscription request', error);
        // The strict link looks at what is delivered.
        await fuzzed.ask(PUBLISH, encodePubMsg({ clientId: 'a', guid: 'g', subject: 'foo' }));
        assert.equal(
          fuzzed.link.sent.some(({ subject }) => subject === inbox),
          error === '',
        );
        fuzzed.broker.stop();
      }),
      { numRuns: 200 },
    );
  });

  it('of two subscriptions that share an inbox do not unregister each other', async () => {
    const fuzzed = await FuzzedBroker.start();
    for (const id of ['a', 'b']) await fuzzed.ask(DISCOVER, connectRequest(id));
    const subscribe = async (clientId: string, inbox: string): Promise<string> => {
      const request = { clientId, subject: 'foo', inbox, maxInFlight: 5, ackWaitSeconds: 5 };
      return decodeSubscriptionResponse((await fuzzed.ask(SUBSCRIBE, encodeSubscriptionRequest(request)))!)
        .ackInbox;
    };
    const end = async (clientId: string, inbox: string): Promise<string> => {
      const request = encodeUnsubscribeRequest({ clientId, subject: 'foo', inbox });
      return decodeSubscriptionResponse((await fuzzed.ask('_STAN.unsub.c', request))!).error;
    };
    const victim = await subscribe('a', '_IN.shared');
    // By the same inbox, and by its ack inbox as an inbox.
    const first = await subscribe('b', '_IN.shared');
    const second = await subscribe('b', victim);
    assert.equal(await end('b', first), '');
    assert.equal(await end('b', second), '');
    assert.equal(await end('a', victim), '');
  });
});

describe('what is too large', () => {
  it('a guid that fits in a message, but not with an error in the answer, does not cost the connection', async () => {
    const link = new StrictLink(4096);
    const fuzzed = await FuzzedBroker.start({}, link);
    for (let length = 3900; length <= 4090; length++) {
      const answer = await fuzzed.ask(PUBLISH, encodePubMsg({ guid: 'g'.repeat(length) }));
      assert.equal(decodePubAck(answer!).error, 'stan: invalid publish request');
    }
  });
});

describe('floods', () => {
  it('of distinct channel names are refused at the limit, and leave nothing behind', async () => {
    const fuzzed = await FuzzedBroker.start({ maxChannels: 10 });
    await fuzzed.ask(DISCOVER, connectRequest('a'));
    for (let i = 0; i < 50_000; i++) {
      // Also names that differ in case only.
      const subject =
        i % 2 === 0 ? `channel-${i}` : `CHANNEL-${i % 20}-${i.toString(2).replaceAll('1', 'A')}`;
      fuzzed.hand(PUBLISH, encodePubMsg({ clientId: 'a', guid: subject, subject }), '_R.x');
      if (i % 1000 === 0) await fuzzed.settle();
      fuzzed.link.sent.length = 0;
    }
    await fuzzed.settle();
    assert.equal(fuzzed.broker.channels.size, 10);
    assert.ok([...fuzzed.broker.badInput.counts()].length < 10, 'kinds of bad input');
  });

  it('of spellings of one channel name are one kind of bad input', async () => {
    const fuzzed = await FuzzedBroker.start();
    await fuzzed.ask(DISCOVER, connectRequest('a'));
    for (let i = 0; i < 1024; i++) {
      const subject = [...'abcdefghij']
        .map((char, at) => ((i >> at) & 1 ? char.toUpperCase() : char))
        .join('');
      fuzzed.hand(PUBLISH, encodePubMsg({ clientId: 'a', guid: subject, subject }), '_R.x');
    }
    await fuzzed.settle();
    assert.equal(fuzzed.broker.channels.size, 1);
    assert.ok([...fuzzed.broker.badInput.counts()].length < 5, 'kinds of bad input');
  });

  it('of connects with bad ids leave nothing behind', async () => {
    const fuzzed = await FuzzedBroker.start();
    for (let i = 0; i < 20_000; i++) {
      const request = { clientId: `client ${i}`, heartbeatInbox: `_HB.${i}`, connId: Buffer.from(`${i}`) };
      fuzzed.hand(DISCOVER, encodeConnectRequest(request), '_R.x');
      if (i % 1000 === 0) await fuzzed.settle();
      fuzzed.link.sent.length = 0;
    }
    await fuzzed.settle();
    assert.equal(fuzzed.broker.clients.size, 0);
  });
});
