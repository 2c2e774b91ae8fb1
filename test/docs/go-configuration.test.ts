import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { GO_KEYS, type GoKey, type GoOutcome } from '../../src/config/go-file/go-keys.js';

const PAGE = new URL('../../docs/go-configuration.md', import.meta.url);
const BLOCK = /(<!-- keys: (\w+) -->\n)[\s\S]*?(<!-- \/keys -->)/g;

if (process.env.UPDATE_DOCS) writeFileSync(PAGE, updated(readFileSync(PAGE, 'utf8')));

describe('docs/go-configuration.md', () => {
  it('has every key of the Go server as the code has it (UPDATE_DOCS=1 writes the tables)', () => {
    const text = readFileSync(PAGE, 'utf8');
    const marked = [...text.matchAll(BLOCK)].map(([, , section]) => section);
    assert.deepEqual(marked.sort(), Object.keys(GO_KEYS).sort());
    assert.equal(text, updated(text));
  });
});

function updated(page: string): string {
  return page.replace(BLOCK, (_block, begin: string, section: keyof typeof GO_KEYS, end: string) => {
    const rows = GO_KEYS[section].map(row).join('');
    return `${begin}\n| key | what becomes of it |\n| --- | --- |\n${rows}\n${end}`;
  });
}

function row({ names, outcome }: GoKey): string {
  return `| ${names.map((name) => `\`${name}\``).join(', ')} | ${effectOf(outcome).replaceAll('|', '\\|')} |\n`;
}

function effectOf(outcome: GoOutcome): string {
  switch (outcome.is) {
    case 'option':
      return `\`--${outcome.option}\``;
    case 'less':
      return `\`--${outcome.option}\`, and no more: ${outcome.why}`;
    case 'address':
      return `\`--${outcome.host}\` and \`--${outcome.port}\``;
    case 'section':
      return 'see below';
    case 'refused':
      return `an error: ${outcome.why}`;
    case 'noted':
      return `no effect: ${outcome.why}`;
  }
}
