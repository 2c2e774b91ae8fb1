import { writeAtomically } from '../../files/file-io.js';
import { StoreError } from '../../files/store-error.js';
import { IDENTITY_FILE, LEASE_DIRECTORY } from '../../files/store-folder.js';
import { carryOver, FORMER_LEASE_DIRECTORY, FormerLease } from '../../lease/carry-over.js';
import { encodeKeyFile, GROUP_KEY_BYTES, identityCrc, keyFileName, makeKeyFile } from '../file/group-key.js';
import { encodeIdentity, STORE_VERSION, type StoreIdentity } from '../file/identity.js';
import type { RandomBytes } from '../types/store-id.js';
import { type InspectOptions, problemOfLease } from './inspect.js';
import { DAMAGED_DIRECTORY, keepAside, type RepairReport, repair, reportOf } from './repair.js';
import { salvage } from './salvage.js';
import { salvageIdentity } from './salvage-identity.js';
import { storeVerify } from './verify.js';

/** The lease of the store under repair, from `takeLoneLease`. */
export interface RepairLease {
  readonly epoch: number;
  fence(): Promise<void>;
  /** The first record of its term is durable. Ends as `fence` does. */
  markServed(): Promise<void>;
  release(): Promise<void>;
}

export interface RepairStoreOptions extends InspectOptions {
  random: RandomBytes;
  /** The cluster id, in case the store has lost it. */
  clusterId: string | undefined;
  /** Whether to report only, and change nothing. */
  isDryRun: boolean;
  /** Asks whether to change the store. Nothing was changed before this call. */
  ask: (report: RepairReport) => Promise<boolean>;
  /** Takes the lease of the store, as a lone broker does. @throws StoreError `held` */
  takeLease: () => Promise<RepairLease>;
}

export interface RepairOutcome {
  /** `possible` is the result of a dry run. */
  result: 'well' | 'possible' | 'refused' | 'repaired';
  report: RepairReport;
  notes: string[];
  /** The folder of the former files; undefined if nothing was changed. */
  keptIn: string | undefined;
}

const NOTHING: RepairReport = { damages: [], lost: [], doubtful: [], also: [], files: [] };

const NEW_KEY =
  'the group key, with which the members of a group prove to each other that they have this store. It gets a new one. Members that still run ' +
  'know the former one only: stop all of them';

/**
 * Repairs a store: everything that can be read stays, and the rest is removed and reported.
 *
 * @throws StoreError if the store cannot be repaired, or a broker holds it
 */
