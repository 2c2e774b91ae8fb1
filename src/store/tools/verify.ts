import { readUsed, readWhole } from '../../files/file-io.js';
import { compareIds, type FileId, sameId } from '../../files/file-names.js';
import type { StoreFile, StoreFs } from '../../files/fs.js';
import { DamageError, damaged, isGone, isUnreadable, StoreError } from '../../files/store-error.js';
import type { Recovery } from '../file/recovery.js';
import type { StoreState } from '../file/store-state.js';
import { decodeCheckpoint } from '../format/checkpoint-format.js';
import { decodeFileHeader, FILE_HEADER_BYTES, Magic } from '../format/file-header.js';
import { type DirectoryEntry, FOOTER_BYTES, isSameFile, type SegmentFile } from '../format/segment-format.js';
import { openJournalContent, scanJournal } from '../journal/journal-reader.js';
import { readWhatCanBeRead } from '../segments/lenient-read.js';
import { readSegmentDirectory, scanExtent } from '../segments/segment-scan.js';
import { namesOf } from '../types/unreadable.js';
import { BodyFiles } from './body-files.js';
import {
  type InspectOptions,
  listFiles,
  problemOfIdentity,
  problemOfLease,
  recoverReadOnly,
  requireIdentity,
} from './inspect.js';

type PathAndBytes = { path: string; bytes: number };

interface Findings {
  /** How many messages in segments were checked. */
  messages: number;
  /** All damage. The path is empty if the damage is not in a single file. */
  damages: { path: string; offset: number; what: string }[];
  /** Findings that are no damage: torn tails, files that were half written at a crash. */
  notes: string[];
}

export interface StoreVerification extends Findings {
  files: number;
  bytes: number;
}

/**
 * Checks every CRC of every file, and that everything in the newest state exists. It changes nothing. A broker may use the store
 * meanwhile; files that it removes during the check are left out.
 *
 * @throws StoreError if there is no store, or it is of a newer version
 */
export async function storeVerify(options: InspectOptions): Promise<StoreVerification> {
  const { fs, dir } = options;
  const identity = await requireIdentity(options);
  const { storeId } = identity;
  const result: StoreVerification = { files: 0, bytes: 0, ...noFindings() };
  const check = async (bytes: number, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (isGone(error)) return;
      // A broker fills a file with zeros that it has just set aside.
      if (error instanceof DamageError && (await fs.status(error.path)) === undefined) return;
      note(result, error);
    }
    result.files++;
    result.bytes += bytes;
  };
  const identityProblem = await problemOfIdentity(options, identity);
  if (identityProblem !== undefined) note(result, identityProblem);
  const recovery = await recoverReadOnly(options, identity, result.notes).catch((error: unknown) => {
    note(result, error);
    return undefined;
  });
  const leaseProblem = await problemOfLease(options);
  if (leaseProblem !== undefined) note(result, leaseProblem);
  const [journals, segments, checkpoints] = await listFiles(fs, dir);
  for (const { path, bytes } of checkpoints) {
    await check(bytes, async () => {
      decodeCheckpoint(path, await readWhole(fs, path), storeId);
    });
  }
  const directories = new Map<string, DirectoryEntry[]>();
  const bodies = new BodyFiles(fs, dir);
  for (const { path, bytes } of segments) {
    await check(bytes, async () => {
      const file = await fs.open(path, 'read');
      const found = noFindings();
      try {
        const segment = { path, bytes, storeId, bodies };
        directories.set(path, await checkSegment(file, segment, recovery?.state, found));
      } finally {
        await file.close();
      }
      addFindings(result, found, recovery !== undefined && !isNamed(path, recovery.state));
    });
  }
  // Behind the segments, which name the messages that are damaged in a journal.
  for (const { path, bytes, ...id } of journals) {
    await check(bytes, () => checkJournal(fs, { path, storeId, id }, recovery, result));
  }
  if (recovery === undefined) return result;
  const missing = await crossCheck(fs, recovery, directories, result);
  if (missing.size === 0) return result;
  // A running broker may have merged the segments away since the state was read.
  const { state } = await recoverReadOnly(options, identity, []);
  for (const { path } of [...state.segments, ...state.bodies]) {
    if (missing.has(path)) note(result, damaged(path, 0, 'the file is missing'));
  }
  return result;
}

