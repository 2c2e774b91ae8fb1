import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { channelCaseClash } from '../../src/protocol/error-texts.js';
import {
  isChannelNameStringValid,
  isChannelNameValid,
  isClientIdValid,
  stanSubjects,
} from '../../src/protocol/stan-subjects.js';

describe('a channel name', () => {
  const valid = [
    'foo',
    'foo.bar',
    'foo.bar.baz',
    'a',
    'A-b_c',
    'with space',
    'ünïcode',
    'foo\u0001',
    '$x',
    '?',
    'x'.repeat(5000),
  ];
  for (const name of valid) {
    it(`may be ${JSON.stringify(name.slice(0, 20))}`, () => assert.ok(isChannelNameStringValid(name)));
  }
  const invalid = [
    '',
    '.',
    '.foo',
    'foo.',
    'foo..bar',
    '..',
    '/',
    'foo/bar',
    'foo.bar/',
    '*',
    '>',
    'foo.*',
    'foo.>',
    'a*b',
    'a>b',
  ];
  for (const name of invalid) {
    it(`may not be ${JSON.stringify(name)}`, () => assert.equal(isChannelNameStringValid(name), false));
  }

  it('is looked at within its bounds only', () => {
    const bytes = Buffer.from('>foo.');
    assert.ok(isChannelNameValid(bytes, 1, 4));
    assert.equal(isChannelNameValid(bytes, 1, 5), false);
    assert.equal(isChannelNameValid(bytes, 2, 2), false);
  });

  it('may hold bytes that are not UTF-8', () => {
    assert.ok(isChannelNameValid(Uint8Array.of(0x66, 0xff), 0, 2));
  });
});

describe('a client id', () => {
  it('has letters, digits, - and _ only', () => {
    for (const id of ['me', 'ME-2_x', '-', '0']) assert.ok(isClientIdValid(id), id);
    for (const id of ['', 'a b', 'a.b', 'a:b', 'ä', 'a\n', 'a\ufffd', 'a/b', '*'])
      assert.equal(isClientIdValid(id), false, id);
  });
});

describe('the subjects of a cluster', () => {
  it('are named after the cluster id', () => {
    assert.deepEqual(stanSubjects('test-cluster'), {
      discover: '_STAN.discover.test-cluster',
      pings: '_STAN.discover.test-cluster.pings',
      publish: '_STAN.pub.test-cluster',
      subscribe: '_STAN.sub.test-cluster',
      subscriptionClose: '_STAN.subclose.test-cluster',
      unsubscribe: '_STAN.unsub.test-cluster',
      close: '_STAN.close.test-cluster',
    });
  });

  it('have discovery and pings under the discover prefix', () => {
    const { discover, pings, publish } = stanSubjects('c', 'find.me');
    assert.deepEqual([discover, pings, publish], ['find.me.c', 'find.me.c.pings', '_STAN.pub.c']);
  });
});

describe('the refusal of a channel that differs in case only', () => {
  it('has the words of the Go server, misspelling included', () => {
    assert.equal(
      channelCaseClash('Foo', 'foo'),
      'rejecting channel "Foo" because channel "foo" alreay exists (different cases not allowed)',
    );
  });

  it('quotes names as Go does', () => {
    assert.match(
      channelCaseClash('a"\\\n\u0001ü\u200b😀 ', 'x'),
      /^rejecting channel "a\\"\\\\\\n\\x01ü\\u200b😀 " because/,
    );
  });
});
