import { open, rename, rm, stat } from 'node:fs/promises';
import { PassThrough, type Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { systemClock } from '../clock/clock.js';
import { ConfigError } from '../config/config-error.js';
import { nodeFs } from '../files/fs.js';
import { errorCode } from '../files/fs-error.js';
import { type ExportResult, exportStore } from '../import/lines/export-store.js';
import { ZSTD_NEEDS, zstdCompress } from '../import/lines/zstd.js';
import { StoreReader } from '../store/tools/store-reader.js';

/** Where the lines go. */
export interface LineOutput {
  readonly stream: Writable;
  /** Ends the stream. The file has its name from then on. */
  finish(): Promise<void>;
  /** Removes what was written. @returns why it could not be written, if that is the reason */
  abandon(): Promise<Error | undefined>;
}

/** @throws ConfigError if this Node does not have the compression that the name of the file asks for */
export function compressionOf(path: string): (() => Transform) | undefined {
  if (path.endsWith('.gz')) return createGzip;
  if (!path.endsWith('.zst')) return undefined;
  if (zstdCompress === undefined)
    throw new ConfigError(
      `--to: ${ZSTD_NEEDS}: write FILE.jsonl.gz, or --to - and \`| zstd > FILE.jsonl.zst\``,
    );
  return zstdCompress;
}

/** A file gets its name when it is whole. What is no file, as a pipe, is written as it is. */
export async function openLineOutput(path: string): Promise<LineOutput> {
  if (path === '-') return written(process.stdout, undefined, async () => {});
  const isFile = await stat(path).then(
    (found) => found.isFile(),
    () => true,
  );
  const partial = isFile ? `${path}.partial` : path;
  const file = await open(partial, 'w', 0o600);
  // A stream of the file system would close the file when it fails, and the file is closed here.
  const stream = new Writable({
    write: (piece: Buffer, _encoding, callback) =>
      void file.writeFile(piece).then(() => callback(), callback),
  });
  const output = written(stream, compressionOf(path), async () => {
    if (isFile) await file.sync();
    await file.close();
    if (isFile) await rename(partial, path);
  });
  return {
    ...output,
    abandon: async () => {
      const reason = await output.abandon();
      await file.close();
      if (isFile) await rm(partial, { force: true });
      return reason;
    },
  };
}

function written(
  out: Writable,
  compress: (() => Transform) | undefined,
  whenWritten: () => Promise<void>,
): LineOutput {
  const stream = compress?.() ?? new PassThrough();
  const isStandardOutput = out === process.stdout;
  const writing = pipeline(stream, out, { end: !isStandardOutput });
  // `finish` throws it. A write to the stream fails too.
  writing.catch(() => {});
  return {
    stream,
    finish: async () => {
      stream.end();
      await writing;
      await whenWritten();
    },
    abandon: async () => {
      stream.destroy();
      return await writing.then(
        () => undefined,
        (error: Error) => (errorCode(error) === 'ERR_STREAM_PREMATURE_CLOSE' ? undefined : error),
      );
    },
  };
}

/** Exports the store in a folder. */
export async function runExport(
  dir: string,
  openOutput: () => Promise<LineOutput>,
  signal: AbortSignal,
  onProgress: (done: number, due: number) => void,
): Promise<{ result: ExportResult; warnings: readonly string[] }> {
  const reader = await StoreReader.open({ fs: nodeFs, clock: systemClock, dir });
  try {
    const output = await openOutput();
    try {
      const due = reader.channels.reduce((sum, { messages }) => sum + messages, 0);
      const madeAt = new Date().toISOString();
      const result = await exportStore(reader, output.stream, {
        ...{ madeAt, signal },
        onProgress: (done) => onProgress(done, due),
      });
      await output.finish();
      return { result, warnings: reader.warnings };
    } catch (error) {
      // A write behind the one that failed only says that the stream is gone.
      throw (await output.abandon()) ?? error;
    }
  } finally {
    reader.close();
  }
}
