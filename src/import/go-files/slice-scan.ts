import { StoredMessage } from '../go-wire/stored-message.js';
import { MessageIndex } from './message-index.js';
import { FILE_HEADER_BYTES, RecordReader } from './record-reader.js';
import {
  eachMessage,
  eachRecord,
  type MessagePlace,
  type OpenSlice,
  type ReadSettings,
  type Slice,
} from './slice.js';
import { SliceTally, StepsBack } from './slice-tally.js';

/**
 * Counts the messages of a slice: by its index, if that fits the data file as far as the Go server looks at it, else by the data file.
 *
 * @param before the first sequence of the next slice; Infinity for the last one
 * @returns undefined if there is no message in it
 * @throws SourceError 'damaged' if the source is strict and the data file has to be read and is damaged
 */
export async function scanSlice(
  path: string,
  indexPath: string,
  before: number,
  settings: ReadSettings,
): Promise<Slice | undefined> {
  const reader = await RecordReader.open(path, { ...settings, isTyped: false });
  if (reader === undefined) return undefined;
  const index = await MessageIndex.open(indexPath, settings.crc);
  try {
    const counted = new SliceCount(before);
    const check =
      index === undefined ? { end: 0, last: 0 } : await checkIndex(index, reader, counted, settings);
    const isUsed = index !== undefined && check.end > 0;
    const source = { reader, index: isUsed ? index : undefined, indexEnd: check.end, holes: [] };
    const slice = await count(source, isUsed ? counted : new SliceCount(before), settings);
    if (!isUsed && check.last > (slice?.lastSequence ?? 0)) {
      const text = `the index lists messages up to ${check.last}, the data file has them up to ${slice?.lastSequence ?? 0}`;
      settings.problems.damaged({ where: path, offset: reader.size }, text);
    }
    return slice;
  } finally {
    await reader.close();
    await index?.close();
    settings.pool.release();
  }
}

/**
 * As the Go server does: all rows must be good, and the last one that of a record with its sequence. Else the data file is read.
 *
 * @param counted gets the rows, since reading them twice would take as long as reading the messages
 * @returns the end of the last record; 0 if the index is not used. The highest sequence that the index lists
 */
async function checkIndex(
  index: MessageIndex,
  reader: RecordReader,
  counted: SliceCount,
  { problems, pool }: ReadSettings,
): Promise<{ end: number; last: number }> {
  const last = { sequence: 0, offset: 0, payloadBytes: 0, end: FILE_HEADER_BYTES };
  let rows = 0;
  let highest = 0;
  let problem: string | undefined;
  const result = await index.each(() => {
    rows++;
    if (index.offset < last.end) problem ??= `row ${rows} does not lie behind the one before it`;
    if (rows === 1 && index.offset > last.end) problem ??= `messages before ${index.sequence} are not in it`;
    // Bytes between two rows are left from a crash, if no sequence is missing there.
    if (rows > 1 && index.offset > last.end && index.sequence > last.sequence + 1)
      problem ??= `messages ${last.sequence + 1} to ${index.sequence - 1} are not in it`;
    if (index.end > reader.size) problem ??= `message ${index.sequence} is behind the end of the data file`;
    ({
      sequence: last.sequence,
      offset: last.offset,
      payloadBytes: last.payloadBytes,
      end: last.end,
    } = index);
    if (index.sequence > highest) highest = index.sequence;
    return counted.look(index);
  });
  if (result === 'bad') problem ??= `the CRC of row ${rows + 1} is wrong`;
  if (index.isTorn) problem ??= 'its last row is cut off';
  if (rows === 0 && problem === undefined) return { end: 0, last: 0 };
  if (problem === undefined && !(await isMessage(reader, pool, last)))
    problem = 'its last row does not fit the data file';
  if (problem === undefined) return { end: last.end, last: highest };
  problems.note({ where: index.path }, `the index is not used, the data file is read instead: ${problem}`);
  return { end: 0, last: highest };
}

async function isMessage(
  reader: RecordReader,
  pool: ReadSettings['pool'],
  { offset, sequence, payloadBytes }: { offset: number; sequence: number; payloadBytes: number },
): Promise<boolean> {
  reader.seek(offset);
  let step = reader.next();
  if (step === 'more') {
    await reader.more();
    pool.release(reader.buffer);
    step = reader.next();
  }
  const message = new StoredMessage();
  return (
    step === 'record' &&
    reader.payloadEnd - reader.payloadStart === payloadBytes &&
    message.decode(reader.buffer, reader.payloadStart, reader.payloadEnd) &&
    message.sequence === sequence
  );
}

/** The messages of a slice, counted while its files are read for the first time. */
class SliceCount {
  readonly steps: StepsBack;
  readonly tally = new SliceTally(undefined);

  constructor(before: number) {
    this.steps = new StepsBack(before);
  }

  /** @returns true, to go on */
  look(place: MessagePlace): boolean {
    this.steps.look(place);
    return this.tally.add(place);
  }
}

/** @param counted has what the index lists, if it is used */
async function count(
  source: OpenSlice,
  counted: SliceCount,
  settings: ReadSettings,
): Promise<Slice | undefined> {
  const { reader, index, indexEnd } = source;
  const { steps } = counted;
  let { tally } = counted;
  if (index !== undefined) steps.endIndex();
  await eachRecord(source, settings, (place) => counted.look(place));
  const { path, size: fileBytes } = reader;
  if (steps.areThere) {
    tally = new SliceTally(steps);
    await eachMessage(source, settings, (place) => tally.add(place));
    settings.problems.note(
      { where: path, offset: tally.holes[0] },
      `${tally.replaced} messages are left from a crash of the old server: later ones have their sequences, and come along`,
    );
  } else if (index !== undefined && tally.holes.length > 0) {
    const text = 'there are bytes that the index does not list: a crash of the old server has left them';
    settings.problems.note({ where: path, offset: tally.holes[0] }, text);
  }
  if (tally.count === 0) return undefined;
  const { holes, firstSequence, lastSequence, count, bytes } = tally;
  return {
    path,
    indexPath: index?.path,
    indexEnd,
    holes,
    firstSequence,
    lastSequence,
    count,
    bytes,
    fileBytes,
  };
}
