import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { decodeAck, newAckView } from '../../src/protocol/ack.js';
import { ProtocolError } from '../../src/protocol/error-texts.js';
import { decodeAckMessage, decodePubAck, encodeAck } from '../../src/protocol/messages.js';
import {
  encodePubAckError,
  encodePubAckOk,
  maxPubAckErrorSize,
  pubAckOkSize,
} from '../../src/protocol/puback.js';
import { read, serialize } from './node-client-codec.js';
import { delimited, join, nearly, tag, text, unknownField, varint } from './wire-arbitraries.js';

const view = newAckView();

function byHand(bytes: Buffer) {
  if (!decodeAck(bytes, 0, bytes.length, view)) return undefined;
  return {
    subject: bytes.toString('utf8', view.subjectStart, view.subjectEnd),
    sequence: view.sequence,
  };
}

function byLibrary(bytes: Buffer) {
  try {
    return decodeAckMessage(bytes);
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    return undefined;
  }
}

describe('decoding an Ack', () => {
  it('finds what node-nats-streaming sends', () => {
    assert.deepEqual(byHand(serialize('Ack', { Subject: 'foo', Sequence: 4_294_967_300 })), {
      subject: 'foo',
      sequence: 4_294_967_300,
    });
  });

  it('finds what the library finds: any order, unknown fields, the last of equal ones', () => {
    const field = fc.oneof(
      text.map((value) => delimited(1, Buffer.from(value))),
      fc
        .bigInt({ min: 0n, max: (1n << 64n) - 1n })
        .map((value) => ({ number: 2, wireType: 0, value: varint(value) })),
      unknownField,
    );
    fc.assert(
      fc.property(fc.array(field, { maxLength: 6 }), (fields) => {
        const found = byHand(join(fields));
        assert.ok(found);
        assert.deepEqual(found, byLibrary(join(fields)));
      }),
    );
  });

  it('takes a sequence above 2^53 - 1 as 2^53 - 1', () => {
    const bytes = join([{ number: 2, wireType: 0, value: varint((1n << 64n) - 1n) }]);
    assert.equal(byHand(bytes)?.sequence, Number.MAX_SAFE_INTEGER);
  });

  it('refuses wrong wire types and cut bytes', () => {
    assert.equal(byHand(Buffer.concat([tag(1, 0), varint(3n)])), undefined);
    assert.equal(byHand(Buffer.concat([tag(2, 2), varint(0n)])), undefined);
    const whole = Buffer.from(encodeAck({ subject: 'foo', sequence: 300 }));
    for (let end = 0; end < whole.length; end++) {
      const cut = whole.subarray(0, end);
      assert.deepEqual(byHand(cut), byLibrary(cut));
    }
  });

  it('never throws, whatever the bytes', () => {
    const ack = fc.tuple(text, fc.nat()).map(([subject, sequence]) => encodeAck({ subject, sequence }));
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((value) => Buffer.from(value)),
      nearly(ack),
    );
    fc.assert(
      fc.property(bytes, (buffer) => {
        if (byHand(buffer) === undefined) assert.equal(byLibrary(buffer), undefined);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a PubAck', () => {
  it('names the guid, as the library and node-nats-streaming read it', () => {
    fc.assert(
      fc.property(text, (guid) => {
        const source = Buffer.from(`..${guid}`);
        const target = Buffer.alloc(pubAckOkSize(2, source.length) + 1);
        const end = encodePubAckOk(target, 1, source, 2, source.length);
        assert.equal(end, target.length);
        assert.deepEqual(decodePubAck(target.subarray(1)), { guid, error: '' });
        assert.deepEqual(read('PubAck', target.subarray(1), ['Guid', 'Error']), [guid, '']);
      }),
    );
  });

  it('carries an error', () => {
    fc.assert(
      fc.property(text, text, (guid, error) => {
        const source = Buffer.from(guid);
        const target = Buffer.alloc(maxPubAckErrorSize(0, source.length, error));
        const end = encodePubAckError(target, 0, source, 0, source.length, error);
        assert.deepEqual(decodePubAck(target.subarray(0, end)), { guid, error });
      }),
    );
  });
});