function noFindings(): Findings {
  return { messages: 0, damages: [], notes: [] };
}

/**
 * Adds what was found in a segment.
 *
 * @param isNeedless the newest state does not name it. A power cut may leave any part of a segment that was being written, and the next
 *   checkpoint removes it
 */
function addFindings(result: StoreVerification, found: Findings, isNeedless: boolean): void {
  result.messages += found.messages;
  const [damage] = found.damages;
  if (isNeedless && damage !== undefined) {
    result.notes.push(
      `${damage.path} is not finished, and nothing needs it: a crash left it (${damage.what})`,
    );
    return;
  }
  result.damages.push(...found.damages);
  result.notes.push(...found.notes);
}

function isNamed(path: string, { segments }: StoreState): boolean {
  for (const segment of segments) if (segment.path === path) return true;
  return false;
}

function note(result: Findings, error: unknown): void {
  if (!(error instanceof DamageError)) {
    if (isUnreadable(error)) {
      const { path = '', message } = error as NodeJS.ErrnoException;
      result.damages.push({ path, offset: 0, what: `a part of it cannot be read: ${message}` });
      return;
    }
    if (!(error instanceof StoreError)) throw error;
    result.damages.push({ path: '', offset: 0, what: error.message });
    return;
  }
  const { path, offset, what } = error;
  if (result.damages.some((other) => other.path === path && other.offset === offset)) return;
  result.damages.push({ path, offset, what });
}

/** Checks a journal. Up to where it counts, everything must be whole, also what a checkpoint stands for by now. */
async function checkJournal(
  fs: StoreFs,
  { path, storeId, id }: { path: string; storeId: string; id: FileId },
  recovery: Recovery | undefined,
  result: StoreVerification,
): Promise<void> {
  const body = [...(recovery?.state.bodies ?? [])].find((named) => sameId(named.id, id));
  const end = recovery?.accepted.find((read) => sameId(read, id))?.end ?? body?.end;
  const content = openJournalContent(path, await readUsed(fs, path), storeId);
  if (content === undefined) {
    if (body === undefined) result.notes.push(`${path} was never used`);
    else note(result, damaged(path, 0, 'its header is not whole, and nothing else is in it'));
    return;
  }
  if (body !== undefined && content.salt !== body.salt)
    note(result, damaged(path, 0, 'its header is another one than the checkpoint names'));
  scanJournal(content, 0, 0, end, () => {});
}

/** Checks a segment. Its messages are checked even if its directory is damaged: the newest state knows where they are. */
async function checkSegment(
  file: StoreFile,
  { path, bytes, storeId, bodies }: PathAndBytes & { storeId: string; bodies: BodyFiles },
  state: StoreState | undefined,
  result: Findings,
): Promise<DirectoryEntry[]> {
  const header = await readWhatCanBeRead(file, 0, FILE_HEADER_BYTES);
  const isHeaderWhole = decodeFileHeader(Magic.segment, header, path, storeId) !== undefined;
  const directory = await readSegmentDirectory(file, bytes);
  const known = entriesOf(path, state);
  if (!isHeaderWhole || directory === undefined) {
    if (known.length === 0 && state !== undefined) {
      result.notes.push(`${path} is not finished: it is being written, or a crash left it`);
      return [];
    }
    const offset = isHeaderWhole ? Math.max(0, bytes - FOOTER_BYTES) : 0;
    note(result, damaged(path, offset, 'its header or footer is not whole'));
  } else if (directory.damagedAt !== undefined) {
    note(result, damaged(path, directory.damagedAt, 'an entry of the directory is not whole'));
  }
  if (directory !== undefined && directory.foreignBytes > 0) {
    result.notes.push(
      `${path}: ${directory.foreignBytes} bytes behind its footer are not the store's: something else has appended them. They are not read, ` +
        'and all messages before them are as they were',
    );
  }
  const named = namedAs(path, state);
  if (directory !== undefined && named !== undefined && !isSameFile(directory.file, named)) {
    const { bytes: length } = directory.file;
    note(result, damaged(path, length - FOOTER_BYTES, 'its footer is another one than the checkpoint names'));
  }
  const entries = directory === undefined || directory.damagedAt !== undefined ? known : directory.entries;
  const live = new Set(known.map(keyOf));
  for (const entry of byBody(entries)) {
    // What nothing refers to, the journal need not keep.
    if (entry.body !== undefined && !live.has(keyOf(entry))) continue;
    const body = entry.body && (await bodies.read(entry.body));
    // One that is missing is reported by itself.
    if (entry.body !== undefined && body === undefined) continue;
    const scan = await scanExtent(file, entry, undefined, body);
    const recordsPath = entry.body === undefined ? path : bodies.pathOf(entry.body);
    result.messages += scan.messages;
    const log = state?.logs.get(entry.channelId);
    const of = log === undefined ? `channel ${entry.channelId}` : `channel ${log.name}`;
    for (const { first, last, offset, what } of scan.damages) {
      const range = first === last ? '' : `; messages ${first} to ${last} cannot be read`;
      const isGone = log !== undefined && last < log.firstSequence;
      const where = `${of}${isGone ? ', dropped by a limit' : ''}`;
      note(result, damaged(recordsPath, offset, `${what} (${where})${range}`));
    }
    for (const { first, last, offset, what } of scan.badRows) {
      const readable = first === last ? `message ${first} of ${of}` : `messages ${first} to ${last} of ${of}`;
      note(result, damaged(path, offset, `${what}; ${readable} can be read all the same`));
    }
  }
  return entries;
}

