import { dirname } from 'node:path';
import { removeIfThere, writeAtomically } from '../../files/file-io.js';
import { checkpointName, compareIds, type FileId, sameId, segmentName } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import { errorCode } from '../../files/fs-error.js';
import { CHECKPOINT_DIRECTORY, JOURNAL_DIRECTORY, SEGMENT_DIRECTORY } from '../../files/store-folder.js';
import { readMsgProtoTimestampNs } from '../../protocol/msgproto.js';
import { toRanges } from '../../util/ranges.js';
import { BlobFolder } from '../blobs/blob-folder.js';
import {
  type CheckpointExtent,
  type CheckpointIds,
  CheckpointWriter,
  type NamedSegment,
  SnapshotWriter,
} from '../format/checkpoint-format.js';
import { msgProtoStart } from '../format/record.js';
import { createJournalFile, MIN_JOURNAL_BYTES } from '../journal/journal-file.js';
import { writeTermBatch } from '../journal/term-record.js';
import { type OnMessage, scanExtent } from '../segments/segment-scan.js';
import { SegmentWriter } from '../segments/segment-writer.js';
import type { RandomBytes } from '../types/store-id.js';
import { BodyFiles } from './body-files.js';
import type { InspectOptions } from './inspect.js';
import type { Salvage } from './salvage.js';
import { entryOf } from './salvage-segments.js';
import type { LostMessages, Piece, SalvagedChannel, SalvageState } from './salvage-state.js';

/** The folder for former files, with a folder for each repair. Nothing in it is ever removed. */
export const DAMAGED_DIRECTORY = 'damaged';

export interface RepairOptions extends InspectOptions {
  random: RandomBytes;
  storeId: string;
  /** The epoch of this repair, higher than any before. The caller holds its lease. */
  epoch: number;
  /** Resolves when it is known that the lease is still held. */
  fence: () => Promise<void>;
  /** The same, and the lease says that the term of the repair has made its first record durable. */
  markServed: () => Promise<void>;
}

/** The result of a repair, or of a dry run. */
export interface RepairReport {
  damages: { path: string; offset: number; what: string }[];
  /** Lost messages. Their sequences are not used again. */
  lost: LostMessages[];
  /** Messages that may have been the newest of their channel. How many there were, if any, is unknown. */
  doubtful: LostMessages[];
  /** Other losses, for people. */
  also: string[];
  /** Files that are set aside, and kept. */
  files: string[];
}

export function reportOf(salvage: Salvage): RepairReport {
  const { state } = salvage;
  return {
    damages: state.damages,
    lost: state.lostMessages,
    doubtful: state.doubtful,
    also: state.also,
    files: filesToKeep(salvage),
  };
}

/**
 * The files to set aside. If a checkpoint is damaged, or a journal behind it, all these are: they are few, and belong together. Journals
 * before it, in which messages stay, stand each for itself.
 */
function filesToKeep(salvage: Salvage): string[] {
  const { segments, journals, checkpoints, damagedPaths } = salvage;
  const state = [...journals.filter((id) => !isBefore(salvage, id)), ...checkpoints].map(({ path }) => path);
  const bodies = journals.filter((id) => isBefore(salvage, id)).map(({ path }) => path);
  return [
    ...(state.some((path) => damagedPaths.has(path)) ? state : []),
    ...bodies.filter((path) => damagedPaths.has(path)),
    ...segments.filter(({ isThere, isWhole }) => isThere && !isWhole).map(({ path }) => path),
  ];
}

/** Whether a checkpoint stands for all of a journal but its messages. */
function isBefore({ position }: Salvage, id: FileId): boolean {
  return position !== undefined && compareIds(id, position) < 0;
}

/**
 * Writes what was saved: messages of damaged segments and of journals into a new segment, everything else into a checkpoint. Until
 * the checkpoint is durable, nothing is removed. Former files with damage are kept in `damaged/`.
 *
 * @returns the folder of the former files
 */
