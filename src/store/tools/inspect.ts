import { BelievedTime } from '../../clock/believed-time.js';
import type { Clock } from '../../clock/clock.js';
import { checkpointName, type FileId, journalName, parseNames, segmentName } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import { type DamageError, damaged, isGone, isMissing, StoreError } from '../../files/store-error.js';
import {
  CHECKPOINT_DIRECTORY,
  JOURNAL_DIRECTORY,
  LEASE_DIRECTORY,
  SEGMENT_DIRECTORY,
} from '../../files/store-folder.js';
import { FORMER_VERSION } from '../../lease/carry-over.js';
import { Lease } from '../../lease/lease.js';
import { type LeaseState, NONE_SERVED, SERVED_UNKNOWN, type Served } from '../../lease/lease-state.js';
import { BlobFolder } from '../blobs/blob-folder.js';
import { groupKeyProblem, keyFileName } from '../file/group-key.js';
import { formerProblem, goneIdentity, readIdentityFile, type StoreIdentity } from '../file/identity.js';
import { type Recovery, recover } from '../file/recovery.js';
import { LogParts } from '../log/log-parts.js';
import { SegmentTable } from '../segments/segment-table.js';

export interface FileInfo extends FileId {
  path: string;
  bytes: number;
}

export interface ChannelInfo {
  name: string;
  id: number;
  firstSequence: number;
  lastSequence: number;
  messages: number;
  /** Bytes of their MsgProtos. */
  bytes: number;
  /** How many runs are in segments. The other messages are in the journal. */
  extents: number;
  /** Which of the messages a repair could not save, or an import has not found. */
  lost: { first: number; last: number }[];
}

/** The content of a store, as a broker would recover it now. */
export interface StoreInfo {
  identity: StoreIdentity;
  lease: LeaseState | undefined;
  /** The newest epoch that left a file; 0 if none did. */
  highestEpoch: number;
  journals: FileInfo[];
  segments: FileInfo[];
  checkpoints: FileInfo[];
  channels: ChannelInfo[];
  clients: number;
  subscriptions: number;
  /** The warnings of a recovery: torn tails, a skipped checkpoint. */
  warnings: string[];
  /** Why a broker could not open the store. */
  damage: DamageError | undefined;
}

export interface InspectOptions {
  fs: StoreFs;
  clock: Clock;
  dir: string;
}

const MIB = 1024 * 1024;
/** Limit of tries: a running broker removes files now and then, between the listing of a folder and a read. */
const ATTEMPTS = 5;

/**
 * Reads a store without changing it, also while a broker uses it.
 *
 * @throws StoreError if there is no store, or it is of a newer version
 */
export async function storeInfo(options: InspectOptions): Promise<StoreInfo> {
  const { fs, dir } = options;
  const identity = await requireIdentity(options);
  const warnings: string[] = [];
  let damage = await problemOfIdentity(options, identity);
  let recovery: Recovery | undefined;
  try {
    recovery = await recoverReadOnly(options, identity, warnings);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'damaged') throw error;
    damage ??= error as DamageError;
  }
  const [journals, segments, checkpoints] = await listFiles(fs, dir);
  return {
    identity,
    lease: await new Lease(fs, dir).read().catch(() => undefined),
    highestEpoch: Math.max(0, ...[journals, segments, checkpoints].flat().map(({ epoch }) => epoch)),
    journals,
    segments,
    checkpoints,
    channels: recovery === undefined ? [] : channelsOf(recovery),
    clients: recovery?.state.clients.size ?? 0,
    subscriptions: recovery?.state.subscriptions.size ?? 0,
    warnings,
    damage,
  };
}

/** What the identity file says, whether its checksum is right or not. */
export async function requireIdentity({ fs, dir }: InspectOptions): Promise<StoreIdentity> {
  const identity = await readIdentityFile(fs, dir);
  if (identity !== undefined) return identity;
  const gone = goneIdentity(dir, await fs.list(dir).catch(() => []));
  if (gone !== undefined) throw gone;
  throw new StoreError(
    'foreign',
    `There is no store in ${dir}. Give the --dir of a broker with --store file`,
  );
}

/** The damage of the identity or of its key, which keeps brokers from opening the store. */
export async function problemOfIdentity(
  { fs, dir }: InspectOptions,
  identity: StoreIdentity,
): Promise<DamageError | undefined> {
  if (identity.formatVersion !== FORMER_VERSION) return await groupKeyProblem(fs, dir, identity);
  const problem = await formerProblem(fs, dir, identity);
  if (problem !== undefined) return problem;
  // A store of the former version has no key, unless carrying it over was interrupted.
  const isKeyThere = (await fs.status(`${dir}/${keyFileName(identity.storeId)}`)) !== undefined;
  return isKeyThere ? await groupKeyProblem(fs, dir, identity) : undefined;
}

