// Packs the program of a checkout, so that tests can run it as it was: the command line with all that it needs, the worker that renews
// the lease, and the store and its lease as modules.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runCommand } from '../harness/command.js';
import { packFolder } from './packed.js';

const USAGE = `node --import tsx test/data/bundle-program.ts --checkout DIR --name 0.1.0
makes test/data/0.1.0.program.br; DIR has its node_modules`;
const ESBUILD = fileURLToPath(new URL('../../node_modules/.bin/esbuild', import.meta.url));
/** By the place in the package where each is looked for. */
const ENTRIES = {
  'dist/cli/main.js': "import './src/cli/main.ts';",
  'dist/cli/renewal-worker.js': "import './src/group/renewal-worker.ts';",
  'dist/store.js': `export { Reign } from './src/store/reign.ts';
    export { openFileStore } from './src/store/open-file.ts';
    export { checkIdentity } from './src/store/identity.ts';`,
};
/** Some packages are CommonJS. */
const REQUIRE = "import{createRequire}from'node:module';const require=createRequire(import.meta.url);";

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { checkout: { type: 'string' }, name: { type: 'string' } },
  });
  const { checkout, name } = values;
  if (checkout === undefined || name === undefined) throw new Error('--checkout and --name are needed');
  const root = fs.mkdtempSync(path.join(tmpdir(), 'stanchion-bundle-'));
  try {
    const { version } = JSON.parse(fs.readFileSync(path.join(checkout, 'package.json'), 'utf8')) as {
      version: string;
    };
    // What the program reads of it.
    fs.writeFileSync(path.join(root, 'package.json'), JSON.stringify({ version, type: 'module' }));
    for (const [place, entry] of Object.entries(ENTRIES)) {
      const flags = ['--bundle', '--minify', '--platform=node', '--target=node20', '--format=esm'];
      execFileSync(
        ESBUILD,
        [...flags, `--outfile=${path.join(root, place)}`, `--banner:js=${REQUIRE}`, '--log-level=error'],
        { cwd: checkout, input: entry, stdio: ['pipe', 'inherit', 'inherit'] },
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
