// Packs the program of a checkout, so that tests can run it as it was: the command line with all that it needs, and the worker that
// renews the lease.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runCommand } from '../harness/command.js';
import { packFolder } from './packed.js';

const USAGE = `node --import tsx test/data/bundle-program.ts --checkout DIR --worker src/.../renewal-worker.ts --name NAME
makes test/data/NAME.program.br; DIR has its node_modules`;
const ESBUILD = fileURLToPath(new URL('../../node_modules/.bin/esbuild', import.meta.url));
const ENTRY = 'src/cli/main.ts';
/** Some packages are CommonJS. */
const REQUIRE = "import{createRequire}from'node:module';const require=createRequire(import.meta.url);";

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { checkout: { type: 'string' }, worker: { type: 'string' }, name: { type: 'string' } },
  });
  const { checkout, worker, name } = values;
  if (checkout === undefined || worker === undefined || name === undefined)
    throw new Error('--checkout, --worker and --name are needed');
  const root = fs.mkdtempSync(path.join(tmpdir(), 'stanchion-bundle-'));
  try {
    const { version } = JSON.parse(fs.readFileSync(path.join(checkout, 'package.json'), 'utf8')) as {
      version: string;
    };
    // What the program reads of it.
    fs.writeFileSync(path.join(root, 'package.json'), JSON.stringify({ version, type: 'module' }));
    for (const entry of [ENTRY, worker]) {
      const outfile = path.join(root, 'dist', 'cli', `${path.basename(entry, '.ts')}.js`);
      const flags = ['--bundle', '--minify', '--platform=node', '--target=node20', '--format=esm'];
      execFileSync(
        ESBUILD,
        [entry, ...flags, `--outfile=${outfile}`, `--banner:js=${REQUIRE}`, '--log-level=error'],
        { cwd: checkout, stdio: 'inherit' },
      );
    }
    const packed = packFolder(root);
    fs.writeFileSync(new URL(`./${name}.program.br`, import.meta.url), packed);
    console.log(`${name}.program.br has ${packed.length} bytes`);
    return 0;
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
}

runCommand(main, USAGE);
