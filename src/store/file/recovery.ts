import type { Clock } from '../../clock/clock.js';
import { readWhole } from '../../files/file-io.js';
import { checkpointName, type FileId, journalName, parseNames, segmentName } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import { DamageError, damaged, isGone, isMissing, StoreError } from '../../files/store-error.js';
import { CHECKPOINT_DIRECTORY, JOURNAL_DIRECTORY, SEGMENT_DIRECTORY } from '../../files/store-folder.js';
import type { Served } from '../../lease/lease-state.js';
import type { RecoveryReport } from '../../measures/recovery-report.js';
import { must } from '../../util/assert.js';
import { type Checkpoint, decodeCheckpoint } from '../format/checkpoint-format.js';
import { JournalHistory } from '../journal/journal-history.js';
import type { AcceptedJournal } from '../journal/term-record.js';
import type { LogParts } from '../log/log-parts.js';
import type { Reserve } from '../room/reserve.js';
import type { JournalPosition } from '../types/journal.js';
import { listFresh, withUnlisted } from './fresh-list.js';
import { Replay } from './replay.js';
import { StoreState } from './store-state.js';

export interface RecoveryOptions {
  fs: StoreFs;
  clock: Clock;
  dir: string;
  storeId: string;
  parts: LogParts;
  /** Tells of what was cut or passed over. */
  warn: (message: string) => void;
  /** What was durable for certain, as the lease says. */
  served: Served;
  /** The term that recovers. Without it the store is only looked at, and what a mount remembers of directories will do. */
  term?: RecoveringTerm;
}

export interface RecoveringTerm {
  epoch: number;
  /** This process's own, for names of files. */
  unique: string;
  /** For what there is no room for. */
  reserve: Reserve;
}

export interface Recovery {
  state: StoreState;
  /** What was read of journals, oldest first. */
  accepted: AcceptedJournal[];
  /** Bytes of journals that are in memory and in no segment. */
  journalBytes: number;
  /** The newest term that served; 0 if none did. */
  newestEpoch: number;
  /** The names of the files of segments and journals. */
  listedNames: ReadonlySet<string>;
  /** The highest epoch in the name of any file. */
  highestEpoch: number;
  checkpoint: FileId | undefined;
  /** Where that checkpoint says that the journals go on; undefined if there is none. */
  position: JournalPosition | undefined;
  report: ReadingReport;
}

type ReadingReport = Omit<RecoveryReport, 'openMs'>;

/** A term that is over may be closing its files, or has just removed what its last checkpoint replaced. */
const ATTEMPTS = 5;

/** Reads a store: the newest checkpoint, then the journals behind it. Changes none of them. */
export async function recover(options: RecoveryOptions): Promise<Recovery> {
  let damage = '';
  for (let attempt = 1; ; attempt++) {
    try {
      return await recoverListed(options);
    } catch (error) {
      if (attempt === ATTEMPTS || !(isGone(error) || error instanceof DamageError)) throw error;
      // A predecessor that has not noticed yet may write while its journal is read, piece by piece: what came between two pieces
      // looks like damage in the middle. Damage stays where it is.
      if (error instanceof DamageError) {
        if (error.message === damage) throw error;
        damage = error.message;
      }
    }
  }
}

