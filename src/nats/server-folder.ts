// The temporary folder of a supervised nats-server: its configuration, which holds no secret, its part of a Go server's file, which may,
// and the ports that it announces.

import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PREFIX = 'stanchion-nats-';
const NAME = /^stanchion-nats-(\d+)-\w{6}$/;

/** Makes a folder that only this user can enter. Folders of brokers that were killed are removed. */
export function makeServerFolder(parent = tmpdir()): string {
  removeAbandoned(parent);
  return mkdtempSync(join(parent, `${PREFIX}${process.pid}-`));
}

function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = Number(NAME.exec(name)?.[1]);
    if (Number.isNaN(pid) || isAlive(pid)) continue;
    const path = join(parent, name);
    try {
      const found = lstatSync(path);
      if (found.isDirectory() && found.uid === process.getuid?.()) rmSync(path, { recursive: true });
    } catch {
      // Another broker has removed it, or it stays.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
