import { compareIds, type FileId, segmentName } from '../../files/file-names.js';
import type { StoreFile, StoreFs } from '../../files/fs.js';
import { StoreError } from '../../files/store-error.js';
import { SEGMENT_DIRECTORY } from '../../files/store-folder.js';
import { readMsgProtoSequence, readMsgProtoTimestampNs } from '../../protocol/msgproto.js';
import type { Checkpoint } from '../format/checkpoint-format.js';
import { decodeFileHeader, FILE_HEADER_BYTES, Magic } from '../format/file-header.js';
import { checkRecord, messageChannelId, msgProtoStart, RecordType, readU32 } from '../format/record.js';
import { type DirectoryEntry, isSameFile, ROW_BYTES, type SegmentFile } from '../format/segment-format.js';
import { readWhatCanBeRead } from '../segments/lenient-read.js';
import { type OnMessage, readSegmentDirectory, scanExtent } from '../segments/segment-scan.js';
import { BodyFiles } from './body-files.js';
import type { FileInfo } from './inspect.js';
import { type Piece, type SalvageState, subjectOf } from './salvage-state.js';

type ExtentPiece = Extract<Piece, { kind: 'extent' }>;

/** A segment file in the store. */
export interface SalvagedSegment {
  id: FileId;
  path: string;
  /** Whether the file exists and is not damaged. */
  isWhole: boolean;
  isThere: boolean;
  /** What a checkpoint says of it; undefined before the check, and if its footer is gone. */
  file: SegmentFile | undefined;
}

interface SegmentSalvage {
  segments: readonly SalvagedSegment[];
  /** Reads every message that the state refers to, and notes in it what is lost. Call it when the state is complete. */
  check(): Promise<void>;
}

/**
 * Finds the segments of a store. Without a checkpoint the channels and their messages are read from the segments, into the state.
 */
export async function salvageSegments(
  fs: StoreFs,
  dir: string,
  files: readonly FileInfo[],
  storeId: string,
  checkpoint: Checkpoint | undefined,
  state: SalvageState,
): Promise<SegmentSalvage> {
  const segments = new Map<string, SalvagedSegment>();
  for (const { epoch, number, path } of files)
    segments.set(path, { id: { epoch, number }, path, isWhole: true, isThere: true, file: undefined });
  if (checkpoint === undefined) await channelsFrom(fs, new BodyFiles(fs, dir), files, storeId, state);
  return {
    get segments() {
      return [...segments.values()];
    },
    check: () => check(fs, dir, files, storeId, checkpoint, segments, state),
  };
}

async function check(
  fs: StoreFs,
  dir: string,
  files: readonly FileInfo[],
  storeId: string,
  checkpoint: Checkpoint | undefined,
  segments: Map<string, SalvagedSegment>,
  state: SalvageState,
): Promise<void> {
  const pathOf = (id: FileId): string => `${dir}/${SEGMENT_DIRECTORY}/${segmentName(id)}`;
  const live = new Map<string, { channelId: number; piece: ExtentPiece }[]>();
  for (const channel of state.channels.values()) {
    for (const piece of channel.pieces) {
      if (piece.kind !== 'extent' || piece.last < channel.firstSequence) continue;
      const path = pathOf(piece.segment);
      const list = live.get(path);
      if (list === undefined) live.set(path, [{ channelId: channel.id, piece }]);
      else list.push({ channelId: channel.id, piece });
      if (!segments.has(path))
        segments.set(path, { id: piece.segment, path, isWhole: false, isThere: false, file: undefined });
    }
  }
  const named = new Map(checkpoint?.segments.map((segment) => [pathOf(segment), segment.file]));
  const bodies = new BodyFiles(fs, dir);
  const sizes = new Map(files.map(({ path, bytes }) => [path, bytes]));
  for (const segment of segments.values()) {
    const { path } = segment;
    const pieces = live.get(path) ?? [];
    const bytes = sizes.get(path);
    if (bytes === undefined) {
      state.mended(path, 0, 'the file is missing');
      for (const { channelId, piece } of pieces) {
        // The checkpoint says in which journal they are.
        if (piece.body !== undefined) await checkPiece(undefined, path, channelId, piece, state, bodies);
        else lose(state, channelId, piece, path, piece.offset, piece, 'the file is missing');
      }
      continue;
    }
    const damagesBefore = state.damages.length;
    const file = await fs.open(path, 'read');
    try {
      segment.file = await checkSegment(file, path, bytes, storeId, pieces, state, bodies);
      const due = named.get(path);
      if (segment.file !== undefined && due !== undefined && !isSameFile(segment.file, due))
        state.mended(path, segment.file.bytes, 'its footer is another one than the checkpoint names');
    } finally {
      await file.close();
    }
    segment.isWhole = state.damages.length === damagesBefore;
  }
}

