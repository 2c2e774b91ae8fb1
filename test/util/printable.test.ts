import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { printable, printableLines } from '../../src/util/printable.js';
import { table } from '../../src/util/table.js';

describe('a name from outside', () => {
  const cases: [name: string, shown: string][] = [
    ['orders.eu-1', 'orders.eu-1'],
    ['Bücher.日本', 'Bücher.日本'],
    ['a\x1b[2Jb', 'a\\u001b[2Jb'],
    ['a\nb\r\tc', 'a\\nb\\r\\tc'],
    ['\x9b1mx\x7f', '\\u009b1mx\\u007f'],
    ['\u202egpj', '\\u202egpj'],
    ['a\u200bb\ufeff', 'a\\u200bb\\ufeff'],
    ['\u2028\u{e0041}\ud800', '\\u2028\\u{e0041}\\ud800'],
  ];

  it('is shown in one line that shows all of it', () => {
    for (const [name, shown] of cases) assert.equal(printable(name), shown);
  });

  it('takes one line of a table, whose columns stay in line', () => {
    const rows = cases.map(([name]) => [name, '1']);
    const lines = table(['channel', 'messages'], rows).split('\n');
    assert.equal(lines.length, cases.length + 1);
    assert.equal(new Set(lines.map((line) => line.length)).size, 1);
  });

  it('keeps the lines of a text', () => {
    assert.equal(printableLines('a\n\tb\x1b[31m\u202e👩\u200d🚀'), 'a\n\tb\\u001b[31m\\u202e👩\u200d🚀');
  });
});
