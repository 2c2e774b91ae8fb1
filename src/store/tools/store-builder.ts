import { removeIfThere, syncParents, writeAtomically, writeFile } from '../../files/file-io.js';
import { checkpointName, parseNames } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import { errorCode } from '../../files/fs-error.js';
import { testFileSystem } from '../../files/self-test.js';
import { isMissing, StoreError } from '../../files/store-error.js';
import {
  CHECKPOINT_DIRECTORY,
  IDENTITY_FILE,
  IMPORTING_FILE,
  JOURNAL_DIRECTORY,
  SEGMENT_DIRECTORY,
} from '../../files/store-folder.js';
import { toRanges } from '../../util/ranges.js';
import { isKeyFile, makeKeyFile } from '../file/group-key.js';
import {
  checkIdentity,
  encodeIdentity,
  readIdentityFile,
  STORE_VERSION,
  type StoreIdentity,
} from '../file/identity.js';
import { type CheckpointChannel, CheckpointWriter, SnapshotWriter } from '../format/checkpoint-format.js';
import { createJournalFile, MIN_JOURNAL_BYTES } from '../journal/journal-file.js';
import { writeTermBatch } from '../journal/term-record.js';
import type { ClientRecord, FormerSubjects, SubscriptionRecord } from '../types/store.js';
import { newStoreId, type RandomBytes } from '../types/store-id.js';
import { gapOf, NewSegments } from './new-segments.js';
import type { RepairLease } from './repair-store.js';

export interface BuilderOptions {
  fs: StoreFs;
  clock: { wallNs(): bigint };
  random: RandomBytes;
  dir: string;
  clusterId: string;
  /** Subjects that clients send to, if they are not those of the cluster id. */
  formerSubjects?: FormerSubjects | undefined;
  /** For tests: see `NewSegments`. */
  segmentBytes?: number | undefined;
}

/** A channel as it was built. */
export interface BuiltChannel {
  id: number;
  /** Sequence of the oldest message; `lastSequence + 1` if there is none. */
  firstSequence: number;
  lastSequence: number;
  messages: number;
  bytes: number;
  /** Sequences between its first and last that have no message: inclusive ranges, flat. */
  gaps: number[];
}

const CONTENT = [
  [JOURNAL_DIRECTORY, 'log'],
  [SEGMENT_DIRECTORY, 'seg'],
  [CHECKPOINT_DIRECTORY, 'ckpt'],
] as const;

/**
 * Whether a store can be built in a folder: it is missing, or empty, or has what a building that was interrupted has left. Changes nothing.
 *
 * @throws StoreError if it holds a store, or something else
 */
export async function checkBuildable(fs: StoreFs, dir: string, clusterId: string): Promise<void> {
  const names: string[] = await fs.list(dir).catch((error: unknown) => {
    if (isMissing(error) || errorCode(error) === 'ENOTDIR') return [];
    throw error;
  });
  if (names.includes(IDENTITY_FILE)) {
    const identity = await readIdentityFile(fs, dir);
    throw new StoreError(
      'foreign',
      `${dir} holds a store already${identity === undefined ? '' : `, of cluster "${identity.clusterId}"`}. Nothing was changed. Give an empty or new directory`,
    );
  }
  if (!names.includes(IMPORTING_FILE)) await checkIdentity(fs, dir, clusterId);
}

/**
 * Builds a new store of messages and positions that come from elsewhere, as one term that has ended: segments, one checkpoint, and a journal that has the
 * term record and nothing else. Until its last step the folder has no identity, but the beginning of one under another name: brokers refuse it,
 * and a builder that comes later clears it, and begins anew.
 */
export class StoreBuilder {
  readonly identity: StoreIdentity;
  readonly segments: NewSegments;
  readonly #options: BuilderOptions;
  readonly #lease: RepairLease;
  readonly #channels: CheckpointChannel[] = [];
  readonly #snapshot = new SnapshotWriter();
  #clients = 0;
  #subscriptions = 0;
  #isNamed = false;

  private constructor(options: BuilderOptions, lease: RepairLease, identity: StoreIdentity) {
    const { fs, dir, clock, segmentBytes } = options;
    this.#options = options;
    this.#lease = lease;
    this.identity = identity;
    const { storeId } = identity;
    const nowMs = Number(clock.wallNs() / 1_000_000n);
    this.segments = new NewSegments({ fs, dir, storeId, epoch: lease.epoch, nowMs, segmentBytes });
  }

  /** @param lease of the folder, which `checkBuildable` has found fit. It is the caller's to release */
  static async begin(options: BuilderOptions, lease: RepairLease): Promise<StoreBuilder> {
    const { fs, dir, clusterId, clock, random } = options;
    // Another process may have been at it before this one got the lease.
    await checkBuildable(fs, dir, clusterId);
    await fs.makeDirectory(dir);
    await syncParents(fs, dir);
    await testFileSystem(fs, dir, lease.epoch, Buffer.from(random(6)).toString('hex'));
    const { formerSubjects } = options;
    const identity: StoreIdentity = {
      ...(formerSubjects === undefined ? {} : { formerSubjects }),
      formatVersion: STORE_VERSION,
      clusterId,
      storeId: newStoreId(random),
      createdAt: new Date(Number(clock.wallNs() / 1_000_000n)).toISOString(),
    };
    const isLeftOver = (await fs.status(`${dir}/${IMPORTING_FILE}`)) !== undefined;
    if (isLeftOver) await clearContent(fs, dir);
    // First, so that whatever a crash leaves is known for what it is.
    if (isLeftOver) await writeAtomically(fs, dir, IMPORTING_FILE, [encodeIdentity(identity)]);
    else await writeFile(fs, `${dir}/${IMPORTING_FILE}`, encodeIdentity(identity));
    await fs.syncDirectory(dir);
    for (const [name] of CONTENT) await fs.makeDirectory(`${dir}/${name}`);
    await fs.syncDirectory(dir);
    return new StoreBuilder(options, lease, identity);
  }

