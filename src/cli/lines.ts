import type { Readable } from 'node:stream';

const LF = 0x0a;
const CR = 0x0d;

/**
 * The lines of a stream as bytes, without their ends (`\n` or `\r\n`). The last line need not have an end.
 *
 * @throws Error naming the line that is longer than `maxBytes`
 */
export async function* lines(input: Readable, maxBytes: number): AsyncGenerator<Buffer> {
  let number = 0;
  let rest: Buffer[] = [];
  let restBytes = 0;
  const take = (last: Buffer): Buffer => {
    number++;
    const line = rest.length === 0 ? last : Buffer.concat([...rest, last]);
    rest = [];
    restBytes = 0;
    return line.at(-1) === CR ? line.subarray(0, -1) : line;
  };
  for await (const piece of input as AsyncIterable<Buffer | string>) {
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
    let from = 0;
    for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, from)) {
      if (restBytes + at - from > maxBytes) throw tooLong(number + 1, maxBytes);
      yield take(bytes.subarray(from, at));
      from = at + 1;
    }
    if (from === bytes.length) continue;
    rest.push(bytes.subarray(from));
    restBytes += bytes.length - from;
    if (restBytes > maxBytes) throw tooLong(number + 1, maxBytes);
  }
  if (restBytes > 0) yield take(Buffer.alloc(0));
}

function tooLong(number: number, maxBytes: number): Error {
  return new Error(`line ${number} has more than ${maxBytes} bytes`);
}
