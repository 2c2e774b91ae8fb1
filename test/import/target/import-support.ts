import assert from 'node:assert/strict';
import type { StoreFs } from '../../../src/files/fs.js';
import { type ImportOptions, type ImportReport, importInto } from '../../../src/import/target/import-into.js';
import type { ImportSource } from '../../../src/import/types/source.js';
import { Lease } from '../../../src/lease/lease.js';
import type { RepairLease } from '../../../src/store/tools/repair-store.js';
import { DIR } from '../../store/leased-store.js';
import { random, TestClock } from '../../store/support.js';

export const clock = new TestClock();
let imports = 0;

/** Takes the lease, whoever has it: a test knows that its holder is gone. */
export async function takeLease(fs: StoreFs): Promise<RepairLease> {
  const lease = new Lease(fs, DIR);
  const holder = `import-${++imports}`;
  await lease.create(holder);
  const known = await lease.readFresh(holder);
  const term = { epoch: known.epoch + 1, holder, kind: 'alone', leaseMs: 3000 } as const;
  let state = await lease.takeOver(known, term);
  const renew = async (batch?: number): Promise<void> => {
    assert.ok(state !== 'lost');
    state = await lease.renew(state, batch);
  };
  return {
    epoch: term.epoch,
    fence: () => renew(),
    markServed: () => renew(1),
    release: async () => void (state !== 'lost' && (await lease.release(state))),
  };
}

/** Imports a source into the store of `LeasedTerm`. */
export async function importFrom(
  fs: StoreFs,
  source: ImportSource,
  options: Partial<ImportOptions> = {},
): Promise<ImportReport> {
  const state = await source.open();
  return await importInto({
    ...{ fs, clock, random, dir: DIR, clusterId: 'test-cluster', source, state },
    takeLease: () => takeLease(fs),
    ...options,
  });
}