/** @throws Error with ENOENT if a file is gone that was there to be listed */
async function recoverListed(options: RecoveryOptions): Promise<Recovery> {
  const { fs, clock, dir, warn, term } = options;
  const begunMs = clock.monotonicMs();
  const list = (name: string): Promise<string[]> =>
    term === undefined
      ? listIfThere(fs, `${dir}/${name}`)
      : listFresh(fs, `${dir}/${name}`, term.epoch, term.unique, term.reserve);
  const listed = parseNames(await list(JOURNAL_DIRECTORY), 'log');
  const journals = term === undefined ? listed : await withUnlisted(fs, dir, listed, term.epoch);
  const checkpoints = parseNames(await list(CHECKPOINT_DIRECTORY), 'ckpt').reverse();
  // Nothing is read from this listing but the epochs.
  const segments = parseNames(await listIfThere(fs, `${dir}/${SEGMENT_DIRECTORY}`), 'seg');
  const listedNames = new Set([...segments.map(segmentName), ...journals.map(journalName)]);
  const highestEpoch = Math.max(0, ...[journals, checkpoints, segments].flat().map(({ epoch }) => epoch));
  const listMs = clock.monotonicMs() - begunMs;
  const read: ReadOptions = { ...options, journals, checkpoints };
  let firstError: StoreError | undefined;
  for (const id of checkpoints) {
    const path = `${dir}/${CHECKPOINT_DIRECTORY}/${checkpointName(id)}`;
    try {
      const readMs = clock.monotonicMs();
      const checkpoint = decodeCheckpoint(path, await readWhole(fs, path), options.storeId);
      const checkpointMs = clock.monotonicMs() - readMs;
      const replayed = await replay(read, { ...checkpoint, id });
      if (replayed === undefined) {
        warn(
          `${path} came after the next term had begun, from a broker that had lost the lease. It is not read`,
        );
        continue;
      }
      if (checkpoint.foreignBytes > 0) warn(foreignBytesText(path, checkpoint.foreignBytes));
      const { report, ...recovery } = replayed;
      if (firstError !== undefined)
        warn(`${firstError.message}. The checkpoint before it, ${path}, was used`);
      return {
        ...{ ...recovery, listedNames, highestEpoch, checkpoint: id },
        report: { ...report, listMs, checkpointMs },
      };
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'damaged') throw error;
      // The newest damage is the one to report: older checkpoints have lost their journals in the course of things.
      firstError ??= error;
    }
  }
  if (firstError !== undefined) throw firstError;
  checkNothingIsMissing(dir, journals, segments);
  const { report, ...recovery } = must(
    await replay(read, undefined),
    'without a checkpoint there is no late one',
  );
  return {
    ...recovery,
    listedNames,
    highestEpoch,
    checkpoint: undefined,
    report: { ...report, listMs, checkpointMs: 0 },
  };
}

function foreignBytesText(path: string, bytes: number): string {
  return `${path}: ${bytes} bytes behind its end are not the store's: something else has appended them. They are not read`;
}

/** Opening a store makes its folders. Where it is only looked at, one that is not there counts as empty. */
async function listIfThere(fs: StoreFs, directory: string): Promise<string[]> {
  return await fs.list(directory).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
}

/**
 * Without a checkpoint the journals must be all there ever were: they are removed only when one stands for them. Else what is left
 * would read as an empty store, and its segments be removed, since nothing names them.
 *
 * @throws StoreError if a segment says that there was a checkpoint
 */
function checkNothingIsMissing(dir: string, journals: readonly FileId[], segments: readonly FileId[]): void {
  const [oldest] = journals;
  const orphan = segments.find(({ epoch }) => oldest === undefined || epoch < oldest.epoch);
  if (orphan === undefined) return;
  throw damaged(
    `${dir}/${CHECKPOINT_DIRECTORY}`,
    0,
    `there is no checkpoint, and segment ${segmentName(orphan)} is of a term whose journals one has replaced`,
  );
}

interface Replayed
  extends Pick<Recovery, 'state' | 'accepted' | 'journalBytes' | 'newestEpoch' | 'position'> {
  report: Pick<ReadingReport, 'journalMs' | 'journalBytes' | 'journalMessages'>;
}

interface ReadOptions extends RecoveryOptions {
  journals: readonly FileId[];
  checkpoints: readonly FileId[];
}

/** @returns undefined if the newest term does not know the checkpoint */
async function replay(
  options: ReadOptions,
  checkpoint: (Checkpoint & { id: FileId }) | undefined,
): Promise<Replayed | undefined> {
  const { clock, dir, parts } = options;
  const begunMs = clock.monotonicMs();
  const history = await JournalHistory.from(options, checkpoint);
  if (history === undefined) return undefined;
  const state = new StoreState(parts);
  if (checkpoint !== undefined) state.load(checkpoint, dir);
  await history.read(new Replay(state, parts.blocks));
  const { accepted, newestEpoch, bytes: journalBytes } = history;
  const journalMs = clock.monotonicMs() - begunMs;
  const report = { journalMs, journalBytes, journalMessages: state.guids.messages };
  return { state, accepted, newestEpoch, journalBytes, position: checkpoint?.position, report };
}
