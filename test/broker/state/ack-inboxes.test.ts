import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AckInboxes, activationOf } from '../../../src/broker/state/ack-inboxes.js';

const inboxes = new AckInboxes('_INBOX.store-1.');

function read(subject: string): { id: number; activation: number } | undefined {
  const bytes = Buffer.from(`..${subject}..`);
  if (!inboxes.read(bytes, 2, bytes.length - 2)) return undefined;
  return { id: inboxes.id, activation: inboxes.activation };
}

describe('an ack inbox', () => {
  for (const id of [1, 42, 4_294_967_295]) {
    for (const activation of [0, 1, 10, 4_294_967_295]) {
      it(`of subscription ${id} in its life ${activation} is read as what it is`, () => {
        const inbox = inboxes.nameOf(id, activation);
        assert.deepEqual(read(inbox), { id, activation });
        assert.equal(activationOf(inbox), activation);
      });
    }
  }

  it('of a first life is the number of its subscription', () => {
    assert.equal(inboxes.nameOf(7, 0), '_INBOX.store-1.7');
  });

  for (const token of [
    '',
    'a',
    '1a',
    '-',
    '1-',
    '-1',
    '1-2-3',
    '1--2',
    '12345678901',
    '1-12345678901',
    '+1',
    '1 ',
  ]) {
    it(`is not one with '${token}' at its end`, () => {
      assert.equal(read(`_INBOX.store-1.${token}`), undefined);
    });
  }

  it('is not one without a dot', () => {
    assert.equal(read('12'), undefined);
  });

  it('that no broker has named is of a first life', () => {
    assert.equal(activationOf('_INBOX.elsewhere-7'), 0);
  });
});
