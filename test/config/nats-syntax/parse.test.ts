import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NatsSyntaxError } from '../../../src/config/nats-syntax/syntax-error.js';
import { SeededRandom } from '../../broker/model-random.js';
import { parsed } from './plain.js';

function wrong(text: string, sources = {}): string {
  try {
    parsed(text, sources);
  } catch (error) {
    assert.ok(error instanceof NatsSyntaxError, String(error));
    return error.message;
  }
  assert.fail(`accepted: ${text}`);
}

const files = (all: Record<string, string>) => ({
  readFile: (path: string): string => {
    const text = all[path];
    if (text === undefined) throw new Error(`ENOENT ${path}`);
    return text;
  },
});

describe('the configuration syntax of the NATS servers', () => {
  it('has values behind a blank, a colon or an equals sign, each ended by a newline, a comma or a semicolon', () => {
    assert.deepEqual(parsed('a 1\nb: 2; c = 3, d:4\n "e f" = 5\n\'g\': 6 # comment\nh 7 // comment'), {
      a: 1,
      b: 2,
      c: 3,
      d: 4,
      'e f': 5,
      g: 6,
      h: 7,
    });
  });

  it('has maps and arrays, with commas or newlines, and comments in them', () => {
    const text = `
      accounts {
        A: { users = [ {user: a, password: b}, {user: c} # first
          {user: d} ] }  // second
        B {}
      }
      list: [
        one
        "two", 'three',
      ]`;
    assert.deepEqual(parsed(text), {
      accounts: { A: { users: [{ user: 'a', password: 'b' }, { user: 'c' }, { user: 'd' }] }, B: {} },
      list: ['one', 'two', 'three'],
    });
  });

  it('may be JSON, with braces around everything', () => {
    const value = { port: 4222, streaming: { id: 'x', limits: { channels: { 'a.*': { max_msgs: 3 } } } } };
    assert.deepEqual(parsed(JSON.stringify(value)), value);
    assert.deepEqual(parsed(JSON.stringify(value, undefined, 2)), value);
  });

  it('has numbers with units: a letter alone counts in thousands, with b or i in 1024s', () => {
    assert.deepEqual(parsed('a 1k, b 1kb, c 2M, d 2MiB, e 3g, f 3GB, g -1, h 1.5, i 1ti, j 5m'), {
      a: 1000,
      b: 1024,
      c: 2_000_000,
      d: 2 * 1024 ** 2,
      e: 3e9,
      f: 3 * 1024 ** 3,
      g: -1,
      h: 1.5,
      i: 1024 ** 4,
      j: 5_000_000,
    });
  });

  it('has words for true and false, and texts with and without quotes', () => {
    const text = `a on, b OFF, c yes, d No, e "yes", f nats://u:p@h:4222, g 24h, h 10.0.0.1:4222
      i "tab\\t, quote \\", A \\x41", j 'raw \\t', k /a/b.conf, l 2016-05-04T18:53:41Z, m $2a$11$hash`;
    assert.deepEqual(parsed(text), {
      a: true,
      b: false,
      c: true,
      d: false,
      e: 'yes',
      f: 'nats://u:p@h:4222',
      g: '24h',
      h: '10.0.0.1:4222',
      i: 'tab\t, quote ", A A',
      j: 'raw \\t',
      k: '/a/b.conf',
      l: new Date('2016-05-04T18:53:41Z'),
      m: '$2a$11$hash',
    });
  });

  it('has blocks of text up to a bracket on a line by itself', () => {
    assert.deepEqual(parsed('a (\n  one ) two\n)\nb: 2'), { a: '\n  one ) two\n', b: 2 });
  });

  it('has variables, which are values around the place, else those of the environment', () => {
    const text = 'A = 5\nb { A: 6, c $A, d { e $A } }\nf = $A\ng $WORDS\nh $LIST\ni "$A"';
    assert.deepEqual(parsed(text, { env: { A: '7', WORDS: 'two_words', LIST: '[1, $A]' } }), {
      A: 5,
      b: { A: 6, c: 6, d: { e: 6 } },
      f: 5,
      g: 'two_words',
      h: [1, 7],
      i: '$A',
    });
  });

  it('has includes, whose paths begin at the folder of their file', () => {
    const sources = files({ 'sub/a.conf': 'x 1\ninclude b.conf', 'sub/b.conf': 'y { z 2 }' });
    assert.deepEqual(parsed('include \'sub/a.conf\'\nm { include "sub/b.conf" }', sources), {
      x: 1,
      y: { z: 2 },
      m: { y: { z: 2 } },
    });
    assert.deepEqual(parsed('include: 3'), { include: 3 }, 'with a separator it is a name');
  });

  it('takes the later of two values of one name', () => {
    assert.deepEqual(parsed('a 1\nb 2\na 3'), { b: 2, a: 3 });
  });
});

