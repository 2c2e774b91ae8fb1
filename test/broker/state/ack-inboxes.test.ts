import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { AckInboxes, ackToken } from '../../../src/broker/state/ack-inboxes.js';

const PREFIX = '_INBOX.store-1.';
const inboxes = new AckInboxes(PREFIX, randomBytes);

function read(subject: string): number | undefined {
  const bytes = Buffer.from(`..${subject}..`);
  return inboxes.read(bytes, 2, bytes.length - 2) ? inboxes.id : undefined;
}

describe('an ack inbox', () => {
  for (const id of [1, 42, 4_294_967_295]) {
    it(`of subscription ${id} is read as its own, and no other is`, () => {
      const inbox = inboxes.newName(id);
      assert.equal(read(inbox), id);
      assert.ok(inboxes.isOf(ackToken(inbox)));
      assert.ok(!inboxes.isOf(ackToken(inboxes.newName(id))));
      assert.ok(!inboxes.isOf(ackToken(inbox).subarray(1)));
    });
  }

  it('has 128 random bits, as one token of a subject', () => {
    const bytes = Buffer.from(Array.from({ length: 16 }, (_, i) => 240 + i));
    const name = new AckInboxes(PREFIX, (size) => bytes.subarray(0, size)).newName(7);
    assert.match(name, /^_INBOX\.store-1\.7-[\w-]{22}$/);
    assert.deepEqual(Buffer.from(name.slice(-22), 'base64url'), bytes);
    assert.notEqual(inboxes.newName(7), inboxes.newName(7));
  });

  for (const token of ['7', '7-1', '4294967295-4294967295']) {
    it(`of version 0.1.0 stays valid: ${token}`, () => {
      assert.equal(read(PREFIX + token), Number.parseInt(token, 10));
      assert.ok(inboxes.isOf(ackToken(PREFIX + token)));
      assert.ok(!inboxes.isOf(ackToken(`${PREFIX + token}1`)));
    });
  }

  for (const token of ['', 'a', '1a', '-', '-1', '12345678901', '12345678901-a', '+1', '1 ']) {
    it(`is not one with '${token}' at its end`, () => {
      assert.equal(read(PREFIX + token), undefined);
    });
  }
});