export async function repair(options: RepairOptions, salvage: Salvage): Promise<string> {
  const { fs, dir, epoch, fence, markServed, storeId, random } = options;
  const kept = await keepAside(fs, dir, epoch, filesToKeep(salvage));
  await fence();
  for (const name of [JOURNAL_DIRECTORY, SEGMENT_DIRECTORY, CHECKPOINT_DIRECTORY])
    await fs.makeDirectory(`${dir}/${name}`);
  const { channels, segments } = await rewrite(options, salvage);
  const directory = `${dir}/${JOURNAL_DIRECTORY}`;
  const id = { epoch, number: 1 };
  const journal = await createJournalFile({ fs, directory, storeId, random }, id, MIN_JOURNAL_BYTES);
  try {
    const record = { base: baseOf(salvage, id), accepted: salvage.accepted };
    await writeTermBatch(journal, record, salvage.state.newestNs);
  } finally {
    await journal.file.close();
  }
  await markServed();
  const position = { ...id, offset: journal.offset, nextIndex: 2 };
  const writer = new CheckpointWriter();
  writer.begin(position, idsOf(salvage.state, epoch), segments, [], channels.length);
  for (const channel of channels) writer.channel(channel);
  const parts = writer.finish(id, storeId, snapshotOf(salvage.state));
  await writeAtomically(fs, `${dir}/${CHECKPOINT_DIRECTORY}`, checkpointName(id), parts);
  await fence();
  // As after any checkpoint, files that it replaces are removed.
  for (const { path } of [...salvage.journals, ...salvage.checkpoints]) await removeIfThere(fs, path);
  const named = new Set(segments.map(segmentName));
  for (const { path, id, isWhole } of salvage.segments)
    if (!isWhole || !named.has(segmentName(id))) await removeIfThere(fs, path);
  for (const name of [JOURNAL_DIRECTORY, SEGMENT_DIRECTORY, CHECKPOINT_DIRECTORY])
    await fs.syncDirectory(`${dir}/${name}`);
  return kept;
}

/** Gives the files a second name in `damaged/`. That needs no room, and after a crash in a repair no file is missing. */
export async function keepAside(
  fs: StoreFs,
  dir: string,
  epoch: number,
  paths: readonly string[],
): Promise<string> {
  const folder = `${dir}/${DAMAGED_DIRECTORY}/${String(epoch).padStart(8, '0')}`;
  for (const path of paths) {
    const to = `${folder}/${path.slice(dir.length + 1)}`;
    const parent = to.slice(0, to.lastIndexOf('/'));
    await fs.makeDirectory(parent);
    await fs.link(path, to).catch((error: unknown) => {
      if (errorCode(error) !== 'EEXIST') throw error;
    });
    await fs.syncDirectory(parent);
  }
  // The originals go: their folders, made just now, have to survive a power cut as well.
  if (paths.length > 0) for (const made of [folder, dirname(folder), dir]) await fs.syncDirectory(made);
  return folder;
}

/**
 * The checkpoint from which the term of a repair begins. If only messages are damaged for which it stands, brokers may open the store as it was until the
 * repair's own checkpoint is durable. If more is, the term begins from its own: after a crash before that one, the store is refused until the
 * next repair, and is not opened without what is lost.
 */
function baseOf(salvage: Salvage, own: FileId): FileId | undefined {
  const { state, segments, journals, position, base } = salvage;
  const isStateWhole = state.damages.every(({ path, offset }) => {
    if (segments.some((segment) => segment.path === path)) return true;
    const journal = journals.find((file) => file.path === path);
    if (journal === undefined || position === undefined) return false;
    return isBefore(salvage, journal) || (sameId(journal, position) && offset < position.offset);
  });
  return isStateWhole ? base : own;
}

interface WrittenChannel extends Omit<SalvagedChannel, 'pieces' | 'doubt'> {
  byteCount: number;
  extentsFirst: number;
  extents: CheckpointExtent[];
}

interface Rewritten {
  channels: WrittenChannel[];
  segments: NamedSegment[];
}