/** Those of one body are one behind the other, which is read once for them all. */
function byBody(entries: readonly DirectoryEntry[]): DirectoryEntry[] {
  const of = ({ body }: DirectoryEntry): FileId => body ?? { epoch: 0, number: 0 };
  return [...entries].sort((a, b) => compareIds(of(a), of(b)));
}

function keyOf({ channelId, firstSequence, offset, bytes }: DirectoryEntry): string {
  return `${channelId} ${firstSequence} ${offset} ${bytes}`;
}

/** What the checkpoint says of a segment's file; undefined if it does not name it, or does not say it. */
function namedAs(path: string, state: StoreState | undefined): SegmentFile | undefined {
  for (const segment of state?.segments ?? []) if (segment.path === path) return segment.file;
  return undefined;
}

/** The extents of a segment in the newest state. */
function entriesOf(path: string, state: StoreState | undefined): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  for (const log of state?.logs.values() ?? []) {
    for (const extent of log.extents) {
      if (extent.segment.path !== path) continue;
      const { first, count, offset, recordBytes: bytes } = extent;
      const body = extent.body?.id;
      entries.push({ channelId: log.id, count, firstSequence: first, offset, bytes, body });
    }
  }
  return entries;
}

/** Checks that the messages of all channels are in segments, without gaps. @returns the missing files */
async function crossCheck(
  fs: StoreFs,
  { state }: Recovery,
  directories: ReadonlyMap<string, readonly DirectoryEntry[]>,
  result: StoreVerification,
): Promise<Set<string>> {
  const missing = new Set<string>();
  for (const { path } of state.segments) {
    if (!directories.has(path) && (await fs.status(path)) === undefined) missing.add(path);
  }
  for (const { path } of state.bodies) if ((await fs.status(path)) === undefined) missing.add(path);
  for (const log of state.logs.values()) {
    let next = log.extents[0]?.first ?? log.flushedThrough + 1;
    if (log.messageCount > 0 && next > log.firstSequence) {
      result.damages.push({
        path: '',
        offset: 0,
        what: `channel ${log.name}: no file holds message ${log.firstSequence}`,
      });
    }
    for (const { segment, first, last, offset, recordBytes: bytes, isGap } of log.extents) {
      if (first !== next) {
        result.damages.push({
          path: '',
          offset: 0,
          what: `channel ${log.name}: no file holds message ${next}`,
        });
      }
      next = last + 1;
      if (isGap) {
        const lost = namesOf({ channel: log.name, first, last });
        result.notes.push(`gap: ${lost}, which a repair could not save, or an import has not found`);
        continue;
      }
      const entries = directories.get(segment.path);
      if (entries === undefined) continue;
      const isListed = entries.some(
        (entry) =>
          entry.channelId === log.id &&
          entry.firstSequence === first &&
          entry.offset === offset &&
          entry.bytes === bytes,
      );
      if (!isListed)
        note(
          result,
          damaged(segment.path, offset, `messages ${first} to ${last} of channel ${log.name} are due here`),
        );
    }
  }
  return missing;
}
