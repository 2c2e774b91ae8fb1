import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { say } from './run.mjs';

/**
 * Runs `work` while no other set-up of the same checkout runs on this machine; waits for one that does.
 *
 * The lock is a listening socket: the system takes it back however its holder ends, so that nothing is left to clean up.
 *
 * @param {string} root
 * @param {() => Promise<void>} work
 */
export async function withLock(root, work) {
  const path = socketPath(root);
  const lock = await acquire(path);
  try {
    await work();
  } finally {
    lock.release();
  }
}

/** @param {string} root */
function socketPath(root) {
  const name = `stanchion-setup-${createHash('sha256').update(realpathSync(root)).digest('hex').slice(0, 16)}`;
  if (process.platform === 'linux') return `\0${name}`;
  if (process.platform === 'win32') return `\\\\.\\pipe\\${name}`;
  return join(tmpdir(), `${name}.sock`);
}

/** @param {string} path */
async function acquire(path) {
  let told = false;
  for (;;) {
    const lock = await tryListen(path);
    if (lock) return lock;
    const held = await untilClosed(path, () => {
      if (!told) say('waiting for another set-up of this checkout to end');
      told = true;
    });
    // Only a socket in the file system can outlive the process that listened on it.
    if (!held && path.startsWith('/')) await rm(path, { force: true });
  }
}

/** @param {string} path */
function tryListen(path) {
  /** @type {Set<import('node:net').Socket>} */
  const waiting = new Set();
  const server = createServer((socket) => {
    waiting.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => waiting.delete(socket));
  });
  return new Promise((resolve, reject) => {
    server.on('error', (error) => {
      if ('code' in error && error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen({ path }, () =>
      resolve({
        release() {
          server.close();
          for (const socket of waiting) socket.destroy();
        },
      }),
    );
  });
}

/**
 * @param {string} path
 * @param {() => void} onHeld
 * @returns {Promise<boolean>} whether anybody held the lock
 */
function untilClosed(path, onHeld) {
  return new Promise((resolve) => {
    let held = false;
    const socket = connect({ path }, () => {
      held = true;
      onHeld();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(held));
  });
}
