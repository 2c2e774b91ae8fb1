import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { decodeMsgProto, encodeMsgProtoMessage, encodePubMsg } from '../../src/protocol/messages.js';
import {
  appendRedelivered,
  decodeMsgProtoView,
  encodeMsgProto,
  encodeTimestamp,
  MAX_TIMESTAMP_SIZE,
  maxMsgProtoSize,
  newMsgProtoView,
  readMsgProtoSequence,
  readMsgProtoTimestampNs,
  redeliveredSize,
} from '../../src/protocol/msgproto.js';
import { decodePubMsg, newPubMsgView } from '../../src/protocol/pubmsg.js';
import { MALFORMED } from '../../src/protocol/wire.js';
import { read } from './node-client-codec.js';
import { delimited, join, nearly, payload, text, unknownField, varint } from './wire-arbitraries.js';

const view = newPubMsgView();
const timestamp = Buffer.alloc(MAX_TIMESTAMP_SIZE);

const sequence = fc.oneof(
  fc.integer({ min: 1, max: 1_000_000 }),
  fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  fc.constantFrom(
    0x7f,
    0x80,
    0x3fff,
    0x4000,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    2 ** 35,
    Number.MAX_SAFE_INTEGER,
  ),
);
const timestampNs = fc.oneof(
  fc.bigInt({ min: 1_500_000_000_000_000_000n, max: 1_900_000_000_000_000_000n }),
  fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
);

/** The MsgProto of an encoded PubMsg. */
function msgProtoOf(pubMsg: Buffer, sequenceNumber: number, ns: bigint): Buffer {
  assert.ok(decodePubMsg(pubMsg, 0, pubMsg.length, view));
  const target = Buffer.alloc(maxMsgProtoSize(view) + 3);
  const timestampLength = ns === 0n ? 0 : encodeTimestamp(timestamp, 0, ns);
  const end = encodeMsgProto(target, 3, sequenceNumber, timestamp, timestampLength, view);
  return target.subarray(3, end);
}

describe('a published message as MsgProto', () => {
  it('is, byte for byte, what the library writes', () => {
    const message = fc.record({ subject: text, reply: text, data: payload });
    fc.assert(
      fc.property(message, sequence, timestampNs, (fields, sequenceNumber, ns) => {
        const pubMsg = Buffer.from(
          encodePubMsg({ clientId: 'me', guid: 'g', ...fields, connId: Buffer.from('c') }),
        );
        const expected = encodeMsgProtoMessage({ ...fields, sequence: sequenceNumber, timestamp: ns });
        assert.ok(msgProtoOf(pubMsg, sequenceNumber, ns).equals(expected));
      }),
    );
  });

  it('is the same however the fields of the PubMsg lie', () => {
    const field = fc
      .tuple(fc.constantFrom(2, 3, 4, 5, 6), text)
      .map(([number, value]) => delimited(number, Buffer.from(value)));
    fc.assert(
      fc.property(fc.array(fc.oneof(field, unknownField), { maxLength: 8 }), (fields) => {
        const pubMsg = join(fields);
        assert.ok(decodePubMsg(pubMsg, 0, pubMsg.length, view));
        const expected = encodeMsgProtoMessage({
          sequence: 300,
          subject: pubMsg.toString('utf8', view.subjectStart, view.subjectEnd),
          reply: pubMsg.toString('utf8', view.replyStart, view.replyEnd),
          data: pubMsg.subarray(view.dataStart, view.dataEnd),
          timestamp: 99n,
        });
        assert.ok(msgProtoOf(pubMsg, 300, 99n).equals(expected));
      }),
    );
  });

  it('is the same when the PubMsg writes lengths in more bytes than they need', () => {
    const long = (value: string) =>
      Buffer.concat([Uint8Array.of(0x80 | value.length, 0x00), Buffer.from(value)]);
    const pubMsg = join([
      { number: 3, wireType: 2, value: long('foo') },
      { number: 4, wireType: 2, value: long('answer') },
      { number: 5, wireType: 2, value: long('data') },
    ]);
    const expected = encodeMsgProtoMessage({
      sequence: 1,
      subject: 'foo',
      reply: 'answer',
      data: Buffer.from('data'),
      timestamp: 1n,
    });
    assert.ok(msgProtoOf(pubMsg, 1, 1n).equals(expected));
  });

  it('leaves out what is zero or empty', () => {
    assert.equal(msgProtoOf(Buffer.alloc(0), 0, 0n).length, 0);
  });

  it('becomes a redelivery by two fields at its end', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (redeliveryCount) => {
        const pubMsg = Buffer.from(encodePubMsg({ subject: 'foo', data: Buffer.from('hello') }));
        const first = msgProtoOf(pubMsg, 7, 5n);
        const target = Buffer.concat([first, Buffer.alloc(redeliveredSize(redeliveryCount))]);
        assert.equal(appendRedelivered(target, first.length, redeliveryCount), target.length);
        const expected = { ...decodeMsgProto(first), redelivered: true, redeliveryCount };
        assert.deepEqual(decodeMsgProto(target), expected);
      }),
    );
  });

  it('is read by node-nats-streaming', () => {
    const pubMsg = Buffer.from(encodePubMsg({ subject: 'foo', data: Buffer.from('hello') }));
    const bytes = Buffer.concat([
      msgProtoOf(pubMsg, 7, 1_700_000_000_000_000_000n),
      Buffer.alloc(redeliveredSize(3)),
    ]);
    appendRedelivered(bytes, bytes.length - redeliveredSize(3), 3);
    const fields = ['Sequence', 'Subject', 'Timestamp', 'Redelivered', 'RedeliveryCount'];
    assert.deepEqual(read('MsgProto', bytes, fields), [7, 'foo', 1_700_000_000_000_000_000, true, 3]);
  });
});

describe('reading a stored MsgProto', () => {
  it('gives sequence, timestamp, subject and data back', () => {
    const found = newMsgProtoView();
    fc.assert(
      fc.property(sequence, timestampNs, text, payload, (sequenceNumber, ns, subject, data) => {
        const bytes = Buffer.from(
          encodeMsgProtoMessage({ sequence: sequenceNumber, subject, data, timestamp: ns }),
        );
        assert.equal(readMsgProtoSequence(bytes, 0, bytes.length), sequenceNumber);
        assert.equal(readMsgProtoTimestampNs(bytes, 0, bytes.length), ns);
        assert.ok(decodeMsgProtoView(bytes, 0, bytes.length, found));
        assert.equal(found.sequence, sequenceNumber);
        assert.equal(bytes.toString('utf8', found.subjectStart, found.subjectEnd), subject);
        assert.ok(bytes.subarray(found.dataStart, found.dataEnd).equals(data));
      }),
    );
  });

  it('refuses a sequence above 2^53 - 1', () => {
    const bytes = join([{ number: 1, wireType: 0, value: varint(1n << 60n) }]);
    assert.equal(readMsgProtoSequence(bytes, 0, bytes.length), MALFORMED);
  });

  it('never throws, whatever the bytes', () => {
    const found = newMsgProtoView();
    const message = fc
      .record({ sequence, subject: text, data: payload, timestamp: timestampNs })
      .map((fields) => encodeMsgProtoMessage(fields));
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((value) => Buffer.from(value)),
      nearly(message),
    );
    fc.assert(
      fc.property(bytes, (buffer) => {
        readMsgProtoSequence(buffer, 0, buffer.length);
        readMsgProtoTimestampNs(buffer, 0, buffer.length);
        decodeMsgProtoView(buffer, 0, buffer.length, found);
      }),
      { numRuns: 1000 },
    );
  });
});
