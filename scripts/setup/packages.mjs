import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, SetupError, say } from './run.mjs';

/**
 * Whether what is installed is what package-lock.json asks for, on this platform.
 *
 * @param {string} root
 */
export function packagesAreCurrent(root) {
  const installed = readLock(join(root, 'node_modules', '.package-lock.json'));
  if (!installed) return false;
  const wanted = readLock(join(root, 'package-lock.json'));
  if (!wanted)
    throw new SetupError('package-lock.json is missing or damaged: run `git checkout package-lock.json`');
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '' || (entry.optional && !fitsPlatform(entry))) return true;
    return installed[path]?.version === entry.version && existsSync(join(root, path, 'package.json'));
  });
}

/** @param {string} root */
export async function installPackages(root) {
  say('installing the npm packages (npm ci)');
  const npm = npmCommand();
  // The build and the tests need the development packages, whatever NODE_ENV says.
  const args = [...npm.args, 'ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  const exitCode = await run(npm.command, args, { cwd: root });
  if (exitCode !== 0) {
    throw new SetupError('the npm packages could not be installed (see above). Run `npm ci` and try again');
  }
}

/** The npm that runs us, if one does: there may be several on a machine. */
function npmCommand() {
  const script = process.env.npm_execpath;
  if (script && /npm-cli\.c?js$/.test(script)) return { command: process.execPath, args: [script] };
  return { command: process.platform === 'win32' ? 'npm.cmd' : 'npm', args: [] };
}

/**
 * @typedef {{ version?: string, optional?: boolean, os?: string[], cpu?: string[], libc?: string[] }} LockEntry
 * @param {string} path
 * @returns {Record<string, LockEntry> | undefined}
 */
function readLock(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/** @param {LockEntry} entry */
function fitsPlatform(entry) {
  // One that names no platform may have failed to build: npm goes on without it, and so do we. Which libc this is takes
  // longer to find out than the whole check.
  if ((!entry.os && !entry.cpu) || entry.libc) return false;
  return allows(entry.os, process.platform) && allows(entry.cpu, process.arch);
}

/**
 * @param {string[] | undefined} names
 * @param {string} name
 */
function allows(names, name) {
  return names === undefined || names.includes(name);
}
