import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeBundle } from './bundle.mjs';
import { writeCommonJsTypes } from './commonjs-types.mjs';
import { run, SetupError, say } from './run.mjs';
import { removeStale } from './stale-files.mjs';

/**
 * Whether `dist` was built from `src` as it is now. Told by content: a checkout gives every file a new time.
 *
 * @param {string} root
 */
export function buildIsCurrent(root) {
  try {
    const stamp = stampPath(root);
    const builtSince = statSync(join(root, 'dist', 'cli', 'main.js')).mtimeMs > statSync(stamp).mtimeMs;
    return !builtSince && readFileSync(stamp, 'utf8') === fingerprint(root);
  } catch {
    return false;
  }
}

/** @param {string} root */
export async function runBuild(root) {
  say('building (tsc, esbuild)');
  const built = fingerprint(root);
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  if ((await run(process.execPath, [tsc, '-p', 'tsconfig.json', '--noEmitOnError'], { cwd: root })) !== 0) {
    throw new SetupError('the build failed (see above). `npm run build` runs it alone');
  }
  await finishBuild(root);
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(stampPath(root), built);
}

/**
 * Adds to the modules that tsc has compiled what it does not make: pages, types for CommonJS, the bundle. What an earlier build has left goes.
 *
 * @param {string} root
 */
export async function finishBuild(root) {
  copyPages(root);
  writeCommonJsTypes(root);
  removeStale(root, await writeBundle(root));
}

/**
 * What a browser gets is no TypeScript, and goes as it is.
 *
 * @param {string} root
 */
function copyPages(root) {
  const page = join('dashboard', 'page');
  const source = join(root, 'src', page);
  if (existsSync(source)) cpSync(source, join(root, 'dist', page), { recursive: true });
}

/** @param {string} root */
function stampPath(root) {
  return join(root, 'dist', '.built-from');
}

/**
 * The bundle has the packages and the version in it.
 *
 * @param {string} root
 */
function fingerprint(root) {
  const hash = createHash('sha256');
  const settings = ['tsconfig.json', 'package.json', 'package-lock.json'].map((name) => join(root, name));
  const sources = ['src', join('scripts', 'setup')].flatMap((folder) => filesUnder(join(root, folder)));
  for (const path of [...settings, ...sources]) {
    hash
      .update(`${path.slice(root.length)}\0`)
      .update(readFileSync(path))
      .update('\0');
  }
  return hash.digest('hex');
}

/**
 * @param {string} folder
 * @returns {string[]}
 */
function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? filesUnder(path) : [path];
    });
}
