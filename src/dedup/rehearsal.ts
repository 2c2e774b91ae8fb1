import { GUID_HEADER_BYTES } from './guid-generation.js';
import { RecentGuids } from './recent-guids.js';

const ROUNDS = 8;
const GUIDS = 4096;
const GUID_BYTES = 22;

/**
 * Warms up the code that enters guids, with made-up guids and unused tables. A takeover enters tens of thousands of guids before it
 * answers its first publish: this takes 35 ms in a process that has never done it, and 15 ms after the compiler has optimized the code.
 *
 * @param defer runs a callback soon, after other due work; a round takes some 3 ms
 */
export function rehearseGuids(defer: (callback: () => void) => void): void {
  const size = GUID_HEADER_BYTES + GUID_BYTES;
  const entries = Buffer.alloc(GUIDS * size);
  for (let i = 0; i < GUIDS; i++) {
    const at = i * size;
    entries[at + 8] = GUID_BYTES;
    entries.write(String(i).padStart(GUID_BYTES, '0'), at + GUID_HEADER_BYTES, 'latin1');
  }
  let left = ROUNDS;
  const round = (): void => {
    const guids = new RecentGuids(left);
    guids.reserve(GUIDS);
    guids.restoreRun({ ms: 1, entries });
    if (--left > 0) defer(round);
  };
  defer(round);
}
