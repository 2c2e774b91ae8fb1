import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const SOURCES = fileURLToPath(new URL('../../src', import.meta.url));
const TABLE = /\| the log says \|.*\n.*\n((?:\|.*\n)+)/;
const FIRST_CELL = /^\| ([^|]+) \|/gm;
const QUOTED = /`([^`]+)`/g;
/** What stands for a part that differs from line to line. */
const PLACEHOLDER = /\b(?:DIR|N)\b|\.\.\./;
/** Where a long text of the code goes on in the next line. */
const SEAM = /['`] \+\s+['`]/g;

describe('the log lines in docs/group.md', () => {
  it('are those of the code', () => {
    const page = readFileSync(new URL('../../docs/group.md', import.meta.url), 'utf8');
    const [, rows = ''] = TABLE.exec(page) ?? [];
    const lines = [...rows.matchAll(FIRST_CELL)].flatMap(([, cell = '']) =>
      [...cell.matchAll(QUOTED)].map(([, quoted = '']) => quoted),
    );
    assert.ok(lines.length > 10);
    const code = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFileSync(join(SOURCES, file), 'utf8').replaceAll(SEAM, ''))
      .join('\n');
    const missing = lines.filter((line) => !line.split(PLACEHOLDER).every((part) => code.includes(part)));
    assert.deepEqual(missing, []);
  });
});