describe('an error in the syntax', () => {
  it('names file, line and column', () => {
    assert.equal(
      wrong('a: 1\n  b: "x'),
      'config file f.conf, line 2, column 6: a double quote is not closed',
    );
    for (const [text, message] of [
      ['a {\n b: 1', /line 1, column 3: a \{ is not closed/],
      ['a [1, 2', /line 1, column 3: a \[ is not closed/],
      ['a:\n', /line 1, column 3: a value was expected, not the end of the line/],
      ['a', /a name has no value/],
      ['= 3', /a name is missing before "="/],
      ['a: "\\q"', /column 5: behind a backslash/],
      ['a: "\\xZZ"', /two hexadecimal digits/],
      ['a: 1 b', /the end of the line, a comma, or a comment was expected/],
      ['a: .5', /must begin with a digit/],
      ['a: 9999999999999999999', /larger than 64 bits/],
      ['a: (\n b )', /needs a \) on a line by itself/],
      ['a: 2016-5-4', /a date must be like/],
      ['a: $NONE', /line 1, column 4: there is no value for \$NONE/],
      ['a: [1,,2]', /a value was expected, not ","/],
    ] as const)
      assert.match(wrong(text), message, text);
  });

  it('does not show what stands in the file', () => {
    for (const text of ['pass: "geheim', 'pass: geheim geheim', 'pass [ geheim', "a: 'geheim"])
      assert.doesNotMatch(wrong(text), /geheim/);
  });

  it('ends includes and variables that lead in a circle', () => {
    const sources = files({ 'a.conf': 'include b.conf', 'b.conf': 'include a.conf' });
    assert.match(wrong('include a.conf', sources), /b\.conf, line 1, column 9: a\.conf includes itself/);
    assert.match(wrong('a: $B', { env: { B: '$C', C: '$B' } }), /refers to itself/);
  });

  it('ends what is too deep, too large, or includes too much', () => {
    assert.match(wrong(`a: ${'['.repeat(10_000)}`), /more than 100 maps and arrays/);
    assert.match(wrong(`a: "${'x'.repeat(17 * 1024 * 1024)}"`), /more than 16777216 characters/);
    const sources = { readFile: () => '' };
    assert.match(wrong('include x.conf\n'.repeat(101), sources), /more than 100 files/);
    assert.match(wrong('include y.conf'), /cannot read y\.conf: no such file/);
  });

  it('is the only way to fail, whatever the file has', () => {
    const random = new SeededRandom(18);
    const parts = [
      'a',
      '"',
      "'",
      '{',
      '}',
      '[',
      ']',
      '(',
      ')',
      '\n',
      ' ',
      ':',
      '=',
      ',',
      ';',
      '#',
      '//',
      '\\',
      '$',
      '$a',
      '-',
      '.',
      '1',
      '9e',
      '5mb',
      '\0',
      '\u2028',
      '😀',
      'include ',
      'on',
      '2016-05-04T18:53:41Z',
      '__proto__',
    ];
    let accepted = 0;
    for (let i = 0; i < 5000; i++) {
      const text = Array.from({ length: random.below(12) }, () => random.pick(parts)).join('');
      try {
        parsed(text, { readFile: () => 'a 1' });
        accepted++;
      } catch (error) {
        assert.ok(error instanceof NatsSyntaxError, `${JSON.stringify(text)}: ${error}`);
      }
    }
    assert.ok(accepted > 100, `${accepted} were accepted`);
  });
});
