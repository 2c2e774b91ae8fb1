import { GoWireError } from '../go-wire/field-reader.js';
import { RECORD_HEADER_BYTES, RecordReader, type RecordStep } from './record-reader.js';
import type { ReadSettings } from './slice.js';

/**
 * Reads the records of `clients.dat` or `subs.dat` in order. A record with a bad CRC, or that cannot be decoded, is damage, as in the Go
 * server; a lenient import skips it.
 *
 * @param onRecord throws GoWireError if it cannot be decoded
 * @returns false if there is no such file
 * @throws SourceError 'damaged' if the source is strict
 */
export async function eachTypedRecord(
  path: string,
  settings: ReadSettings,
  onRecord: (reader: RecordReader) => void,
): Promise<boolean> {
  const { pool, problems } = settings;
  const reader = await RecordReader.open(path, { ...settings, isTyped: true });
  if (reader === undefined) return false;
  const place = () => ({ where: path, offset: reader.offset });
  try {
    for (;;) {
      const step = reader.next();
      if (step === 'record') {
        try {
          onRecord(reader);
        } catch (error) {
          if (!(error instanceof GoWireError)) throw error;
          problems.damaged(place(), error.message);
        }
      } else if (step === 'more') {
        await reader.more();
        pool.release(reader.buffer);
      } else if (step === 'bad') {
        problems.damaged(place(), 'the size or CRC of a record is wrong: it is not read');
        reader.skipBad();
      } else {
        const trouble = await troubleOf(step, reader);
        if (trouble !== undefined) problems.damaged(place(), `${trouble}: what is behind it is not read`);
        return true;
      }
    }
  } finally {
    await reader.close();
    pool.release();
  }
}

async function troubleOf(step: RecordStep, reader: RecordReader): Promise<string | undefined> {
  if (step === 'end') return undefined;
  if (step === 'zeros')
    return (await reader.hasOnlyZeros())
      ? undefined
      : 'there are zeros with data behind them, where the old server would cut the file';
  // The old server takes a file that ends behind a header for one that ends before it.
  return reader.size - reader.offset === RECORD_HEADER_BYTES
    ? undefined
    : 'a record is cut off by the end of the file, or its size is wrong';
}
