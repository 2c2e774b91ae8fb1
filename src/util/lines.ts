import type { Readable } from 'node:stream';

const LF = 0x0a;
const CR = 0x0d;

export interface PlacedLine {
  /** Without its end. */
  bytes: Buffer;
  /** From 1. */
  number: number;
  /** Where it begins in the stream, bytes. */
  start: number;
  /** Behind its end. */
  end: number;
}

/**
 * The lines of a stream as bytes, without their ends (`\n` or `\r\n`). The last line need not have an end.
 *
 * @throws Error naming the line that is longer than `maxBytes`
 */
export async function* lines(input: Readable, maxBytes: number): AsyncGenerator<Buffer> {
  for await (const { bytes } of placedLines(input, maxBytes)) yield bytes;
}

/** The same, each with its place. */
export async function* placedLines(input: Readable, maxBytes: number): AsyncGenerator<PlacedLine> {
  let number = 0;
  let start = 0;
  let rest: Buffer[] = [];
  let restBytes = 0;
  const take = (last: Buffer, endBytes: number): PlacedLine => {
    number++;
    const line = rest.length === 0 ? last : Buffer.concat([...rest, last]);
    rest = [];
    restBytes = 0;
    const end = start + line.length + endBytes;
    const placed = { bytes: line.at(-1) === CR ? line.subarray(0, -1) : line, number, start, end };
    start = end;
    return placed;
  };
  for await (const piece of input as AsyncIterable<Buffer | string>) {
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
    let from = 0;
    for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, from)) {
      if (restBytes + at - from > maxBytes) throw tooLong(number + 1, maxBytes);
      yield take(bytes.subarray(from, at), 1);
      from = at + 1;
    }
    if (from === bytes.length) continue;
    rest.push(bytes.subarray(from));
    restBytes += bytes.length - from;
    if (restBytes > maxBytes) throw tooLong(number + 1, maxBytes);
  }
  if (restBytes > 0) yield take(Buffer.alloc(0), 0);
}

function tooLong(number: number, maxBytes: number): Error {
  return new Error(`line ${number} has more than ${maxBytes} bytes`);
}
