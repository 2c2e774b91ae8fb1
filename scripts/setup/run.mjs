import { spawn } from 'node:child_process';

/** Something that the person at the keyboard has to see to. The message says what. */
export class SetupError extends Error {}

/**
 * Runs a program without input, its output going to ours.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, quiet?: boolean }} [options]
 * @returns {Promise<number>} its exit code; 127 if there is no such program, 1 if a signal ended it
 */
export function run(command, args, options = {}) {
  const output = options.quiet ? 'ignore' : 'inherit';
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ['ignore', output, output],
  });
  return new Promise((resolve) => {
    child.on('error', () => resolve(127));
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

/** @param {string} text */
export function say(text) {
  console.log(`setup: ${text}`);
}
