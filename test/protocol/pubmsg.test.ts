import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { ProtocolError } from '../../src/protocol/error-texts.js';
import { decodePubMsgMessage, encodePubMsg } from '../../src/protocol/messages.js';
import { decodePubMsg, newPubMsgView } from '../../src/protocol/pubmsg.js';
import { serialize } from './node-client-codec.js';
import { delimited, join, nearly, payload, tag, text, unknownField, varint } from './wire-arbitraries.js';

const view = newPubMsgView();

function fieldsOf(buffer: Buffer) {
  const bytes = (start: number, end: number) => buffer.subarray(start, end).toString('latin1');
  return {
    clientId: bytes(view.clientIdStart, view.clientIdEnd),
    guid: bytes(view.guidStart, view.guidEnd),
    subject: bytes(view.subjectStart, view.subjectEnd),
    reply: bytes(view.replyStart, view.replyEnd),
    data: bytes(view.dataStart, view.dataEnd),
    connId: bytes(view.connIdStart, view.connIdEnd),
  };
}

/** By hand; undefined if refused. */
function byHand(buffer: Buffer) {
  return decodePubMsg(buffer, 0, buffer.length, view) ? fieldsOf(buffer) : undefined;
}

/** By the library; undefined if refused. Strings as the bytes they came from. */
function byLibrary(buffer: Buffer) {
  try {
    const message = decodePubMsgMessage(buffer);
    const latin1 = (value: string | Uint8Array) => Buffer.from(value).toString('latin1');
    return {
      clientId: latin1(message.clientId),
      guid: latin1(message.guid),
      subject: latin1(message.subject),
      reply: latin1(message.reply),
      data: latin1(message.data),
      connId: latin1(message.connId),
    };
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    return undefined;
  }
}

const pubMsg = fc.record({
  clientId: text,
  guid: text,
  subject: text,
  reply: text,
  data: payload,
  connId: fc.uint8Array({ maxLength: 40 }),
});
const encoded = pubMsg.map((message) => Buffer.from(encodePubMsg(message)));
const utf8Field = fc
  .tuple(fc.constantFrom(1, 2, 3, 4, 5, 6, 10), text)
  .map(([number, value]) => delimited(number, Buffer.from(value)));

describe('decoding a PubMsg', () => {
  it('finds every field of what node-nats-streaming sends', () => {
    const bytes = serialize('PubMsg', {
      ClientId: 'me',
      ConnId: Buffer.from('conn'),
      Guid: 'guid-1',
      Subject: 'foo.bar',
      Data: Buffer.from('hello'),
    });
    assert.deepEqual(byHand(bytes), {
      clientId: 'me',
      guid: 'guid-1',
      subject: 'foo.bar',
      reply: '',
      data: 'hello',
      connId: 'conn',
    });
  });

  it('finds what the library finds, in any message', () => {
    fc.assert(
      fc.property(encoded, (bytes) => {
        assert.deepEqual(byHand(bytes), byLibrary(bytes));
      }),
    );
  });

  it('takes fields in any order, skips unknown ones, and of equal ones counts the last', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(utf8Field, unknownField), { maxLength: 12 }), (fields) => {
        const bytes = join(fields);
        const found = byHand(bytes);
        assert.ok(found);
        assert.deepEqual(found, byLibrary(bytes));
      }),
    );
  });

  it('reads only its part of the buffer', () => {
    fc.assert(
      fc.property(
        encoded,
        fc.uint8Array({ maxLength: 20 }),
        fc.uint8Array({ maxLength: 20 }),
        (bytes, before, after) => {
          const expected = byHand(bytes);
          const buffer = Buffer.concat([before, bytes, after]);
          assert.ok(decodePubMsg(buffer, before.length, before.length + bytes.length, view));
          assert.deepEqual(fieldsOf(buffer), expected);
        },
      ),
    );
  });

  it('refuses or accepts a message cut at any byte as the library does', () => {
    fc.assert(
      fc.property(pubMsg, (message) => {
        const bytes = Buffer.from(encodePubMsg({ ...message, data: message.data.slice(0, 40) }));
        for (let end = 0; end < bytes.length; end++) {
          const cut = bytes.subarray(0, end);
          assert.deepEqual(byHand(cut), byLibrary(cut));
        }
      }),
      { numRuns: 30 },
    );
  });

  it('never throws, and never accepts what the library could not have, whatever the bytes', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((value) => Buffer.from(value)),
      nearly(encoded),
    );
    fc.assert(
      fc.property(bytes, (buffer) => {
        const found = byHand(buffer);
        const expected = byLibrary(buffer);
        // Strings that are not UTF-8 look different to the library; and it refuses some odd forms of groups and tags.
        if (found === undefined) assert.equal(expected, undefined);
        else if (expected !== undefined) assert.equal(found.data, expected.data);
      }),
      { numRuns: 3000 },
    );
  });

  it('gives the bytes of a string that is not UTF-8 as they are', () => {
    const bytes = join([delimited(2, Buffer.from('g')), delimited(3, Uint8Array.of(0x66, 0xff, 0xfe))]);
    assert.equal(byHand(bytes)?.subject, 'f\xff\xfe');
  });

  it('takes an empty message as one with no fields', () => {
    assert.deepEqual(byHand(Buffer.alloc(0)), {
      clientId: '',
      guid: '',
      subject: '',
      reply: '',
      data: '',
      connId: '',
    });
  });

  it('keeps the fields found before the damage, so that a refusal can name the guid', () => {
    const bytes = Buffer.concat([join([delimited(2, Buffer.from('guid-1'))]), Uint8Array.of(0x1a, 0x7f)]);
    assert.equal(decodePubMsg(bytes, 0, bytes.length, view), false);
    assert.equal(fieldsOf(bytes).guid, 'guid-1');
  });
});