async function checkSegment(
  file: StoreFile,
  path: string,
  bytes: number,
  storeId: string,
  pieces: readonly { channelId: number; piece: ExtentPiece }[],
  state: SalvageState,
  bodies: BodyFiles,
): Promise<SegmentFile | undefined> {
  const directory = await readSegmentDirectory(file, bytes);
  if (!(await isHeaderWhole(file, path, storeId)) || directory === undefined) {
    // A segment without references was being written at a crash.
    if (pieces.length === 0) return undefined;
    state.mended(path, directory === undefined ? bytes : 0, 'its header or footer is not whole');
  } else if (directory.damagedAt !== undefined) {
    state.mended(path, directory.damagedAt, 'an entry of the directory is not whole');
  }
  const entries = pieces.map(({ channelId, piece }) => entryOf(channelId, piece));
  const isLive = (entry: DirectoryEntry): boolean =>
    entries.some(({ offset, channelId }) => offset === entry.offset && channelId === entry.channelId);
  for (const { channelId, piece } of pieces) await checkPiece(file, path, channelId, piece, state, bodies);
  // These messages are no longer needed, but a damaged file does not stay in the store.
  for (const entry of directory?.entries ?? []) {
    // The journal need not keep what nothing needs.
    if (isLive(entry) || entry.body !== undefined) continue;
    const { damages, badRows } = await scanExtent(file, entry);
    for (const { offset, what } of [...damages, ...badRows]) state.mended(path, offset, what);
  }
  return directory?.file;
}

/** @param file the segment's; undefined if it is gone, and only a body may have the messages */
async function checkPiece(
  file: StoreFile | undefined,
  path: string,
  channelId: number,
  piece: ExtentPiece,
  state: SalvageState,
  bodies: BodyFiles,
): Promise<void> {
  const body = piece.body && (await bodies.read(piece.body));
  const recordsPath = piece.body === undefined ? path : bodies.pathOf(piece.body);
  if (piece.body !== undefined && body === undefined) {
    const what = 'the file is missing';
    state.mended(recordsPath, 0, what);
    lose(state, channelId, piece, recordsPath, 0, piece, what);
    return;
  }
  const { damages, badRows } = await scanExtent(
    file,
    entryOf(channelId, piece),
    (buffer, start, end, _sequence, timestampMs) => {
      if (!state.isCheckpointLost) return;
      const stampNs = readMsgProtoTimestampNs(buffer, msgProtoStart(buffer, start), end);
      state.seen(
        channelId,
        timestampMs ?? Number(stampNs / 1_000_000n),
        stampNs,
        readU32(buffer, start + 13),
      );
    },
    body,
  );
  for (const { first, last, offset, what } of damages) {
    state.mended(recordsPath, offset, what);
    lose(state, channelId, { first, last }, recordsPath, offset, piece, what);
  }
  if (file !== undefined) for (const { offset, what } of badRows) state.mended(path, offset, what);
}

async function isHeaderWhole(file: StoreFile, path: string, storeId: string): Promise<boolean> {
  try {
    const header = await readWhatCanBeRead(file, 0, FILE_HEADER_BYTES);
    return decodeFileHeader(Magic.segment, header, path, storeId) !== undefined;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return false;
  }
}

export function entryOf(
  channelId: number,
  { first, last, offset, recordBytes, body }: ExtentPiece,
): DirectoryEntry {
  return { channelId, count: last - first + 1, firstSequence: first, offset, bytes: recordBytes, body };
}

function lose(
  state: SalvageState,
  channelId: number,
  { first, last }: { first: number; last: number },
  path: string,
  offset: number,
  piece: ExtentPiece,
  what: string,
): void {
  const channel = state.channels.get(channelId);
  if (channel === undefined || last < channel.firstSequence) return;
  const from = Math.max(first, channel.firstSequence);
  const share = (last - from + 1) / (piece.last - piece.first + 1);
  const bytes = Math.round(piece.recordBytes * share);
  state.lose({ channel: channel.name, first: from, last, path, offset, bytes, what });
}

