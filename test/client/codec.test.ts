import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AckEncoder } from '../../src/client/ack-encoder.js';
import { jsonCodec } from '../../src/client/codec.js';
import { ReceivedMessage } from '../../src/client/message.js';
import { PubEncoder } from '../../src/client/pub-encoder.js';
import {
  decodeAckMessage,
  decodeMsgProto,
  decodePubMsgMessage,
  encodeMsgProtoMessage,
} from '../../src/protocol/messages.js';

const channels = fc.stringMatching(/^[a-zA-Z0-9_-]{1,40}(\.[a-zé]{1,200}){0,3}$/);
const sequences = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const bytes = fc.uint8Array({ maxLength: 300 });

describe("the client's own codecs, against the protobuf library", () => {
  it('encode a PubMsg', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[\w-]{1,200}$/),
        bytes,
        fc.array(fc.record({ channel: channels, data: bytes }), { minLength: 1, maxLength: 3 }),
        (clientId, connId, messages) => {
          const encoder = new PubEncoder('p', clientId, connId);
          for (const { channel: subject, data } of messages) {
            const channel = encoder.channel(subject);
            assert.equal(channel.subject, `p.${subject}`);
            const decoded = decodePubMsgMessage(encoder.encode(channel, 'a-guid', data));
            const { clientId: id, guid, subject: name, data: payload, connId: conn } = decoded;
            assert.deepEqual([id, guid, name], [clientId, 'a-guid', subject]);
            assert.deepEqual([...payload], [...data]);
            assert.deepEqual([...conn], [...connId]);
          }
        },
      ),
    );
  });

  it('encode Acks, each in bytes of its own', () => {
    fc.assert(
      fc.property(channels, fc.array(sequences, { minLength: 1, maxLength: 50 }), (subject, all) => {
        const encoder = new AckEncoder(subject);
        const encoded = all.map((sequence) => encoder.encode(sequence));
        assert.deepEqual(
          encoded.map((ack) => decodeAckMessage(ack)),
          all.map((sequence) => ({ subject, sequence })),
        );
      }),
    );
  });

  it('encode many Acks of a long channel', () => {
    const subject = 'x'.repeat(5_000);
    const encoder = new AckEncoder(subject);
    const encoded = Array.from({ length: 100 }, (_, i) => encoder.encode(i + 1));
    assert.deepEqual(
      encoded.map((ack) => decodeAckMessage(ack).sequence),
      encoded.map((_, i) => i + 1),
    );
  });

  it('read a MsgProto', () => {
    const messages = fc.record({
      sequence: sequences,
      subject: channels,
      reply: fc.string(),
      data: bytes,
      timestamp: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
      redelivered: fc.boolean(),
      redeliveryCount: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      crc32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    });
    fc.assert(
      fc.property(messages, (message) => {
        const read = ReceivedMessage.from(source(), encodeMsgProtoMessage(message));
        assert.ok(read !== undefined);
        assert.deepEqual([...read.data], [...message.data]);
        assert.equal(read.sequence, message.sequence);
        assert.equal(read.timestampNanos, message.timestamp);
        assert.equal(read.redelivered, message.redelivered);
        assert.equal(read.redeliveryCount, message.redeliveryCount);
      }),
    );
  });

  it('take any bytes, and say what the library says of those that are a MsgProto', () => {
    fc.assert(
      fc.property(bytes, (anything) => {
        const read = ReceivedMessage.from(source(), anything);
        let decoded: ReturnType<typeof decodeMsgProto> | undefined;
        try {
          decoded = decodeMsgProto(anything);
        } catch {
          return;
        }
        if (read === undefined) return;
        assert.deepEqual([...read.data], [...decoded.data]);
        assert.equal(Math.min(read.sequence, Number.MAX_SAFE_INTEGER), decoded.sequence);
      }),
      { numRuns: 2_000 },
    );
  });
});

function source(): Parameters<typeof ReceivedMessage.from>[0] {
  return { subject: 'foo', codec: jsonCodec(), ack: () => {} };
}
