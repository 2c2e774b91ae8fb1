import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  decodeGroupMessage,
  encodeGroupMessage,
  type Heartbeat,
  MAX_MESSAGE_BYTES,
} from '../../../src/group/talk/group-messages.js';

const HEARTBEAT: Heartbeat = {
  kind: 'heartbeat',
  member: 'a@h@1@x',
  node: 'a',
  role: 'active',
  epoch: 3,
  counter: 17,
  forMs: 1_000,
  storeId: 'AAAAAAAAAAAAAAAAAAAAAA',
  storeDir: '/shared',
  server: 'nats-1:4222',
};

function decoded(change: Record<string, unknown>): unknown {
  return decodeGroupMessage(Buffer.from(JSON.stringify({ ...HEARTBEAT, ...change })));
}

describe('a message that anyone may have sent', () => {
  it('is read if each field is in its range', () => {
    assert.deepEqual(decodeGroupMessage(encodeGroupMessage(HEARTBEAT)), HEARTBEAT);
  });

  it('is none if a number is out of range, or none at all', () => {
    const text = JSON.stringify(HEARTBEAT);
    for (const epoch of ['1e999', '-1', '1.5', '1e17', '"3"', 'null', '[3]', '{}', 'true', '-1e999']) {
      for (const field of ['"epoch":3', '"counter":17', '"forMs":1000']) {
        if (field === '"forMs":1000' && (epoch === '1.5' || epoch === '1e17')) continue;
        const [name] = field.split(':');
        const changed = text.replace(field, `${name}:${epoch}`);
        assert.equal(decodeGroupMessage(Buffer.from(changed)), undefined, changed);
      }
    }
    for (const kind of ['offer', 'ready', 'released'])
      assert.equal(
        decodeGroupMessage(Buffer.from(`{"kind":"${kind}","member":"a","epoch":1e999}`)),
        undefined,
      );
  });

  it('is none if a name or path is too long, has control characters, or is missing', () => {
    for (const field of ['member', 'node', 'role', 'storeId', 'storeDir', 'server']) {
      for (const value of ['x'.repeat(5_000), '\u001b[2J', 'a\nb', 7, null, undefined])
        assert.equal(decoded({ [field]: value }), undefined, `${field}: ${String(value).slice(0, 10)}`);
    }
    assert.equal(decoded({ member: '' }), undefined);
    assert.equal(decoded({ cannotServe: 'x'.repeat(501) }), undefined);
  });

  it('is not even parsed if it is too large', () => {
    const large = Buffer.from(JSON.stringify({ ...HEARTBEAT, more: 'x'.repeat(MAX_MESSAGE_BYTES) }));
    assert.equal(decodeGroupMessage(large), undefined);
  });

  it('leaves nothing in memory but the fields of a message', () => {
    assert.deepEqual(decoded({ more: 'x'.repeat(1_000) }), HEARTBEAT);
    assert.deepEqual(decodeGroupMessage(Buffer.from('{"kind":"leaving","member":"a","x":[1,2,3]}')), {
      kind: 'leaving',
      member: 'a',
    });
  });

  it('is none if it is no object, of an unknown kind, or no JSON', () => {
    for (const text of [
      '',
      '{',
      'null',
      '1',
      '[]',
      '"heartbeat"',
      '{"kind":"heartbeat"}',
      '{"kind":"x","member":"a","epoch":1}',
    ])
      assert.equal(decodeGroupMessage(Buffer.from(text)), undefined, text);
  });
});
