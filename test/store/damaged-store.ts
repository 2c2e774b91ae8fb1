import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Broker } from '../harness/broker.js';
import { waitFor } from '../harness/wait.js';

/** The files of one kind, oldest first. */
export function filesOf(dir: string, kind: 'journal' | 'segments' | 'checkpoints'): string[] {
  const names = readdirSync(join(dir, kind)).filter((name) => /\.(log|seg|ckpt)$/.test(name));
  return names.sort().map((name) => join(dir, kind, name));
}

/** Everything that the broker has stored lies in segments, named by a checkpoint: it makes one soon after it has found journals. */
export async function inSegments(broker: Broker): Promise<void> {
  const dir = broker.settings.dir!;
  await broker.restart('SIGKILL');
  const [before] = filesOf(dir, 'journal');
  await waitFor(
    () => filesOf(dir, 'checkpoints').length > 0 && !filesOf(dir, 'journal').includes(before!),
    'a checkpoint',
  );
}