/** Writes all messages that cannot stay where they are into one new segment. */
async function rewrite(options: RepairOptions, salvage: Salvage): Promise<Rewritten> {
  const { fs, dir, epoch, storeId } = options;
  const ids: FileId[] = [];
  const indexOf = (id: FileId): number => {
    const at = ids.findIndex((known) => sameId(known, id));
    return at >= 0 ? at : ids.push(id) - 1;
  };
  const blobs = new BlobFolder({ fs, dir, epoch, kind: 'seg', maxOpen: 1, reserve: undefined });
  const bodies = new BodyFiles(fs, dir);
  const channels: WrittenChannel[] = [];
  const writer = await blobs.put({ bytes: 0, isUrgent: false }, async (blob) => {
    const segmentWriter = new SegmentWriter(blob, storeId);
    for (const channel of [...salvage.state.channels.values()].sort((a, b) => a.id - b.id)) {
      channels.push(await rewriteChannel(fs, bodies, segmentWriter, channel, salvage, indexOf));
    }
    await segmentWriter.finish();
    return segmentWriter;
  });
  const { segment: written } = writer;
  if (writer.extents.length === 0) await removeIfThere(fs, written.path);
  const segments = ids.map((id) => {
    const { file } = salvage.segments.find((known) => sameId(known.id, id)) ?? written;
    return { ...id, file };
  });
  return { channels, segments };
}

async function rewriteChannel(
  fs: StoreFs,
  bodies: BodyFiles,
  writer: SegmentWriter,
  channel: SalvagedChannel,
  salvage: Salvage,
  indexOf: (id: FileId) => number,
): Promise<WrittenChannel> {
  const run = new RunWriter(writer, channel, indexOf);
  for (const piece of channel.pieces) {
    if (piece.last < channel.firstSequence) continue;
    switch (piece.kind) {
      case 'gap':
        break;
      case 'messages':
        for (const [i, { buffer, start, end, timestampMs }] of piece.messages.entries())
          await run.message(buffer, start, end, piece.first + i, timestampMs);
        break;
      case 'extent': {
        const segment = salvage.segments.find(({ id }) => sameId(id, piece.segment));
        // The journal files go: what is in them is copied.
        const isKept = segment?.isWhole === true && piece.body === undefined;
        const path = segment?.isThere ? segment.path : undefined;
        // Without its rows, messages are found in the journal all the same.
        if (path !== undefined || piece.body !== undefined)
          await rewriteExtent(fs, bodies, run, channel, piece, path, isKept);
      }
    }
  }
  run.finish();
  const { id, name, lastSequence, lastActivityMs } = channel;
  const { firstSequence, byteCount, extents } = run;
  return {
    ...{ id, name, firstSequence, lastSequence, lastActivityMs, byteCount, extents },
    extentsFirst: run.extentsFirst,
  };
}

async function rewriteExtent(
  fs: StoreFs,
  bodies: BodyFiles,
  run: RunWriter,
  { id }: SalvagedChannel,
  piece: Extract<Piece, { kind: 'extent' }>,
  path: string | undefined,
  isKept: boolean,
): Promise<void> {
  const file = path === undefined ? undefined : await fs.open(path, 'read');
  try {
    if (isKept) run.extent(piece);
    const onMessage: OnMessage = (buffer, start, end, sequence, rowMs) => {
      const protoStart = msgProtoStart(buffer, start);
      if (isKept) {
        run.count(sequence, end - protoStart);
        return undefined;
      }
      const timestampMs = rowMs ?? Number(readMsgProtoTimestampNs(buffer, protoStart, end) / 1_000_000n);
      return run.message(buffer, start, end, sequence, timestampMs);
    };
    await scanExtent(file, entryOf(id, piece), onMessage, piece.body && (await bodies.read(piece.body)));
  } finally {
    await file?.close();
  }
}

