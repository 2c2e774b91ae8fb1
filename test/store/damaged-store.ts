import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from '../../src/util/assert.js';
import type { Broker } from '../harness/broker.js';
import { waitFor } from '../harness/wait.js';

/** The files of one kind, oldest first. */
export function filesOf(dir: string, kind: 'journal' | 'segments' | 'checkpoints'): string[] {
  const names = readdirSync(join(dir, kind)).filter((name) => /\.(log|seg|ckpt)$/.test(name));
  return names.sort().map((name) => join(dir, kind, name));
}

/** A checkpoint stands for everything that the broker has stored: it makes one soon after it has found journals. */
export async function checkpointed(broker: Broker): Promise<void> {
  const dir = broker.settings.dir!;
  const before = filesOf(dir, 'checkpoints').at(-1);
  await broker.restart('SIGKILL');
  await waitFor(() => filesOf(dir, 'checkpoints').at(-1) !== before, 'a checkpoint');
}

/** The file in which a message lies that a checkpoint stands for. */
export function bodyWith(dir: string, text: string): string {
  return must(
    filesOf(dir, 'journal').find((path) => readFileSync(path).includes(text)),
    `a journal file has ${text}`,
  );
}
