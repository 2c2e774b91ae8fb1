import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Rig } from '../harness/rig.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BUNDLE = [join(ROOT, 'dist/cli/main.js')];
const SOURCES = [
  '--import',
  join(ROOT, 'node_modules/tsx/dist/esm/index.mjs'),
  join(ROOT, 'src/cli/main.ts'),
];
/** It imports a broker or a member, and is nothing itself. */
const WAY_TO_BROKER = 'src/run/start.ts';
const OUT_OF_THE_FOLDER = /^(?:\.\.\/)+/;

interface Run {
  code: number;
  out: string;
  err: string;
}

function run(program: readonly string[], args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Run> {
  return new Promise((resolve) => {
    const options = { cwd: ROOT, env: { ...process.env, ...env } };
    execFile(process.execPath, [...program, ...args], options, (error, out, err) =>
      resolve({ code: Number(error?.code ?? 0), out, err }),
    );
  });
}

describe('the bundle', () => {
  const rig = new Rig({ store: 'memory' });
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'stanchion-bundle-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** The sources, ours and those of packages, of all files of the bundle that a command loads. */
  async function loadedBy(
    name: string,
    args: readonly string[],
  ): Promise<{ ours: string[]; packages: string[] }> {
    const dir = join(folder, name);
    const { code, err } = await run(BUNDLE, args, { NODE_V8_COVERAGE: dir });
    assert.equal(code, 0, err);
    const reports = readdirSync(dir).map((file) => JSON.parse(readFileSync(join(dir, file), 'utf8')));
    const scripts = reports.flatMap(({ result }: { result: { url: string }[] }) =>
      result.map(({ url }) => url),
    );
    const files = scripts.filter((url) => url.startsWith('file:')).map((url) => fileURLToPath(url));
    assert.ok(files.includes(BUNDLE[0] ?? ''), `main.js is among ${files.join(', ')}`);
    const sources = files.flatMap(
      (file): string[] => JSON.parse(readFileSync(`${file}.map`, 'utf8')).sources,
    );
    const named = sources
      .map((source) => source.replace(OUT_OF_THE_FOLDER, ''))
      .filter((source) => source !== WAY_TO_BROKER);
    const folders = (pattern: RegExp): string[] => [
      ...new Set(named.flatMap((source) => pattern.exec(source)?.[1] ?? [])),
    ];
    return { ours: folders(/^src\/([^/]+)/), packages: folders(/^node_modules\/((?:@[^/]+\/)?[^/]+)/) };
  }

  it('loads for --help what prints it, and nothing else', async () => {
    const { ours, packages } = await loadedBy('help', ['--help']);
    assert.deepEqual(ours.sort(), ['cli', 'config', 'log', 'util', 'version.ts']);
    assert.ok(packages.includes('yargs'));
    const unwanted = /nats|pino|protobuf|prom-client|zod|^yaml$|lockfile/;
    assert.deepEqual(
      packages.filter((name) => unwanted.test(name)),
      [],
    );
  });

  it('loads for pub no part of a broker, and no package that only a broker needs', async () => {
    const { natsUrl, clusterId } = rig.broker.settings;
    const { ours, packages } = await loadedBy('pub', [
      'pub',
      '-s',
      natsUrl,
      '-c',
      clusterId,
      'orders',
      'one',
    ]);
    const broker = [
      'run',
      'broker',
      'store',
      'lease',
      'group',
      'http',
      'metrics',
      'monitor',
      'drill',
      'bench',
    ];
    assert.deepEqual(
      ours.filter((name) => broker.includes(name)),
      [],
    );
    assert.ok(packages.includes('@nats-io/transport-node'));
    assert.deepEqual(
      packages.filter((name) => /^nats$|pino|prom-client|zod|^yaml$|lockfile/.test(name)),
      [],
    );
  });

  for (const args of [
    ['--help'],
    ['sub', '--help'],
    ['serve', '--hepl'],
    ['store', 'verify', '--dir', '/nowhere/at/all'],
  ]) {
    it(`answers as the sources do: ${args.join(' ')}`, async () => {
      const [bundle, sources] = await Promise.all([run(BUNDLE, args), run(SOURCES, args)]);
      assert.deepEqual(bundle, sources);
    });
  }

  it('names the sources in stack traces, with their lines', async () => {
    const args = [
      'serve',
      '--store',
      'file',
      '--dir',
      '/proc/nowhere/data',
      '--nats-server',
      'nats://127.0.0.1:1',
    ];
    const { code, out } = await run(BUNDLE, [...args, '--log-format', 'json', '--log-level', 'debug']);
    assert.equal(code, 1);
    const stack = out
      .split('\n')
      .filter(Boolean)
      .map((line): string | undefined => JSON.parse(line).err?.stack)
      .find((text) => text !== undefined);
    const [, source = '', line] = /\((src\/[\w/-]+\.ts):(\d+):\d+\)/.exec(stack ?? '') ?? [];
    assert.equal(source, 'src/files/fs.ts', stack);
    const text = readFileSync(join(ROOT, source), 'utf8').split('\n')[Number(line) - 1] ?? '';
    assert.match(text, /mkdir\(/, stack);
  });
});
