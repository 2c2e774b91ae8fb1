import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const MANIFEST = { version: '1.0.0', type: 'module', engines: { node: '>=20.19' } };

/** A checkout with the real scripts, and as little else as they need. */
let checkout: string;

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'stanchion-setup-'));
  cpSync(join(ROOT, 'scripts'), join(checkout, 'scripts'), { recursive: true });
  put('package.json', JSON.stringify(MANIFEST));
  put('package-lock.json', JSON.stringify({ packages: { '': {} } }));
  put('node_modules/.package-lock.json', JSON.stringify({ packages: {} }));
  put(
    'tsconfig.json',
    JSON.stringify({ compilerOptions: { rootDir: 'src', outDir: 'dist', types: [] }, include: ['src'] }),
  );
  put('src/cli/main.ts', 'export const answer: number = 1;\n');
  for (const name of ['typescript', '@typescript', 'esbuild', '@esbuild']) {
    symlinkSync(join(ROOT, 'node_modules', name), join(checkout, 'node_modules', name));
  }
});

afterEach(() => rmSync(checkout, { recursive: true, force: true }));

describe('the set-up', () => {
  it('builds what is missing, and is silent when there is nothing to do', async () => {
    assert.deepEqual(await setUp(), { exitCode: 0, output: 'setup: building (tsc, esbuild)\n' });
    assert.match(readFileSync(join(checkout, 'dist/cli/main.js'), 'utf8'), /answer = 1/);
    assert.deepEqual(await setUp(), { exitCode: 0, output: '' });
  });

  it('builds again when a source has changed, been added or been removed, and not for its time alone', async () => {
    await setUp();
    utimesSync(join(checkout, 'src/cli/main.ts'), new Date(), new Date());
    assert.equal((await setUp()).output, '');
    for (const change of [
      () => put('src/cli/main.ts', 'export const answer: number = 2;\n'),
      () => put('src/other.ts', 'export const other = 1;\n'),
      () => rmSync(join(checkout, 'src/other.ts')),
      () => rmSync(join(checkout, 'dist/cli/main.js')),
      // It is in the bundle.
      () => put('package.json', JSON.stringify({ ...MANIFEST, version: '1.0.1' })),
    ]) {
      change();
      assert.equal((await setUp()).output, 'setup: building (tsc, esbuild)\n');
      assert.equal((await setUp()).output, '');
    }
  });

  it('leaves nothing in dist of sources that are gone', async () => {
    put('src/other/module.ts', 'export const other = 1;\n');
    await setUp();
    for (const path of ['dist/cli/chunk-OLD.js', 'dist/gone.js', 'dist/gone/deep/types.d.ts'])
      put(path, 'export {};\n');
    rmSync(join(checkout, 'src/other'), { recursive: true });
    put('src/kept/module.ts', 'export const kept = 1;\n');
    assert.equal((await setUp()).exitCode, 0);
    const files = readdirSync(join(checkout, 'dist'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(checkout.length + 1));
    assert.deepEqual(files.sort(), [
      'dist/.built-from',
      'dist/cli/main.js',
      'dist/cli/main.js.map',
      'dist/cli/third-party-licenses.txt',
      'dist/kept/module.js',
    ]);
  });

  it('builds again after another build has run', async () => {
    await setUp();
    const soon = new Date(Date.now() + 10_000);
    utimesSync(join(checkout, 'dist/cli/main.js'), soon, soon);
    assert.equal((await setUp()).output, 'setup: building (tsc, esbuild)\n');
  });

  it('does its work once when several run at a time', async () => {
    const runs = await Promise.all([setUp(), setUp(), setUp()]);
    assert.ok(runs.every((run) => run.exitCode === 0));
    const output = runs.map((run) => run.output).join('');
    assert.equal(output.match(/building/g)?.length, 1, output);
  });

  it('fails if the build does, and tries again the next time', async () => {
    put('src/cli/main.ts', 'export const answer: number = "x";\n');
    for (let time = 0; time < 2; time++) {
      const { exitCode, output } = await setUp();
      assert.equal(exitCode, 1);
      assert.match(output, /error TS2322/);
      assert.match(output, /setup: the build failed \(see above\)/);
    }
  });

  it('says what to do when nats-server is not where it was said to be', async () => {
    const { exitCode, output } = await setUp({ STANCHION_NATS_SERVER_BIN: '/nowhere/nats-server' });
    assert.equal(exitCode, 1);
    assert.match(output, /there is no program at STANCHION_NATS_SERVER_BIN=\/nowhere\/nats-server/);
  });

  it('says which Node it needs', async () => {
    put('package.json', JSON.stringify({ type: 'module', engines: { node: '>=99.1' } }));
    const { exitCode, output } = await setUp();
    assert.equal(exitCode, 1);
    assert.match(output, /^setup: Node [\d.]+ is too old: 99\.1 or newer is needed/);
  });
});

function put(path: string, content: string): void {
  const full = join(checkout, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
}

function setUp(env: Record<string, string> = {}): Promise<{ exitCode: number | null; output: string }> {
  const child = spawn(process.execPath, [join(checkout, 'scripts/setup.mjs')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, CI: 'true', ...env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  }
  return new Promise((resolve) => child.on('close', (exitCode) => resolve({ exitCode, output })));
}
