import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TABLE = join(ROOT, '.dependency-cruiser.mjs');
const CRUISER = join(ROOT, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs');
const MAX_RESULT_BYTES = 64 * 1024 * 1024;

/** The part of dependency-cruiser's result that is looked at here. */
interface Result {
  modules: { source: string }[];
  summary: {
    violations: { from: string; to: string; rule: { name: string } }[];
    ruleSetUsed: { forbidden: Rule[] };
  };
}

interface Rule {
  from: { path?: string | string[] };
  to: { path?: string | string[] };
}

describe('the layout of src', () => {
  let layout: Result;
  const sources = sourceFiles(ROOT);

  before(async () => {
    layout = await cruise(ROOT);
  });

  it('has no import that its table forbids', () => {
    assert.deepEqual(refusalsOf(layout), []);
  });

  it('is read to the last file', () => {
    const seen = layout.modules.map(({ source }) => source).filter((source) => source.startsWith('src/'));
    assert.deepEqual([...new Set(seen)].sort(), sources);
  });

  it('has no place in its table in which no file stands', () => {
    const paths = layout.summary.ruleSetUsed.forbidden.flatMap(({ from, to }) => [from.path, to.path]);
    const empty = paths
      .filter((path) => typeof path === 'string')
      .filter((path) => !sources.some((source) => new RegExp(path).test(source)));
    assert.deepEqual([...new Set(empty)], []);
  });

  it('has no import that dependency-cruiser does not see', () => {
    const typeInPassing = /typeof import\('\.[^']*'\)|import\('\.[^']*'\)\.(?!then\b)/g;
    const workerElsewhere = /new URL\('(\.\.|\.\/[^']*\/)[^']*\.[jt]s'/g;
    const unseen = sources.flatMap((source) => {
      const text = readFileSync(join(ROOT, source), 'utf8');
      return [typeInPassing, workerElsewhere].flatMap((pattern) =>
        [...text.matchAll(pattern)].map(
          ([found]) => `${source} has ${found}: import types at the top, and keep a worker beside its user`,
        ),
      );
    });
    assert.deepEqual(unseen, []);
  });
});

describe('the rule of the layout', () => {
  const UP = 'src/cli/main.ts: util stands on floor 1, cli on floor 11';
  const NOT_FOUND = 'there is no such file or package';
  const NO_FLOOR = 'the importing file stands on no floor of .dependency-cruiser.mjs';
  /** What is refused, the file that has it, its text, and what the refusal says. */
  const refusals: readonly [what: string, file: string, text: string, refusal: string][] = [
    ['a value from above', 'util/value.ts', "import { A } from '../cli/main.js';\nnew A();", UP],
    ['a type from above', 'util/type.ts', "import type { A } from '../cli/main.js';\nexport type B = A;", UP],
    [
      'a type among values',
      'util/mixed.ts',
      "import { type A } from '../cli/main.js';\nexport type B = A;",
      UP,
    ],
    ['an export of what stands above', 'util/again.ts', "export { A } from '../cli/main.js';", UP],
    ['an export of all that stands above', 'util/all.ts', "export * from '../cli/main.js';", UP],
    ['an import for its effect', 'util/effect.ts', "import '../cli/main.js';", UP],
    ['an import at run time', 'util/later.ts', "await import('../cli/main.js');\nexport {};", UP],
    [
      'a folder further left on the same floor',
      'drill/load.ts',
      "import '../bench/side.js';",
      'src/bench/side.ts: bench stands left of drill on floor 7',
    ],
    [
      'a sub-folder further left in the same folder',
      'store/types/record.ts',
      "import '../format/record.js';",
      'src/store/format/record.ts: store/format stands left of store/types on floor 4',
    ],
    [
      "the folder's own files from its sub-folder",
      'broker/state/channel.ts',
      "import '../broker.js';",
      'src/broker/broker.ts: broker stands left of broker/state on floor 5',
    ],
    [
      'what the client library does not need',
      'client/connect.ts',
      "import '../store/format/record.js';",
      'src/store/format/record.ts: client uses only protocol, clock, util',
    ],
    [
      'a folder that has no place',
      'attic/box.ts',
      "import '../cli/main.js';",
      `src/cli/main.ts: ${NO_FLOOR}`,
    ],
    ['a file that is not there', 'util/lost.ts', "import './nowhere.js';", `./nowhere.js: ${NOT_FOUND}`],
  ];
  let refused: string[];
  let root: string;

  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'stanchion-layout-'));
    put('cli/main.ts', "import '../bench/side.js';\nexport class A {}");
    for (const file of ['bench/side.ts', 'store/format/record.ts', 'broker/broker.ts']) put(file, '');
    for (const [, file, text] of refusals) put(file, text);
    refused = refusalsOf(await cruise(root));
  });

  after(() => rmSync(root, { recursive: true, force: true }));

  for (const [what, file, , refusal] of refusals) {
    it(`refuses ${what}`, () => {
      const line = `src/${file} may not import ${refusal}`;
      assert.ok(refused.includes(line), `${line}\nis missing in:\n${refused.join('\n')}`);
    });
  }

  it('refuses nothing else', () => {
    assert.equal(refused.length, refusals.length, refused.join('\n'));
  });

  function put(path: string, text: string): void {
    const file = join(root, 'src', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
});

/** In a process of its own: the loader of tsx hides swc from dependency-cruiser. */
async function cruise(root: string): Promise<Result> {
  const args = [CRUISER, 'src', '--config', TABLE, '--output-type', 'json'];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: root,
    maxBuffer: MAX_RESULT_BYTES,
  });
  return JSON.parse(stdout);
}

function refusalsOf({ summary }: Result): string[] {
  return summary.violations.map(({ from, to, rule }) => `${from} may not import ${to}: ${rule.name}`);
}

function sourceFiles(root: string): string[] {
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .map((path) => `src/${path}`)
    .filter((path) => /\.[jt]s$/.test(path))
    .sort();
}
