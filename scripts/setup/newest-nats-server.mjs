import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.mjs';

const MODULE = 'github.com/nats-io/nats-server/v2';

/**
 * Builds the newest nats-server that Go's module proxy has, where there is Go: the tests run with it besides the one that is
 * installed, which on Debian is years old.
 *
 * @param {string} root
 * @returns {Promise<{ binary: string, version: string } | { skipped: string }>}
 */
export async function buildNewestNatsServer(root) {
  if ((await run('go', ['version'], { quiet: true })) !== 0) return { skipped: 'there is no Go to build it' };
  const folder = join(root, 'node_modules', '.cache', 'nats-server');
  mkdirSync(folder, { recursive: true });
  const env = { ...process.env, GOBIN: folder, GOFLAGS: '-mod=mod' };
  const exitCode = await run('go', ['install', `${MODULE}@latest`], { cwd: folder, env });
  const binary = join(folder, 'nats-server');
  if (exitCode !== 0 || !existsSync(binary)) return { skipped: `go install ${MODULE}@latest failed` };
  const version = execFileSync(binary, ['--version'], { encoding: 'utf8' });
  return { binary, version: version.match(/\d+\.\d+\.\d+\S*/)?.[0] ?? 'of an unknown version' };
}
