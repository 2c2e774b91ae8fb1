import { readFileSync } from 'node:fs';

/** Names the present run of this machine, from its start on. Undefined where the system does not say. */
export function bootIdOf(path = '/proc/sys/kernel/random/boot_id'): string | undefined {
  try {
    return readFileSync(path, 'latin1').trim() || undefined;
  } catch {
    // Not on Linux.
    return undefined;
  }
}
