import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { GoWireError } from '../../../src/import/go-wire/field-reader.js';
import {
  decodeGoClient,
  decodeGoClientDelete,
  decodeGoServerInfo,
  decodeGoSubscription,
  decodeGoSubscriptionDelete,
  decodeGoSubscriptionUpdate,
} from '../../../src/import/go-wire/go-records.js';
import { fields } from '../go-files/written-store.js';

const decodeUpdate = (buffer: Buffer, start: number, end: number) => {
  const update = { id: 0, sequence: 0 };
  decodeGoSubscriptionUpdate(buffer, start, end, update);
  return update;
};
const DECODERS = [
  decodeGoServerInfo,
  decodeGoClient,
  decodeGoClientDelete,
  decodeGoSubscription,
  decodeGoSubscriptionDelete,
  decodeUpdate,
];

describe('the records of a Go server', () => {
  it('skip fields that are not known', () => {
    const bytes = fields({ 1: 'cluster', 8: 'acks', 9: 'node', 12: 'later', 13: 77 });
    const { clusterId, nodeId } = decodeGoServerInfo(bytes, 0, bytes.length);
    assert.deepEqual([clusterId, nodeId], ['cluster', 'node']);
  });

  it('share no memory with what they were read from', () => {
    const bytes = fields({ 1: 'id', 3: 'connection' });
    const { connId } = decodeGoClient(bytes, 0, bytes.length);
    bytes.fill(0);
    assert.equal(Buffer.from(connId).toString(), 'connection');
  });

  for (const [what, bytes, message] of [
    [
      'a text is a number',
      fields({ 1: 5 }),
      /ClientInfo of 2 bytes cannot be decoded: field 1 is not a text/,
    ],
    ['a number is a text', fields({ 4: 'x' }), /field 4 is not a number/],
    ['a field is cut off', fields({ 1: 'client' }).subarray(0, 4), /field 1 is cut off/],
    ['a tag is wrong', Buffer.from([7]), /there is no valid tag/],
    ['a text is too long', fields({ 1: 'x'.repeat(70_000) }), /field 1 has 70000 bytes/],
    ['an int32 is too large', fields({ 5: 2 ** 31 }), /field 5 is negative or above 2\^31/],
  ] as const) {
    it(`are refused where ${what}`, () => {
      assert.throws(
        () => decodeGoClient(bytes, 0, bytes.length),
        (error) => error instanceof GoWireError && message.test(error.message),
      );
    });
  }

  it('are decoded or refused, whatever their bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...DECODERS), (garbage, decode) => {
        try {
          decode(Buffer.from(garbage), 0, garbage.length);
        } catch (error) {
          assert.ok(error instanceof GoWireError, String(error));
        }
      }),
    );
  });
});
