import type { Transform } from 'node:stream';
import zlib from 'node:zlib';

/** What zlib of Node 22.15 and newer has beside. */
interface Zstd {
  createZstdCompress?: () => Transform;
  createZstdDecompress?: () => Transform;
}

const { createZstdCompress, createZstdDecompress }: Zstd = zlib as Zstd;

/** Undefined where this Node has no zstd. */
export const zstdCompress: (() => Transform) | undefined = createZstdCompress;
/** Undefined where this Node has no zstd. */
export const zstdDecompress: (() => Transform) | undefined = createZstdDecompress;

/** What to do where this Node has no zstd. */
export const ZSTD_NEEDS = `zstd needs Node 22.15 or newer, and this is ${process.version}`;
