import { readFileSync, writeFileSync } from 'node:fs';
import { argsWithoutSecrets } from '../config/secret-flags.js';

/**
 * Takes secrets out of the command line that `ps` shows to every user of the machine. They have been there for a moment: an environment
 * variable or a config file is the better place.
 */
export function hideSecretsInTitle(): void {
  const own = process.argv.slice(2);
  const hidden = argsWithoutSecrets(own);
  if (hidden === undefined) return;
  const given = commandLine();
  const command = [...given.slice(0, given.length - own.length), ...hidden];
  const name = processName();
  process.title = command.join(' ');
  // Node gives the process this name too, by which it is found.
  if (name !== undefined) setProcessName(name);
}

const NAME_FILE = '/proc/self/comm';
const COMMAND_FILE = '/proc/self/cmdline';

/** The command line as it was given. The title has room for no more. */
function commandLine(): string[] {
  try {
    return readFileSync(COMMAND_FILE, 'utf8').split('\0').slice(0, -1);
  } catch {
    // Not on Linux.
    return [process.argv0, ...process.execArgv, ...process.argv.slice(1)];
  }
}

function processName(): string | undefined {
  try {
    return readFileSync(NAME_FILE, 'utf8').trimEnd();
  } catch {
    // Not on Linux.
    return undefined;
  }
}

function setProcessName(name: string): void {
  try {
    writeFileSync(NAME_FILE, name);
  } catch {
    // Only the name is another one.
  }
}