/** The extents of one channel: those that stay, those that are written again, and the gaps between them. */
class RunWriter {
  readonly extents: CheckpointExtent[] = [];
  extentsFirst = 0;
  firstSequence: number;
  byteCount = 0;
  readonly #writer: SegmentWriter;
  readonly #channel: SalvagedChannel;
  readonly #indexOf: (id: FileId) => number;
  /** The sequence behind the extents so far. */
  #next = 0;
  /** The index of the current extent in the list of the writer; undefined if none is being written. */
  #begun: number | undefined;
  /** The sequence behind the last written message of the current extent. */
  #written = 0;

  constructor(writer: SegmentWriter, channel: SalvagedChannel, indexOf: (id: FileId) => number) {
    this.#writer = writer;
    this.#channel = channel;
    this.#indexOf = indexOf;
    this.firstSequence = channel.lastSequence + 1;
  }

  extent({ first, last, segment, offset, recordBytes }: Extract<Piece, { kind: 'extent' }>): void {
    this.#end();
    this.#push(first, last - first + 1, this.#indexOf(segment), offset, recordBytes);
  }

  /** Notes a message of an extent that stays. */
  count(sequence: number, bytes: number): void {
    if (sequence < this.#channel.firstSequence) return;
    if (sequence < this.firstSequence) this.firstSequence = sequence;
    this.byteCount += bytes;
  }

  async message(
    buffer: Buffer,
    start: number,
    end: number,
    sequence: number,
    timestampMs: number,
  ): Promise<void> {
    if (sequence < this.#channel.firstSequence) return;
    if (this.#begun !== undefined && sequence !== this.#written) this.#end();
    if (this.#begun === undefined) {
      this.#begun = this.#writer.extents.length;
      this.#writer.startExtent(this.#channel.id, sequence);
    }
    this.#written = sequence + 1;
    const bytes = end - msgProtoStart(buffer, start);
    this.count(sequence, bytes);
    this.#writer.message(buffer, start, end, bytes, timestampMs);
    if (this.#writer.isFull) await this.#writer.drain();
  }

  /** Ends the channel. Sequences behind the last message are a gap too. */
  finish(): void {
    this.#end();
    if (this.extents.length > 0 && this.#next <= this.#channel.lastSequence)
      this.#gap(this.#channel.lastSequence);
  }

  #end(): void {
    if (this.#begun === undefined) return;
    this.#writer.endExtent();
    const { segment } = this.#writer;
    for (const { extent } of this.#writer.extents.slice(this.#begun)) {
      this.#push(extent.first, extent.count, this.#indexOf(segment.id), extent.offset, extent.recordBytes);
    }
    this.#begun = undefined;
  }

  #push(first: number, count: number, segment: number, offset: number, recordBytes: number): void {
    if (this.extents.length === 0) this.extentsFirst = first;
    else if (first > this.#next) this.#gap(first - 1);
    this.extents.push({ segment, count, offset, recordBytes, body: undefined });
    this.#next = first + count;
  }

  #gap(last: number): void {
    const count = last - this.#next + 1;
    this.extents.push({ segment: 0, count, offset: 0, recordBytes: 0, body: undefined });
    this.#next = last + 1;
  }
}

/** Ids in lost records must not be used again. Where they are unknown, each term gets a range of its own. */
function idsOf(state: SalvageState, epoch: number): CheckpointIds {
  const { newestNs, time, nextLogId, nextSession } = state;
  const floor = state.isCheckpointLost ? (epoch % MAX_RANGES) * IDS_PER_RANGE : 0;
  return {
    newestNs,
    time,
    nextLogId,
    nextSession: Math.max(nextSession, floor),
    nextSubscriptionId: Math.max(state.nextSubscriptionId, floor),
  };
}

const IDS_PER_RANGE = 2 ** 20;
const MAX_RANGES = 2 ** 11;

function snapshotOf(state: SalvageState): SnapshotWriter {
  const snapshot = new SnapshotWriter();
  for (const client of state.clients.values()) snapshot.client(client);
  for (const { record, pending } of state.subscriptions.values()) {
    snapshot.subscription(record, toRanges([...pending].sort((a, b) => a - b)));
  }
  for (const run of state.guidRuns) snapshot.recentGuids(run);
  return snapshot;
}