/** The messages of each channel in segments. Two segments may have the same messages, if one was merged from the other. */
async function channelsFrom(
  fs: StoreFs,
  bodies: BodyFiles,
  files: readonly FileInfo[],
  storeId: string,
  state: SalvageState,
): Promise<void> {
  const found = new Map<number, { name: string; pieces: ExtentPiece[] }>();
  for (const { epoch, number, path, bytes } of [...files].sort(compareIds).reverse()) {
    const file = await fs.open(path, 'read');
    try {
      const directory = await readSegmentDirectory(file, bytes);
      const isWhole = directory !== undefined && directory.damagedAt === undefined;
      // An unfinished segment of an earlier term never counted.
      if (directory === undefined && !(await isHeaderWhole(file, path, storeId))) continue;
      const entries = isWhole ? directory.entries : await walkExtents(file, bytes);
      if (!isWhole) {
        state.also.push(
          `an unknown part of ${path}: with the checkpoint and its directory damaged, nothing shows which messages were in it`,
        );
      }
      for (const entry of entries) {
        const { channelId, firstSequence: first, count, offset } = entry;
        let channel = found.get(channelId);
        if (channel === undefined) {
          const name = await nameIn(file, entry, entry.body && (await bodies.read(entry.body)));
          if (name === undefined) {
            state.also.push(
              `${count} messages from ${first} on of channel id ${channelId}, of which none in ${path} can be read: nothing shows the channel's name`,
            );
            continue;
          }
          channel = { name, pieces: [] };
          found.set(channelId, channel);
        }
        const last = first + count - 1;
        const piece: ExtentPiece = {
          ...{ kind: 'extent', first, last, segment: { epoch, number }, offset },
          ...{ recordBytes: entry.bytes, body: entry.body },
        };
        // The newer segment was merged from this one; the messages that it lacks were removed by a limit.
        if (channel.pieces.some((newer) => newer.last >= first && newer.first <= last)) continue;
        channel.pieces.push(piece);
      }
    } finally {
      await file.close();
    }
  }
  for (const [id, { name, pieces }] of [...found].sort(([a], [b]) => a - b)) {
    pieces.sort((a, b) => a.first - b.first);
    const channel = state.addChannel(id, name, pieces[0].first, 0);
    for (const piece of pieces) {
      if (piece.first > channel.lastSequence + 1) {
        const gap = { first: channel.lastSequence + 1, last: piece.first - 1 };
        channel.pieces.push({ kind: 'gap', ...gap });
        state.lose({ channel: name, ...gap, path: '', offset: 0, bytes: 0, what: 'no file holds them' });
      }
      channel.pieces.push(piece);
      channel.lastSequence = piece.last;
    }
  }
}

/** The name of the channel, from the first readable message. */
async function nameIn(
  file: StoreFile,
  entry: DirectoryEntry,
  body: Buffer | undefined,
): Promise<string | undefined> {
  let name: string | undefined;
  const onMessage: OnMessage = (buffer, start, end) => {
    name ??= subjectOf(buffer, msgProtoStart(buffer, start), end);
  };
  await scanExtent(file, entry, onMessage, body);
  return name;
}

/** Finds the extents of a segment whose directory is damaged: records of one channel, one behind the other, then a row for each. */
async function walkExtents(file: StoreFile, fileBytes: number): Promise<DirectoryEntry[]> {
  const buffer = await readWhatCanBeRead(file, 0, fileBytes);
  const entries: DirectoryEntry[] = [];
  let pos = FILE_HEADER_BYTES;
  for (;;) {
    const offset = pos;
    let entry: DirectoryEntry | undefined;
    for (;;) {
      const end = checkRecord(buffer, pos, buffer.length);
      if (end < 0 || buffer[pos + 8] !== RecordType.message) break;
      const channelId = messageChannelId(buffer, pos);
      const sequence = readMsgProtoSequence(buffer, msgProtoStart(buffer, pos), end);
      entry ??= { channelId, firstSequence: sequence, count: 0, offset, bytes: 0, body: undefined };
      if (entry.channelId !== channelId || entry.firstSequence + entry.count !== sequence) break;
      entry.count++;
      entry.bytes += end - pos;
      pos = end;
    }
    if (entry === undefined) return entries;
    entries.push(entry);
    pos += entry.count * ROW_BYTES;
  }
}
