import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { pipeline, Readable, type Transform } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { errorCode } from '../../files/fs-error.js';
import { SourceError } from '../types/source-error.js';
import { ZSTD_NEEDS, zstdDecompress } from './zstd.js';

/** The name that stands for standard input. */
export const STANDARD_INPUT = '-';
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);
const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** Where lines are read from. */
export interface LineInput {
  readonly stream: Readable;
  /** The bytes are those of the file: they can be read again from any place in it. */
  readonly isPlainFile: boolean;
}

/** What is given to an import: the bytes as they are. */
export interface RawInput {
  readonly stream: Readable;
  readonly isFile: boolean;
}

/** Opens a file, or standard input. The caller destroys the stream. @throws SourceError if there is no such file */
export async function openRawInput(path: string): Promise<RawInput> {
  if (path === STANDARD_INPUT) return { stream: process.stdin, isFile: false };
  try {
    const status = await stat(path);
    if (status.isDirectory())
      throw new SourceError('not-found', `${path} is a folder, not a file of JSON Lines`);
    await (await open(path)).close();
    return { stream: createReadStream(path), isFile: status.isFile() };
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    throw new SourceError('not-found', `There is no file ${path}`);
  }
}

/** The lines of an input, once its first bytes have come: they say how it is compressed. */
export async function decompressed({ stream: input, isFile }: RawInput): Promise<LineInput> {
  const { begin, whole } = await beginOf(input, ZSTD_MAGIC.length);
  if (begin.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC)) return through(whole, createGunzip());
  if (begin.subarray(0, ZSTD_MAGIC.length).equals(ZSTD_MAGIC)) {
    if (zstdDecompress === undefined)
      throw new SourceError(
        'unsupported',
        `${ZSTD_NEEDS}: decompress it first, \`zstdcat FILE | stanchion import --from - ...\``,
      );
    return through(whole, zstdDecompress());
  }
  return { stream: whole, isPlainFile: isFile };
}

function through(from: Readable, to: Transform): LineInput {
  // The reader of `to` gets the errors of both.
  return { stream: pipeline(from, to, () => {}), isPlainFile: false };
}

/** The first bytes of a stream, and the stream as if nothing had been read. */
async function beginOf(input: Readable, bytes: number): Promise<{ begin: Buffer; whole: Readable }> {
  const pieces = input[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let begin = Buffer.alloc(0);
  let hasEnded = false;
  while (begin.length < bytes && !hasEnded) {
    const { value, done } = await pieces.next();
    if (done) hasEnded = true;
    else begin = Buffer.concat([begin, value]);
  }
  async function* all(): AsyncGenerator<Buffer> {
    yield begin;
    for (;;) {
      const { value, done } = hasEnded ? { value: undefined, done: true } : await pieces.next();
      if (done || value === undefined) return;
      yield value;
    }
  }
  return { begin, whole: Readable.from(all(), { objectMode: false }).once('close', () => input.destroy()) };
}
