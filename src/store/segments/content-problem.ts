import { decodeFileHeader, FILE_HEADER_BYTES, Magic } from '../format/file-header.js';
import {
  decodeFooter,
  FOOTER_BYTES,
  footerCrcOf,
  isSameFile,
  type SegmentFile,
} from '../format/segment-format.js';
import type { Blobs } from '../types/blobs.js';
import { Body } from './body.js';
import type { Segment } from './segment.js';
import type { NamedFile, SegmentProblem } from './segment-problem.js';
import { readSegmentDirectory } from './segment-scan.js';

/** Reads what a file of the right length is recognised by, and compares it with what the checkpoint says. */
export async function findContentProblem(
  blobs: Blobs,
  file: NamedFile,
  storeId: string,
): Promise<SegmentProblem | undefined> {
  return file instanceof Body
    ? await findHeaderProblem(blobs, file, storeId)
    : await findFooterProblem(blobs, file);
}

async function findHeaderProblem(
  blobs: Blobs,
  file: Body,
  storeId: string,
): Promise<SegmentProblem | undefined> {
  const { path, leastBytes: bytes, id, salt } = file;
  const buffer = Buffer.alloc(FILE_HEADER_BYTES);
  await blobs.read(file, buffer, 0);
  const header = decodeFileHeader(Magic.journal, buffer, path, storeId);
  if (header === undefined) return { file, what: 'its header is not whole', bytes };
  if (header.salt === salt && header.epoch === id.epoch && header.number === id.number) return undefined;
  return { file, what: 'its header is another one than the checkpoint names', bytes };
}

/** Where the checkpoint does not say what the footer is, it is noted. */
async function findFooterProblem(blobs: Blobs, segment: Segment): Promise<SegmentProblem | undefined> {
  const { file } = segment;
  const bytes = file?.bytes ?? (await blobs.size(segment, segment.leastBytes)) ?? 0;
  const found = await footerAt(blobs, segment, bytes);
  if (file === undefined) {
    // Something may have appended bytes, which are behind its end.
    segment.file = found ?? (await footerBefore(blobs, segment, bytes));
    return segment.file === undefined ? { file: segment, what: 'its footer is not whole', bytes } : undefined;
  }
  if (found === undefined) return { file: segment, what: 'its footer is not whole', bytes };
  return isSameFile(found, file)
    ? undefined
    : { file: segment, what: 'its footer is another one than the checkpoint names', bytes };
}

/** A file that ends with this footer, if it is whole. */
async function footerAt(blobs: Blobs, segment: Segment, bytes: number): Promise<SegmentFile | undefined> {
  const footer = Buffer.alloc(FOOTER_BYTES);
  const read = await blobs.read(segment, footer, Math.max(0, bytes - FOOTER_BYTES));
  if (read < FOOTER_BYTES || decodeFooter(footer) === undefined) return undefined;
  return { bytes, footerCrc: footerCrcOf(footer) };
}

/** The file up to the last footer that is whole, if all that logs refer to is before that. */
async function footerBefore(blobs: Blobs, segment: Segment, bytes: number): Promise<SegmentFile | undefined> {
  const source = {
    read: (buffer: Buffer, start: number, end: number, position: number) =>
      blobs.read(segment, buffer.subarray(start, end), position),
  };
  const file = (await readSegmentDirectory(source, bytes))?.file;
  return file !== undefined && file.bytes >= segment.leastBytes ? file : undefined;
}