  /** Messages of a channel follow, by way of `segments`, until `endChannel`. */
  startChannel(): Promise<void> {
    return this.segments.startChannel(this.#channels.length + 1);
  }

  /** @param lastSequence the highest sequence that the channel ever had, if it is not that of its last message */
  async endChannel(name: string, lastSequence: number): Promise<BuiltChannel> {
    const { extents, first, last, messages, bytes, latestMs } = await this.segments.endChannel();
    const id = this.#channels.length + 1;
    const end = Math.max(lastSequence, last);
    if (messages > 0 && end > last) extents.push(gapOf(end - last));
    const firstSequence = messages === 0 ? end + 1 : first;
    const nowMs = Number(this.#options.clock.wallNs() / 1_000_000n);
    const lastActivityMs = messages === 0 ? nowMs : latestMs;
    this.#channels.push({
      ...{ id, name, firstSequence, lastSequence: end, byteCount: bytes, lastActivityMs, extents },
      extentsFirst: messages === 0 ? 0 : first,
    });
    const gaps: number[] = [];
    let sequence = firstSequence;
    for (const { count, recordBytes } of extents) {
      if (recordBytes === 0) gaps.push(sequence, sequence + count - 1);
      sequence += count;
    }
    return { id, firstSequence, lastSequence: end, messages, bytes, gaps };
  }

  client(record: Omit<ClientRecord, 'session'>): void {
    this.#snapshot.client({ ...record, session: ++this.#clients });
  }

  /** @param pending ascending */
  subscription(record: Omit<SubscriptionRecord, 'id'>, pending: readonly number[]): void {
    this.#snapshot.subscription({ ...record, id: ++this.#subscriptions }, toRanges(pending));
  }

  /** Makes it a store. If this throws once the identity may have its name, what is there stays: it is a whole store, or is refused. */
  async finish(): Promise<void> {
    const { fs, dir, random } = this.#options;
    const { storeId } = this.identity;
    const { epoch } = this.#lease;
    await this.segments.finish();
    await this.#lease.fence();
    const id = { epoch, number: 1 };
    const newestNs = BigInt(this.segments.newestMs) * 1_000_000n;
    const directory = `${dir}/${JOURNAL_DIRECTORY}`;
    const journal = await createJournalFile({ fs, directory, storeId, random }, id, MIN_JOURNAL_BYTES);
    try {
      // It names its own checkpoint, so that the store is refused if that is ever missing.
      await writeTermBatch(journal, { base: id, accepted: [] }, newestNs);
    } finally {
      await journal.file.close();
    }
    await writeAtomically(
      fs,
      `${dir}/${CHECKPOINT_DIRECTORY}`,
      checkpointName(id),
      this.#checkpoint(journal.offset),
    );
    await makeKeyFile(fs, dir, this.identity, random);
    await this.#lease.fence();
    this.#isNamed = true;
    await fs.rename(`${dir}/${IMPORTING_FILE}`, `${dir}/${IDENTITY_FILE}`);
    await fs.syncDirectory(dir);
    await this.#lease.markServed();
  }

  #checkpoint(offset: number): Buffer[] {
    const id = { epoch: this.#lease.epoch, number: 1 };
    const writer = new CheckpointWriter();
    const ids = {
      newestNs: BigInt(this.segments.newestMs) * 1_000_000n,
      nextLogId: this.#channels.length + 1,
      nextSession: this.#clients + 1,
      nextSubscriptionId: this.#subscriptions + 1,
      time: undefined,
    };
    const { named } = this.segments;
    writer.begin({ ...id, offset, nextIndex: 2 }, ids, named, [], this.#channels.length);
    for (const channel of this.#channels) writer.channel(channel);
    return writer.finish(id, this.identity.storeId, this.#snapshot);
  }

  /** Removes what was built, unless it may be a store by now. */
  async abandon(): Promise<void> {
    if (this.#isNamed) return;
    const { fs, dir } = this.#options;
    await this.segments.abandon();
    await clearContent(fs, dir);
    for (const [name] of CONTENT) await fs.removeDirectory(`${dir}/${name}`).catch(() => {});
    await fs.syncDirectory(dir);
    await removeIfThere(fs, `${dir}/${IMPORTING_FILE}`);
    await fs.syncDirectory(dir);
  }
}

/** Removes the files of a building that was interrupted. Anything else that lies there stays. */
async function clearContent(fs: StoreFs, dir: string): Promise<void> {
  for (const [folder, extension] of CONTENT) {
    const names = await fs.list(`${dir}/${folder}`).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    });
    const isOwn = (name: string): boolean =>
      parseNames([name.endsWith('.tmp') ? name.slice(0, -'.tmp'.length) : name], extension).length > 0;
    for (const name of names.filter(isOwn)) await removeIfThere(fs, `${dir}/${folder}/${name}`);
    if (names.length > 0) await fs.syncDirectory(`${dir}/${folder}`);
  }
  for (const name of await fs.list(dir)) if (isKeyFile(name)) await removeIfThere(fs, `${dir}/${name}`);
  await fs.syncDirectory(dir);
}