describe('a PubMsg is malformed', () => {
  const cases: Record<string, Buffer> = {
    'with a known field of another wire type': Buffer.concat([tag(2, 0), varint(5n)]),
    'with a length beyond the end': Buffer.concat([tag(5, 2), varint(1n)]),
    'with a length of 2^32 and more': Buffer.concat([tag(5, 2), varint(1n << 40n)]),
    'with a length of 2^63, which is negative in the Go server': Buffer.concat([
      tag(5, 2),
      varint(1n << 63n),
    ]),
    'with a length that never ends': Buffer.concat([tag(5, 2), Buffer.alloc(11, 0x80)]),
    'with a tag that never ends': Buffer.alloc(11, 0xff),
    'with field number 0': Buffer.concat([tag(0, 2), varint(0n)]),
    'with an end of group that began nowhere': Buffer.from(tag(30, 4)),
    'with a group that does not end': Buffer.concat([tag(30, 3), join([delimited(1, Uint8Array.of(1))])]),
    'with wire type 6': Buffer.from(tag(30, 6)),
    'with wire type 7': Buffer.from(tag(30, 7)),
    'with an unknown fixed64 cut short': Buffer.concat([tag(30, 1), Buffer.alloc(7)]),
    'with an unknown fixed32 cut short': Buffer.concat([tag(30, 5), Buffer.alloc(3)]),
    'with an unknown length beyond the end': Buffer.concat([tag(30, 2), varint(1n << 62n), Buffer.alloc(3)]),
  };
  for (const [name, bytes] of Object.entries(cases)) {
    it(name, () => {
      assert.equal(byHand(bytes), undefined);
      assert.equal(byLibrary(bytes), undefined);
    });
  }

  it('but not with the odd forms that the Go server takes', () => {
    const data = Buffer.from('x');
    // A tag and a length in more bytes than they need; a length with bits above 2^64; groups in groups, deep, their ends unlike.
    const long = Buffer.concat([Uint8Array.of(0xaa, 0x80, 0x80, 0x00), Uint8Array.of(0x81, 0x00), data]);
    const wide = Buffer.concat([tag(5, 2), Uint8Array.of(0x81, ...Array(8).fill(0x80), 0x02), data]);
    const depth = 100_000;
    const groups = Buffer.concat([...Array(depth).fill(tag(30, 3)), ...Array(depth).fill(tag(31, 4))]);
    assert.equal(byHand(long)?.data, 'x');
    assert.equal(byHand(wide)?.data, 'x');
    assert.equal(byHand(Buffer.concat([groups, tag(5, 2), varint(1n), data]))?.data, 'x');
  });
});
