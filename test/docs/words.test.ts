import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../', import.meta.url);
/** Words that docs/glossary.md has better ones for, as nouns: lease or term, lease renewer, takeover timeline, problem. */
const RETIRED = /\b(reigns?|tenures?|keepers?|story|stories|troubles?)\b/gi;
/** Pages that still have to be gone through. */
const LATER = ['docs/architecture.md'];
/** What programs print, and names on disk, as long as they have such a word in them: each stands in a page. */
const QUOTED = ['field `trouble`', '`reign/`', '`the-lease-is-still-in-reign`'];

const pages = execFileSync('git', ['ls-files', 'README.md', 'docs/*.md'], {
  cwd: fileURLToPath(ROOT),
  encoding: 'utf8',
})
  .trim()
  .split('\n');

describe('the words of the docs', () => {
  const texts = new Map(pages.map((page) => [page, readFileSync(new URL(page, ROOT), 'utf8')]));

  it('are those of the glossary', () => {
    const found: string[] = [];
    for (const [page, text] of texts) {
      if (LATER.includes(page)) continue;
      const prose = QUOTED.reduce((rest, quoted) => rest.replaceAll(quoted, '\n'), text);
      prose.split('\n').forEach((line, index) => {
        for (const [word] of line.matchAll(RETIRED)) found.push(`${page}:${index + 1}: ${word}`);
      });
    }
    assert.deepEqual(found, []);
  });

  it('have no exception that nothing needs any more', () => {
    const all = [...texts.values()].join('\n');
    assert.deepEqual(
      QUOTED.filter((quoted) => !all.includes(quoted)),
      [],
    );
    assert.deepEqual(
      LATER.filter((page) => texts.get(page)?.match(RETIRED) == null),
      [],
    );
  });
});
