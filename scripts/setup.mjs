// What `npm start` and `npm test` run first: sets up whatever is missing on this machine, says what it does, and is
// silent and quick when there is nothing to do. It runs before the npm packages are there, so it uses Node alone.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildIsCurrent, runBuild } from './setup/build.mjs';
import { withLock } from './setup/lock.mjs';
import { findNatsServer, installNatsServer } from './setup/nats-server.mjs';
import { nodeIsSupported, requiredNode } from './setup/node-version.mjs';
import { installPackages, packagesAreCurrent } from './setup/packages.mjs';
import { SetupError } from './setup/run.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function isComplete() {
  return packagesAreCurrent(root) && findNatsServer(process.env) !== undefined && buildIsCurrent(root);
}

async function setUp() {
  if (!nodeIsSupported(root)) {
    throw new SetupError(
      `Node ${process.versions.node} is too old: ${requiredNode(root)} or newer is needed. Install it from https://nodejs.org`,
    );
  }
  if (isComplete()) return;
  await withLock(root, async () => {
    if (!packagesAreCurrent(root)) await installPackages(root);
    if (findNatsServer(process.env) === undefined) await installNatsServer(process.env);
    if (!buildIsCurrent(root)) await runBuild(root);
  });
}

try {
  await setUp();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
}
