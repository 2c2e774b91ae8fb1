import type { FileId } from '../../files/file-names.js';
import { StoreError } from '../../files/store-error.js';
import { crc32 } from '../../util/crc.js';

/*
 * Every binary file begins with:
 *
 *   0  8 bytes  magic
 *   8  u32      format version
 *  12  u32      epoch
 *  16  u32      number
 *  20  u32      salt (journals), else 0
 *  24  22 bytes store id
 *  46  u8       1: the file had another life before (journals from version 3 on), else 0
 *  60  u32      CRC-32 of the 60 bytes before
 */
export const FILE_HEADER_BYTES = 64;
export const SALT_AT = 20;
const STORE_ID_BYTES = 22;
const RECYCLED_AT = 46;

export const Magic = {
  journal: 'STANCHJ\n',
  segment: 'STANCHS\n',
  checkpoint: 'STANCHC\n',
} as const;
export type MagicText = (typeof Magic)[keyof typeof Magic];

/** The version of journals that are written. */
export const JOURNAL_VERSION = 3;

/** The version of each kind of file grows with each change that an older program would misread. Release 0.1.0 has 1 for all of them. */
const VERSIONS: Readonly<Record<MagicText, number>> = {
  [Magic.journal]: JOURNAL_VERSION,
  [Magic.segment]: 2,
  [Magic.checkpoint]: 3,
};

export interface FileHeader extends FileId {
  storeId: string;
  /** A random number, which makes batch headers of this file hard to forge. */
  salt: number;
  /** The file had another life before, and what that has left lies behind the header. */
  isRecycled?: boolean;
}

/** A header as it was read, with the version of the format that follows it. */
export interface DecodedHeader extends FileHeader {
  version: number;
  isRecycled: boolean;
}

export function encodeFileHeader(magic: MagicText, header: FileHeader): Buffer {
  const buffer = Buffer.alloc(FILE_HEADER_BYTES);
  buffer.write(magic, 0, 'latin1');
  buffer.writeUInt32LE(VERSIONS[magic], 8);
  buffer.writeUInt32LE(header.epoch, 12);
  buffer.writeUInt32LE(header.number, 16);
  buffer.writeUInt32LE(header.salt, 20);
  buffer.write(header.storeId, 24, STORE_ID_BYTES, 'latin1');
  buffer[RECYCLED_AT] = header.isRecycled === true ? 1 : 0;
  buffer.writeUInt32LE(crc32(buffer, 0, 60), 60);
  return buffer;
}

/**
 * Reads a file header.
 *
 * @returns undefined if the header is damaged, or of another kind
 * @throws StoreError if the file is of a newer version, or of another store
 */
export function decodeFileHeader(
  magic: MagicText,
  buffer: Buffer,
  path: string,
  storeId: string,
): DecodedHeader | undefined {
  if (buffer.length < FILE_HEADER_BYTES || buffer.toString('latin1', 0, 8) !== magic) return undefined;
  if (crc32(buffer, 0, 60) !== buffer.readUInt32LE(60)) return undefined;
  const version = buffer.readUInt32LE(8);
  if (version > VERSIONS[magic]) {
    throw new StoreError(
      'newer-version',
      `${path} has format version ${version}; this program knows versions up to ${VERSIONS[magic]}. Use a newer stanchion`,
    );
  }
  const found = storeIdOf(buffer);
  if (found !== storeId) {
    throw new StoreError(
      'foreign',
      `${path} belongs to the store ${found}, not to ${storeId}. Move it back to its own store`,
    );
  }
  return {
    version,
    epoch: buffer.readUInt32LE(12),
    number: buffer.readUInt32LE(16),
    salt: buffer.readUInt32LE(20),
    storeId: found,
    isRecycled: buffer[RECYCLED_AT] === 1,
  };
}

/** The fields of a header that is not damaged. */
export function storeIdOf(header: Buffer): string {
  return header.toString('latin1', 24, 24 + STORE_ID_BYTES);
}
