import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { OPTION_NAMES, optionOf, SECTIONS } from '../../src/config/options.js';

const README = new URL('../../README.md', import.meta.url);
const BEGIN = '<!-- flags: checked by test/docs/readme.test.ts, which can also write it -->\n';
const END = '<!-- /flags -->';

function flagsTable(): string {
  let table = '';
  for (const [section, title] of Object.entries(SECTIONS)) {
    table += `\n**${title}**\n\n| flag | does | default |\n| --- | --- | --- |\n`;
    for (const name of OPTION_NAMES) {
      const option = optionOf(name);
      if (option.section !== section) continue;
      const short = option.aliases?.length ? `, \`-${option.aliases[0]}\`` : '';
      const value = option.default === undefined ? '' : `\`${option.default}\``;
      table += `| \`--${name}\`${short} | ${option.describe.replaceAll('|', '\\|')} | ${value} |\n`;
    }
  }
  return `${table}\n`;
}

describe('the README', () => {
  it('has the flags as they are (UPDATE_README=1 writes them)', () => {
    const text = readFileSync(README, 'utf8');
    const from = text.indexOf(BEGIN) + BEGIN.length;
    const to = text.indexOf(END);
    assert.ok(from >= BEGIN.length && to >= from, 'the marks of the table are there');
    if (process.env.UPDATE_README) {
      writeFileSync(README, text.slice(0, from) + flagsTable() + text.slice(to));
    } else {
      assert.equal(text.slice(from, to), flagsTable());
    }
  });
});
