import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { ProtocolError } from '../../src/protocol/error-texts.js';
import * as messages from '../../src/protocol/messages.js';
import { read, serialize } from './node-client-codec.js';
import { delimited, join, nearly, tag, varint } from './wire-arbitraries.js';

describe('what node-nats-streaming sends is decoded:', () => {
  it('ConnectRequest', () => {
    const bytes = serialize('ConnectRequest', {
      ClientId: 'me',
      HeartbeatInbox: '_INBOX.hb',
      Protocol: 1,
      ConnId: Buffer.from('conn'),
      PingInterval: 5,
      PingMaxOut: 3,
    });
    assert.deepEqual(messages.decodeConnectRequest(bytes), {
      clientId: 'me',
      heartbeatInbox: '_INBOX.hb',
      protocol: 1,
      connId: new Uint8Array(Buffer.from('conn')),
      pingInterval: 5,
      pingMaxOut: 3,
      wantsGuidMemory: false,
      sendsConnId: false,
    });
  });

  it('SubscriptionRequest', () => {
    const bytes = serialize('SubscriptionRequest', {
      ClientId: 'me',
      Subject: 'foo',
      QGroup: 'group',
      Inbox: '_INBOX.1',
      MaxInFlight: 1024,
      AckWaitInSecs: 30,
      DurableName: 'dur',
      StartPosition: 3,
      StartSequence: 9_007_199_254_740_991,
      StartTimeDelta: 5_000_000_000,
    });
    assert.deepEqual(messages.decodeSubscriptionRequest(bytes), {
      clientId: 'me',
      subject: 'foo',
      queueGroup: 'group',
      inbox: '_INBOX.1',
      maxInFlight: 1024,
      ackWaitSeconds: 30,
      durableName: 'dur',
      startPosition: messages.StartPosition.SEQUENCE_START,
      startSequence: 9_007_199_254_740_991,
      startTimeDelta: 5_000_000_000n,
      connId: new Uint8Array(),
    });
  });

  it('UnsubscribeRequest, CloseRequest, Ping', () => {
    const unsubscribe = serialize('UnsubscribeRequest', {
      ClientId: 'me',
      Subject: 'foo',
      Inbox: 'ack-inbox',
    });
    assert.deepEqual(messages.decodeUnsubscribeRequest(unsubscribe), {
      clientId: 'me',
      subject: 'foo',
      inbox: 'ack-inbox',
      durableName: '',
      connId: new Uint8Array(),
    });
    assert.deepEqual(messages.decodeCloseRequest(serialize('CloseRequest', { ClientId: 'me' })), {
      clientId: 'me',
      connId: new Uint8Array(),
    });
    assert.deepEqual(messages.decodePing(serialize('Ping', { ConnId: Buffer.from('conn') })), {
      connId: new Uint8Array(Buffer.from('conn')),
    });
  });
});

describe('what the broker answers is read by node-nats-streaming:', () => {
  it('ConnectResponse', () => {
    const bytes = messages.encodeConnectResponse({
      pubPrefix: 'p',
      subRequests: 's',
      unsubRequests: 'u',
      closeRequests: 'c',
      subCloseRequests: 'sc',
      pingRequests: 'pi',
      pingInterval: 5,
      pingMaxOut: 3,
      protocol: 1,
    });
    const names = [
      'PubPrefix',
      'SubRequests',
      'UnsubRequests',
      'CloseRequests',
      'SubCloseRequests',
      'PingRequests',
    ];
    assert.deepEqual(read('ConnectResponse', bytes, names), ['p', 's', 'u', 'c', 'sc', 'pi']);
    const numbers = ['PingInterval', 'PingMaxOut', 'Protocol', 'Error'];
    assert.deepEqual(read('ConnectResponse', bytes, numbers), [5, 3, 1, '']);
  });

  it('SubscriptionResponse, CloseResponse, PingResponse', () => {
    const accepted = messages.encodeSubscriptionResponse({ ackInbox: '_INBOX.ack' });
    assert.deepEqual(read('SubscriptionResponse', accepted, ['AckInbox', 'Error']), ['_INBOX.ack', '']);
    const refused = messages.encodeSubscriptionResponse({ error: 'stan: no' });
    assert.deepEqual(read('SubscriptionResponse', refused, ['AckInbox', 'Error']), ['', 'stan: no']);
    assert.deepEqual(read('CloseResponse', messages.encodeCloseResponse({ error: 'stan: no' }), ['Error']), [
      'stan: no',
    ]);
    assert.deepEqual(read('PingResponse', messages.encodePingResponse({ error: 'gone' }), ['Error']), [
      'gone',
    ]);
  });

  it('nothing at all when there is nothing to say', () => {
    assert.equal(messages.encodePingResponse({}).length, 0);
    assert.equal(messages.encodeCloseResponse({ error: '' }).length, 0);
  });
});

