// The program `stanchion` as few files: what a command needs is loaded in a few reads, without a look for each of some hundred modules.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requiredNode } from './node-version.mjs';

/**
 * The bundle is in three parts that share no file, since no process uses two of them: the broker, the tools, and the thread that renews
 * the lease, which has modules of its own anyway. Files that several parts share would be many and small, and each takes its time to load.
 */
const PARTS = {
  main: 'src/cli/main.ts',
  tools: 'src/cli/tools.ts',
  'renewal-worker': 'src/lease/renewal-worker.ts',
};
/** The import by which one part calls another. */
const OTHER_PART = /^\.\/tools\.js$/;
/** Folders of `src` that no entry of the library leads to: their modules are in the bundle, and nowhere else. */
const ONLY_IN_BUNDLE = ['cli', 'drill', 'bench', 'import', 'local-group'];
/** The licences of the packages that are in the bundle. */
const LICENSES = 'third-party-licenses.txt';
/** Packages in CommonJS ask for Node's own modules by `require`, which an ES module has not. */
const WITH_REQUIRE =
  "import { createRequire as requireOf } from 'node:module';\nconst require = requireOf(import.meta.url);";

/**
 * Writes `dist/cli`: a file for each part, one for each `import()` in it, loaded when a command needs it, and what these share. Source maps
 * lie beside them. The files are as readable as the sources: nothing is shortened.
 *
 * @param {string} root
 * @returns {Promise<Set<string>>} the files that it has written
 */
export async function writeBundle(root) {
  const folder = join(root, 'dist', 'cli');
  const parts = Object.entries(PARTS).filter(([, path]) => existsSync(join(root, path)));
  const built = await Promise.all(parts.map(([name, path]) => buildPart(root, name, path)));
  for (const name of ONLY_IN_BUNDLE) rmSync(join(root, 'dist', name), { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const files = built.flatMap(({ outputFiles }) => outputFiles);
  for (const { path, contents } of files) writeFileSync(path, contents);
  const inputs = built.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  const texts = join(folder, LICENSES);
  writeFileSync(texts, licenses(root, inputs));
  return new Set([...files.map(({ path }) => path), texts]);
}

/**
 * @param {string} root
 * @param {string} name of the file
 * @param {string} path of the source
 */
async function buildPart(root, name, path) {
  // Not before the packages are installed is there a bundler.
  const { build } = await import('esbuild');
  return await build({
    absWorkingDir: root,
    entryPoints: { [name]: path },
    outdir: join('dist', 'cli'),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: `node${requiredNode(root)}`,
    chunkNames: '[name]-[hash]',
    sourcemap: 'linked',
    sourcesContent: false,
    banner: { js: WITH_REQUIRE },
    plugins: [knownVersion(root), otherPart],
    metafile: true,
    write: false,
    logLevel: 'warning',
    // A part of pg in C that it uses only when asked to.
    external: ['pg-native'],
  });
}

/** @type {import('esbuild').Plugin} */
const otherPart = {
  name: 'other part',
  setup: ({ onResolve }) => onResolve({ filter: OTHER_PART }, ({ path }) => ({ path, external: true })),
};

/**
 * The version is known when the bundle is made, and need not be read at each start.
 *
 * @param {string} root
 * @returns {import('esbuild').Plugin}
 */
function knownVersion(root) {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return {
    name: 'version',
    setup: ({ onLoad }) =>
      onLoad({ filter: /[\\/]src[\\/]version\.ts$/ }, () => ({
        contents: `export const VERSION = ${JSON.stringify(version)};`,
      })),
  };
}

/**
 * @param {string} root
 * @param {readonly string[]} inputs files of the bundle, from the root
 */
function licenses(root, inputs) {
  const folders = new Set(inputs.map(packageFolder).filter((folder) => folder !== undefined));
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    const file = readdirSync(join(root, folder)).find((each) => /^licen[cs]e/i.test(each));
    const text = file === undefined ? '' : `\n\n${readFileSync(join(root, folder, file), 'utf8').trim()}`;
    return `${name} ${version} (${license})${text}\n`;
  });
  return texts.join(`\n${'-'.repeat(80)}\n\n`);
}

/** @param {string} path */
function packageFolder(path) {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
}
