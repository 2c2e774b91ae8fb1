import { GoWireError } from '../go-wire/field-reader.js';
import { decodeGoServerInfo, type GoServerInfo } from '../go-wire/go-records.js';
import { FILE_HEADER_BYTES, RECORD_HEADER_BYTES, RecordReader } from './record-reader.js';
import type { ReadSettings } from './slice.js';

/**
 * Reads `server.dat`: one record and nothing else.
 *
 * @returns undefined if there is none, as before the first start of the server
 * @throws SourceError 'damaged' if the source is strict
 */
export async function readServerInfo(
  path: string,
  settings: ReadSettings,
): Promise<GoServerInfo | undefined> {
  const { problems, pool } = settings;
  const reader = await RecordReader.open(path, { ...settings, isTyped: false });
  if (reader === undefined) return undefined;
  const place = { where: path, offset: FILE_HEADER_BYTES };
  try {
    let step = reader.next();
    if (step === 'more') {
      await reader.more();
      step = reader.next();
    }
    if (step === 'end') return undefined;
    if (step !== 'record') {
      problems.damaged(
        place,
        'the record of the server cannot be read: its size or CRC is wrong (a server that had file_crc_poly needs the same flag here)',
      );
      return undefined;
    }
    const { buffer, payloadStart, payloadEnd, size } = reader;
    const info = decodeGoServerInfo(buffer, payloadStart, payloadEnd);
    if (size !== FILE_HEADER_BYTES + RECORD_HEADER_BYTES + payloadEnd - payloadStart)
      problems.damaged(place, 'there is more in the file than the record of the server');
    return info;
  } catch (error) {
    if (!(error instanceof GoWireError)) throw error;
    problems.damaged(place, error.message);
    return undefined;
  } finally {
    await reader.close();
    pool.release();
  }
}