export async function repairStore(options: RepairStoreOptions): Promise<RepairOutcome> {
  const { fs, dir, isDryRun, clusterId } = options;
  const { identity, isDamaged, keyProblem, groupKey } = await salvageIdentity(options, clusterId);
  const { storeId } = identity;
  const leaseProblem = await problemOfLease(options);
  const { damages, notes } = isDamaged ? { damages: [], notes: [] } : await storeVerify(options);
  if (!isDamaged && leaseProblem === undefined && damages.length === 0)
    return { result: 'well', report: NOTHING, notes, keptIn: undefined };

  const look = async (): Promise<{ report: RepairReport; found: Awaited<ReturnType<typeof salvage>> }> => {
    const found = await salvage(options, storeId);
    const report = reportOf(found);
    const identityPath = `${dir}/${IDENTITY_FILE}`;
    if (isDamaged) {
      const what = `it does not show whose store this is; the other files do: ${storeId} of cluster "${identity.clusterId}"`;
      report.damages = [{ path: identityPath, offset: 0, what }, ...report.damages];
      report.files = [identityPath, ...report.files];
    }
    if (keyProblem !== undefined) {
      const { path, offset, what } = keyProblem;
      if (path !== identityPath || !isDamaged) report.damages = [{ path, offset, what }, ...report.damages];
      if (groupKey === undefined) report.also = [NEW_KEY, ...report.also];
    }
    if (leaseProblem !== undefined) {
      const path = `${dir}/${LEASE_DIRECTORY}`;
      report.damages = [{ path, offset: 0, what: leaseProblem.message }, ...report.damages];
    }
    return { report, found };
  };
  const { report: preview, found: before } = await look();
  const allNotes = [...new Set([...notes, ...before.notes])];
  if (isDryRun) return { result: 'possible', report: preview, notes: allNotes, keptIn: undefined };
  if (!(await options.ask(preview)))
    return { result: 'refused', report: preview, notes: allNotes, keptIn: undefined };

  if (leaseProblem !== undefined) await setLeaseAside(options);
  const lease = await options.takeLease();
  try {
    const { report, found } = await look();
    if (JSON.stringify(report) !== JSON.stringify(preview)) {
      throw new StoreError(
        'held',
        `The store in ${dir} has changed while it was looked at: is a broker at work on it? Run the command again`,
      );
    }
    const { epoch } = lease;
    const fence = (): Promise<void> => lease.fence();
    if (keyProblem !== undefined) await writeKey(options, epoch, identity, groupKey);
    if (isDamaged) {
      await keepIfThere(options, epoch, IDENTITY_FILE);
      await writeAtomically(fs, dir, IDENTITY_FILE, [encodeIdentity(identity)]);
    }
    if (identity.formatVersion < STORE_VERSION) {
      const unique = Buffer.from(options.random(6)).toString('hex');
      const makeKey = (): Promise<void> => makeKeyFile(fs, dir, identity, options.random);
      const versions = { from: identity.formatVersion, to: STORE_VERSION };
      const warn = (message: string): void => void allNotes.push(message);
      await carryOver({ fs, dir, epoch, unique, warn, makeKey, ...versions });
    }
    const markServed = (): Promise<void> => lease.markServed();
    const keptIn = await repair({ ...options, storeId, epoch, fence, markServed }, found);
    const after = await storeVerify(options);
    if (after.damages.length > 0) {
      const [{ path, offset, what }] = after.damages as [(typeof after.damages)[number]];
      throw new StoreError(
        'damaged',
        `The store in ${dir} is still damaged: ${path}, byte ${offset}: ${what}. The former files are in ${keptIn}. Look after the disk first, then run the command again`,
      );
    }
    return { result: 'repaired', report, notes: allNotes, keptIn };
  } finally {
    await lease.release();
  }
}

/** Writes a key file that fits the identity, with the key of the store, or with a new one. */
async function writeKey(
  options: RepairStoreOptions,
  epoch: number,
  identity: StoreIdentity,
  groupKey: Buffer | undefined,
): Promise<void> {
  const { fs, dir, random } = options;
  const name = keyFileName(identity.storeId);
  await keepIfThere(options, epoch, name);
  const key = {
    groupKey: groupKey ?? Buffer.from(random(GROUP_KEY_BYTES)),
    identityCrc: identityCrc(identity),
  };
  await writeAtomically(fs, dir, name, [encodeKeyFile(identity.storeId, key)]);
}

async function keepIfThere({ fs, dir }: InspectOptions, epoch: number, name: string): Promise<void> {
  const path = `${dir}/${name}`;
  if ((await fs.status(path)) !== undefined) await keepAside(fs, dir, epoch, [path]);
}

async function setLeaseAside({ fs, dir, random }: RepairStoreOptions): Promise<void> {
  const folder = `${dir}/${DAMAGED_DIRECTORY}`;
  await fs.makeDirectory(folder);
  const suffix = Buffer.from(random(6)).toString('hex');
  const names = (await new FormerLease(fs, dir).isThere())
    ? [LEASE_DIRECTORY, FORMER_LEASE_DIRECTORY]
    : [LEASE_DIRECTORY];
  for (const name of names) {
    if ((await fs.status(`${dir}/${name}`)) !== undefined)
      await fs.rename(`${dir}/${name}`, `${folder}/${name}.${suffix}`);
  }
  await fs.syncDirectory(folder);
  await fs.syncDirectory(dir);
}
