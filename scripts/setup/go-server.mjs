import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.mjs';

const NAME = 'nats-streaming-server';
/** The last version that there will be. */
const MODULE = `github.com/nats-io/${NAME}@v0.25.6`;

/**
 * The Go streaming server, for tests that compare with it: the one that GO_SERVER names, an installed one, or one that is built where
 * there is Go, once.
 *
 * @param {string} root
 * @returns {Promise<string | undefined>} its binary; undefined if there is none, and the tests say so
 */
export async function goServer(root) {
  if (process.env.GO_SERVER) return process.env.GO_SERVER;
  if ((await run(NAME, ['--version'], { quiet: true })) === 0) return NAME;
  const folder = join(root, 'node_modules', '.cache', NAME);
  const binary = join(folder, NAME);
  if (existsSync(binary)) return binary;
  if ((await run('go', ['version'], { quiet: true })) !== 0) return undefined;
  mkdirSync(folder, { recursive: true });
  const env = { ...process.env, GOBIN: folder, GOFLAGS: '-mod=mod' };
  const exitCode = await run('go', ['install', MODULE], { cwd: folder, env });
  return exitCode === 0 && existsSync(binary) ? binary : undefined;
}
