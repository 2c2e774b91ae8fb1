import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../', import.meta.url);
/** Words that docs/glossary.md has better ones for, as nouns: lease or term, lease renewer, takeover timeline, problem. */
const RETIRED = /\b(reigns?|tenures?|keepers?|story|stories|troubles?)\b/gi;
/** JSON names and names on disk that have such a word in them. Each stands in a page. */
const QUOTED = [
  '`story` the takeover timeline',
  '`trouble` is the',
  'and as `reign`',
  'field `trouble`',
  '`reign/`',
  '`the-lease-is-still-in-reign`',
];

/** A comment, or what stands in quotes; JSON names and identifiers are neither. */
const COMMENT_OR_TEXT = /\/\*[\s\S]*?\*\/|\/\/.*|'[^'\n]*'|`[^`]*`/g;

function filesOf(...patterns: string[]): string[] {
  const listed = execFileSync('git', ['ls-files', ...patterns], {
    cwd: fileURLToPath(ROOT),
    encoding: 'utf8',
  });
  return listed.trim().split('\n');
}

const pages = filesOf('README.md', 'docs/*.md');

describe('the words of the docs', () => {
  const texts = new Map(pages.map((page) => [page, readFileSync(new URL(page, ROOT), 'utf8')]));

  it('are those of the glossary', () => {
    const found: string[] = [];
    for (const [page, text] of texts) {
      const prose = QUOTED.reduce((rest, quoted) => rest.replaceAll(quoted, '\n'), text);
      prose.split('\n').forEach((line, index) => {
        for (const [word] of line.matchAll(RETIRED)) found.push(`${page}:${index + 1}: ${word}`);
      });
    }
    assert.deepEqual(found, []);
  });

  it('are those of the comments and texts in the code too', () => {
    const found: string[] = [];
    for (const file of filesOf('src/*.ts', 'src/*.js', 'src/*.html')) {
      // It deals with the names of release 0.1.0.
      if (file === 'src/lease/carry-over.ts' || file === 'src/cli/store-command.ts') continue;
      const code = readFileSync(new URL(file, ROOT), 'utf8');
      for (const [text] of code.matchAll(COMMENT_OR_TEXT)) {
        const prose = text.replace(/\$\{[^}]*\}/g, '');
        for (const [word] of prose.matchAll(RETIRED))
          found.push(`${file}: ${word}, in: ${text.slice(0, 80)}`);
      }
    }
    assert.deepEqual(found, []);
  });

  it('have no exception that nothing needs any more', () => {
    const all = [...texts.values()].join('\n');
    assert.deepEqual(
      QUOTED.filter((quoted) => !all.includes(quoted)),
      [],
    );
  });
});
