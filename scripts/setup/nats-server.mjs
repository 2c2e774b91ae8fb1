import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { run, SetupError, say } from './run.mjs';

// Debian installs into /usr/sbin, which is not on the PATH of everybody.
const MORE_FOLDERS = ['/usr/local/bin', '/usr/local/sbin', '/usr/sbin', '/opt/homebrew/bin'];
const INSTALL = 'apt-get update && apt-get install -y nats-server';
const UNIT = 'nats-server.service';
const APT_LOCK_TIMEOUT_S = 300;

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {string | undefined} the path of the program
 */
export function findNatsServer(env, moreFolders = MORE_FOLDERS) {
  const chosen = env.STANCHION_NATS_SERVER_BIN;
  if (chosen?.includes('/')) return isProgram(chosen) ? chosen : undefined;
  const folders = [...(env.PATH ?? '').split(delimiter).filter(Boolean), ...moreFolders];
  return folders.map((folder) => join(folder, chosen || 'nats-server')).find(isProgram);
}

/**
 * Installs Debian's package, without letting it start the service of that name: it would sit on port 4222.
 *
 * @param {NodeJS.ProcessEnv} env
 */
export async function installNatsServer(env) {
  if (env.STANCHION_NATS_SERVER_BIN) {
    throw new SetupError(
      `there is no program at STANCHION_NATS_SERVER_BIN=${env.STANCHION_NATS_SERVER_BIN}: correct it, or unset it`,
    );
  }
  if (!existsSync('/usr/bin/apt-get')) throw new SetupError(`nats-server is missing. ${otherWays()}`);
  if (process.getuid?.() !== 0) {
    throw new SetupError(
      `nats-server is missing, and only root may install it. Run: sudo sh -c '${INSTALL}'`,
    );
  }
  say(`installing nats-server (${INSTALL})`);
  const unmask = await keepServiceOff();
  try {
    await aptInstall();
  } finally {
    await unmask();
  }
  if (findNatsServer(env) === undefined) {
    throw new SetupError(
      'nats-server was installed, but is not on the PATH. Add its folder (dpkg -L nats-server)',
    );
  }
}

async function aptInstall() {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const lockTimeout = ['-o', `DPkg::Lock::Timeout=${APT_LOCK_TIMEOUT_S}`];
  const updated = await run('apt-get', ['-qq', ...lockTimeout, 'update'], { env });
  // Not the end: the lists that are there may do.
  if (updated !== 0) say('apt-get update failed, trying to install all the same');
  const args = ['-qq', ...lockTimeout, 'install', '-y', '--no-install-recommends', 'nats-server'];
  if ((await run('apt-get', args, { env })) !== 0) {
    throw new SetupError(`nats-server could not be installed (see above). Run: ${INSTALL}\n${otherWays()}`);
  }
}

/**
 * A masked unit is neither started by the package's scripts nor at boot. Afterwards it is left disabled and unmasked, so
 * that whoever wants the service has it with `systemctl enable --now nats-server`.
 *
 * @returns {Promise<() => Promise<void>>} to call after the installation
 */
async function keepServiceOff() {
  const masked = (await run('systemctl', ['--quiet', 'mask', UNIT], { quiet: true })) === 0;
  return async () => {
    if (!masked) return;
    await run('systemctl', ['--quiet', 'unmask', UNIT], { quiet: true });
    await run('systemctl', ['--quiet', 'disable', UNIT], { quiet: true });
  };
}

function otherWays() {
  const command =
    process.platform === 'darwin' ? 'Run: brew install nats-server' : 'Install it with your package manager';
  return `${command}, or put a release of https://github.com/nats-io/nats-server on the PATH`;
}

/** @param {string} path */
function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
