import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ChannelLimits } from '../../src/config/channel-limits.js';
import { ChannelLimitsTable, isPatternValid } from '../../src/config/limits-table.js';
import { limitsFor } from '../../src/config/serve-config.js';
import { refusal, resolve } from './resolve.js';

const GLOBAL: ChannelLimits = {
  maxMessages: 10,
  maxBytes: 20,
  maxAgeMs: 30,
  maxSubscriptions: 40,
  maxInactivityMs: 50,
};

function table(rules: Record<string, Partial<ChannelLimits>>): ChannelLimitsTable {
  return new ChannelLimitsTable(
    GLOBAL,
    Object.entries(rules).map(([pattern, limits]) => ({ pattern, limits })),
  );
}

describe('the limits of a channel', () => {
  it('are the global ones if nothing else is said', () => {
    assert.deepEqual(table({}).for('foo'), GLOBAL);
    assert.deepEqual(table({ bar: { maxBytes: 1 } }).for('foo'), GLOBAL);
  });

  it('are those of its name before those of a pattern, of * before >, from the left', () => {
    const limits = table({
      '>': { maxMessages: 1 },
      '*.bar': { maxMessages: 2 },
      'foo.>': { maxMessages: 3 },
      'foo.*': { maxMessages: 4 },
      'foo.bar': { maxMessages: 5 },
      'foo.*.baz': { maxMessages: 6 },
    });
    const expected = {
      'foo.bar': 5,
      'foo.x': 4,
      'foo.x.y': 3,
      'foo.bar.baz': 6,
      'x.bar': 2,
      x: 1,
      foo: 1,
      'x.bar.y': 1,
    };
    for (const [name, maxMessages] of Object.entries(expected)) {
      assert.equal(limits.for(name).maxMessages, maxMessages, name);
    }
  });

  it('that a pattern does not say come from the next wider one', () => {
    const limits = table({
      'foo.bar': { maxBytes: 1 },
      'foo.*': { maxAgeMs: 2 },
      'foo.>': { maxAgeMs: 3, maxSubscriptions: 4 },
      '>': { maxInactivityMs: 5, maxBytes: 6 },
    });
    assert.deepEqual(limits.for('foo.bar'), {
      maxMessages: 10,
      maxBytes: 1,
      maxAgeMs: 2,
      maxSubscriptions: 4,
      maxInactivityMs: 5,
    });
    assert.deepEqual(limits.for('x'), { ...GLOBAL, maxInactivityMs: 5, maxBytes: 6 });
  });

  it('do not depend on the order of the rules, nor does a pattern inherit from one that only overlaps', () => {
    const rules = { '*.bar': { maxBytes: 1 }, 'foo.*': { maxMessages: 2 }, '>': { maxAgeMs: 3 } };
    const backwards = Object.fromEntries(Object.entries(rules).reverse());
    for (const limits of [table(rules), table(backwards)]) {
      assert.deepEqual(limits.for('foo.bar'), { ...GLOBAL, maxMessages: 2, maxAgeMs: 3 });
    }
  });

  it('are the same object for all channels of one rule, so that a million names cost nothing', () => {
    const limits = table({ 'foo.>': { maxMessages: 1 } });
    assert.equal(limits.for('foo.1'), limits.for('foo.2'));
    assert.equal(limits.for('x'), limits.for('y'));
  });

  it('are found for names of any shape', () => {
    const limits = table({ 'a.*.c.>': { maxMessages: 1 } });
    for (const name of ['', '.', '..', 'a.', 'a..c.d', '>', '*', 'x'.repeat(5000), 'a.'.repeat(5000)]) {
      assert.ok(limits.for(name));
    }
  });

  it('are those of a pattern that matches, and no narrower one does', () => {
    const part = fc.constantFrom('a', 'b', '*', '>');
    const pattern = fc
      .array(part, { minLength: 1, maxLength: 4 })
      .map((parts) => parts.join('.'))
      .filter(isPatternValid);
    const name = fc
      .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 })
      .map((parts) => parts.join('.'));
    fc.assert(
      fc.property(fc.uniqueArray(pattern, { maxLength: 8 }), name, (patterns, channel) => {
        const rules = patterns.map((each, index) => ({
          pattern: each,
          limits: { maxMessages: 100 + index },
        }));
        const found = new ChannelLimitsTable(GLOBAL, rules).for(channel).maxMessages;
        const matching = rules.filter((rule) => matches(rule.pattern, channel));
        const narrowest = matching.sort((x, y) => (rank(x.pattern) < rank(y.pattern) ? -1 : 1))[0];
        assert.equal(found, narrowest?.limits.maxMessages ?? GLOBAL.maxMessages);
      }),
    );
  });
});

describe('the channels of a config file', () => {
  const channels = (yaml: string, name: string) =>
    limitsFor(resolve('-c f -mm 100 -ma 1h', {}, `channels:\n  ${yaml}`), name);

  it('have limits by name and pattern', () => {
    assert.equal(
      channels('"foo.*": { max-msgs: 5, max_bytes: 1KB, max-age: 30s, max_subs: 2 }', 'foo.a').maxMessages,
      5,
    );
    assert.deepEqual(channels('foo.>: { mm: 5, mb: 1KB, ma: 30s, msu: 2, mi: 1h }', 'foo.a.b'), {
      maxMessages: 5,
      maxBytes: 1024,
      maxAgeMs: 30_000,
      maxSubscriptions: 2,
      maxInactivityMs: 3_600_000,
    });
  });

  it('inherit what is absent; 0 and negative numbers are unlimited', () => {
    assert.equal(channels('foo: {}', 'foo').maxMessages, 100);
    assert.equal(channels('foo: { max-msgs: 0 }', 'foo').maxMessages, 0);
    assert.equal(channels('foo: { max-msgs: -1 }', 'foo').maxMessages, 0);
    assert.equal(channels('foo: { max-age: 0 }', 'foo').maxAgeMs, 0);
    assert.equal(channels('foo: { max-age: -1 }', 'foo').maxAgeMs, 0);
    assert.equal(channels('foo: { max-age: -1s }', 'foo').maxAgeMs, 0);
  });

  it('have names that channels and patterns can have', () => {
    for (const name of ['a..b', '.a', 'a.', 'a*', 'a.>.b', 'a/b', 'a.b>']) {
      assert.match(
        refusal('-c f', {}, JSON.stringify({ channels: { [name]: {} } })),
        /is no channel name or pattern/,
      );
    }
  });

  it('are no more than max-channels, patterns aside', () => {
    assert.match(
      refusal('-c f -mc 1', {}, 'channels: { a: {}, b: {} }'),
      /names 2 channels, and max-channels allows 1/,
    );
    assert.ok(resolve('-c f -mc 1', {}, 'channels: { a: {}, b.*: {}, c.>: {} }'));
  });
});

function matches(pattern: string, name: string): boolean {
  const regex = pattern.replaceAll('.', '\\.').replaceAll('*', '[^.]+').replace(/>$/, '.+');
  return new RegExp(`^${regex}$`).test(name);
}

/** Sorts narrow before wide, part by part. */
function rank(pattern: string): string {
  return pattern.replaceAll('>', '3').replaceAll('*', '2').replace(/[ab]/g, '1');
}
