import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LINK = /\]\(([^)\s]+)\)/g;
const HEADING = /^#{1,6} (.+)$/gm;
const CODE_BLOCK = /^ *```[\s\S]*?^ *```/gm;

const pages = execFileSync('git', ['ls-files', '*.md'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');

describe('a link in the docs', () => {
  for (const page of pages) {
    it(`leads to what is there: ${page}`, () => {
      const text = readFileSync(join(ROOT, page), 'utf8').replaceAll(CODE_BLOCK, '');
      for (const [, link = ''] of text.matchAll(LINK)) {
        if (/^[a-z]+:/.test(link)) continue;
        const [path, anchor] = link.split('#') as [string, string | undefined];
        const target = path === '' ? join(ROOT, page) : join(ROOT, dirname(page), path);
        assert.ok(existsSync(target), `${link}: there is no ${relative(ROOT, target)}`);
        if (anchor === undefined || statSync(target).isDirectory()) continue;
        assert.ok(anchorsOf(target).has(anchor), `${link}: no such heading in ${relative(ROOT, target)}`);
      }
    });
  }
});

/** As GitHub makes them of headings. */
function anchorsOf(path: string): Set<string> {
  const text = readFileSync(path, 'utf8').replaceAll(CODE_BLOCK, '');
  return new Set(
    [...text.matchAll(HEADING)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}