describe('a decoder', () => {
  const decoders = Object.entries(messages).flatMap(([name, decode]) =>
    name.startsWith('decode') ? [{ name, decode: decode as (bytes: Uint8Array) => object }] : [],
  );

  for (const { name, decode } of decoders) {
    it(`${name} takes any bytes for a message or throws ProtocolError`, () => {
      const plausible = fc
        .array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.boolean(), fc.nat({ max: 300 })), {
          maxLength: 8,
        })
        .map((fields) =>
          join(
            fields.map(([number, isBytes, value]) =>
              isBytes
                ? delimited(number, Buffer.alloc(value % 20, value))
                : { number, wireType: 0, value: varint(BigInt(value)) },
            ),
          ),
        );
      const bytes = fc.oneof(
        fc.uint8Array({ maxLength: 40 }).map((value) => Buffer.from(value)),
        plausible,
        nearly(plausible),
      );
      fc.assert(
        fc.property(bytes, (buffer) => {
          try {
            decode(buffer);
          } catch (error) {
            assert.ok(error instanceof ProtocolError, String(error));
          }
        }),
        { numRuns: 500 },
      );
    });
  }

  it('refuses a known field of another wire type, as the Go server does', () => {
    const bytes = Buffer.concat([tag(1, 0), varint(5n)]);
    assert.throws(() => messages.decodeCloseRequest(bytes), {
      name: 'ProtocolError',
      message: 'not a CloseRequest: field 1 at byte 0 has wire type 0, not 2',
    });
  });

  it('reads bytes that are not UTF-8, as the Go server does, with U+FFFD in their place', () => {
    const bytes = join([delimited(1, Uint8Array.of(0x61, 0xff))]);
    assert.equal(messages.decodeCloseRequest(bytes).clientId, 'a\ufffd');
  });

  it('keeps an enum value that it does not know', () => {
    const bytes = join([{ number: 10, wireType: 0, value: varint(99n) }]);
    assert.equal(messages.decodeSubscriptionRequest(bytes).startPosition, 99);
  });

  it('cuts an int32 as the Go server does', () => {
    const bytes = join([{ number: 5, wireType: 0, value: varint((1n << 64n) - 1n) }]);
    assert.equal(messages.decodeSubscriptionRequest(bytes).maxInFlight, -1);
  });

  it('takes a start sequence above 2^53 - 1 as 2^53 - 1', () => {
    const bytes = join([{ number: 11, wireType: 0, value: varint((1n << 64n) - 1n) }]);
    assert.equal(messages.decodeSubscriptionRequest(bytes).startSequence, Number.MAX_SAFE_INTEGER);
  });

  it('shares no memory with the bytes it reads', () => {
    const bytes = Buffer.from(messages.encodePing({ connId: Uint8Array.of(1, 2, 3) }));
    const { connId } = messages.decodePing(bytes);
    bytes.fill(0);
    assert.deepEqual(connId, Uint8Array.of(1, 2, 3));
  });
});