/** Recovers the state as a broker would, and writes nothing. Its messages cannot be read: see `openReadOnly`. */
export async function recoverReadOnly(
  options: InspectOptions,
  identity: StoreIdentity,
  warnings: string[],
): Promise<Recovery> {
  const { recovery, close } = await openReadOnly(options, identity, warnings);
  close();
  return recovery;
}

/** A recovered state, whose logs read their messages until it is closed. */
export interface OpenedReadOnly {
  recovery: Recovery;
  close: () => void;
}

/** Recovers the state as a broker would, and writes nothing. */
export async function openReadOnly(
  { fs, clock, dir }: InspectOptions,
  { storeId }: StoreIdentity,
  warnings: string[],
): Promise<OpenedReadOnly> {
  for (let attempt = 1; ; attempt++) {
    const found: string[] = [];
    const warn = (message: string): void => {
      found.push(message);
    };
    const segments = new BlobFolder({ fs, dir, epoch: 0, kind: 'seg', maxOpen: 8, reserve: undefined });
    const settings = {
      clock,
      believed: new BelievedTime({ clock, warn: () => {} }),
      warn,
      blockBytes: MIB,
      cacheBytes: 0,
      loadedBytes: MIB,
    };
    const parts = new LogParts(settings, new SegmentTable(segments));
    try {
      const served = await readServed({ fs, dir });
      const recovery = await recover({ fs, clock, dir, storeId, parts, warn, served });
      warnings.push(...found);
      return { recovery, close: () => segments.close() };
    } catch (error) {
      segments.close();
      const isDamage = error instanceof StoreError && error.code === 'damaged';
      if ((!isGone(error) && !isDamage) || attempt === ATTEMPTS) throw error;
    }
  }
}

/** As the lease says. It is read before anything else is: what has become durable later is not asked for. */
export async function readServed({ fs, dir }: Pick<InspectOptions, 'fs' | 'dir'>): Promise<Served> {
  return await new Lease(fs, dir)
    .read()
    .catch((error: unknown) => (isMissing(error) ? SERVED_UNKNOWN : NONE_SERVED));
}

/** The problem of the lease's folder. A folder without a lease keeps brokers from starting; a missing folder they make again, with a warning. */
export async function problemOfLease({
  fs,
  dir,
}: Pick<InspectOptions, 'fs' | 'dir'>): Promise<StoreError | undefined> {
  try {
    await new Lease(fs, dir).read();
    return undefined;
  } catch (error) {
    if (isMissing(error)) return damaged(`${dir}/${LEASE_DIRECTORY}`, 0, 'the folder is missing');
    if (error instanceof StoreError && error.code === 'damaged') return error;
    // A broker has just renamed what a mount remembers.
    if (isGone(error)) return undefined;
    throw error;
  }
}

export async function listFiles(fs: StoreFs, dir: string): Promise<[FileInfo[], FileInfo[], FileInfo[]]> {
  const kinds = [
    [JOURNAL_DIRECTORY, 'log', journalName],
    [SEGMENT_DIRECTORY, 'seg', segmentName],
    [CHECKPOINT_DIRECTORY, 'ckpt', checkpointName],
  ] as const;
  const lists: FileInfo[][] = [];
  for (const [directory, extension, nameOf] of kinds) {
    const list: FileInfo[] = [];
    const names = await fs.list(`${dir}/${directory}`).catch(() => []);
    for (const id of parseNames(names, extension)) {
      const path = `${dir}/${directory}/${nameOf(id)}`;
      const status = await fs.status(path);
      if (status !== undefined) list.push({ ...id, path, bytes: status.bytes });
    }
    lists.push(list);
  }
  return lists as [FileInfo[], FileInfo[], FileInfo[]];
}

function channelsOf({ state }: Recovery): ChannelInfo[] {
  return [...state.logs.values()]
    .map((log) => ({
      name: log.name,
      id: log.id,
      firstSequence: log.firstSequence,
      lastSequence: log.lastSequence,
      messages: log.messageCount,
      bytes: log.byteCount,
      extents: log.extents.filter(({ isGap }) => !isGap).length,
      lost: log.extents.filter(({ isGap }) => isGap).map(({ first, last }) => ({ first, last })),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
