import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { StoredMessage } from '../../../src/import/go-wire/stored-message.js';
import { decodeMsgProto, encodeMsgProtoMessage } from '../../../src/protocol/messages.js';

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const messages = fc.record({
  sequence: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  subject: fc.string({ maxLength: 40 }),
  reply: fc.string({ maxLength: 10 }),
  data: bytes,
  timestamp: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
});

function decode(encoded: Uint8Array): StoredMessage | undefined {
  // Bytes before and behind, as in a read buffer.
  const buffer = Buffer.concat([Buffer.from([8, 1]), encoded, Buffer.from([8, 1])]);
  const message = new StoredMessage();
  return message.decode(buffer, 2, 2 + encoded.length) ? message : undefined;
}

describe('a message that a Go server has stored', () => {
  it('is decoded to its sequence and the exact milliseconds of its timestamp', () => {
    fc.assert(
      fc.property(messages, (fields) => {
        const message = decode(encodeMsgProtoMessage(fields));
        assert.ok(message);
        assert.equal(message.sequence, fields.sequence);
        assert.equal(message.timestampMs, Number(fields.timestamp / 1_000_000n));
        assert.equal(message.dataEnd - message.dataStart, fields.data.length);
        assert.ok(message.isPlain);
      }),
    );
  });

  it('is encoded again with other data, and all else as it was', () => {
    fc.assert(
      fc.property(messages, bytes, (fields, data) => {
        const source = Buffer.from(encodeMsgProtoMessage(fields));
        const message = new StoredMessage();
        assert.ok(message.decode(source, 0, source.length));
        const target = Buffer.alloc(message.maxEncodedSize(data.length));
        const end = message.encode(target, 0, source, data, 0, data.length);
        assert.deepEqual(target.subarray(0, end), Buffer.from(encodeMsgProtoMessage({ ...fields, data })));
      }),
    );
  });

  for (const [what, extra] of [
    ['redelivered', { redelivered: true }],
    ['redelivery count', { redeliveryCount: 3 }],
    ['CRC', { crc32: 99 }],
  ] as const) {
    it(`is not copied as it is where it has a field that is not stored: ${what}`, () => {
      const fields = { sequence: 5, subject: 'x', data: Buffer.from('data'), timestamp: 7n };
      const source = Buffer.from(encodeMsgProtoMessage({ ...fields, ...extra }));
      const message = new StoredMessage();
      assert.ok(message.decode(source, 0, source.length));
      assert.ok(!message.isPlain);
      const target = Buffer.alloc(200);
      const { dataStart, dataEnd } = message;
      const end = message.encode(target, 0, source, source, dataStart, dataEnd);
      assert.deepEqual(
        decodeMsgProto(target.subarray(0, end)),
        decodeMsgProto(encodeMsgProtoMessage(fields)),
      );
    });
  }

  it('is refused, or decoded within its bounds, whatever its bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (garbage) => {
        const message = decode(garbage);
        if (message === undefined) return;
        for (const position of [message.subjectEnd, message.replyEnd, message.dataEnd, message.timestampEnd])
          assert.ok(position >= 2 && position <= 2 + garbage.length);
        assert.ok(Number.isSafeInteger(message.sequence) && Number.isSafeInteger(message.timestampMs));
      }),
    );
  });
});
