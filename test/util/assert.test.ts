import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokenInvariant, must, assert as mustHold } from '../../src/util/assert.js';

test('a true condition passes, and its message is not made', () => {
  mustHold(true, () => assert.fail('the message of an assertion that holds'));
});

test('a false condition throws what does not hold, and asks for a report', () => {
  assert.throws(
    () => mustHold(false, 'a batch is closed once'),
    (error: unknown) => {
      assert.ok(error instanceof BrokenInvariant);
      assert.equal(error.name, 'BrokenInvariant');
      assert.equal(error.invariant, 'a batch is closed once');
      assert.match(
        error.message,
        /^it does not hold that a batch is closed once\. .*report it, with the log/,
      );
      return true;
    },
  );
});

test('a message with values is made when the condition is false', () => {
  const sequence = 7;
  assert.throws(() => mustHold(false, () => `sequence ${sequence} follows 5`), {
    invariant: 'sequence 7 follows 5',
  });
});

test('must returns what is there, also zero, false and the empty string', () => {
  for (const value of [0, false, '', Number.NaN, 'x']) assert.equal(must(value, 'there is a value'), value);
});

test('must throws for undefined and null', () => {
  for (const value of [undefined, null]) {
    assert.throws(() => must(value, 'a served link is kept'), {
      name: 'BrokenInvariant',
      invariant: 'a served link is kept',
    });
  }
});
