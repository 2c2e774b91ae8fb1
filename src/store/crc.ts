import { crc32 as nativeCrc32 } from 'node:zlib';

/** Below it, slicing by 8 in JavaScript beats the call into native code (measured: 160 ns against 215 ns at 200 bytes). */
const NATIVE_FROM_BYTES = 320;

const TABLES = makeTables();

/** CRC-32 (IEEE, as zlib's) of `buffer[start, end)`. */
export function crc32(buffer: Buffer, start: number, end: number): number {
  if (end - start >= NATIVE_FROM_BYTES) return nativeCrc32(buffer.subarray(start, end));
  const t = TABLES;
  let crc = -1;
  let i = start;
  for (const bulkEnd = end - 7; i < bulkEnd; i += 8) {
    crc ^= buffer[i]! | (buffer[i + 1]! << 8) | (buffer[i + 2]! << 16) | (buffer[i + 3]! << 24);
    crc =
      t[1792 + (crc & 255)]! ^
      t[1536 + ((crc >>> 8) & 255)]! ^
      t[1280 + ((crc >>> 16) & 255)]! ^
      t[1024 + (crc >>> 24)]! ^
      t[768 + buffer[i + 4]!]! ^
      t[512 + buffer[i + 5]!]! ^
      t[256 + buffer[i + 6]!]! ^
      t[buffer[i + 7]!]!;
  }
  for (; i < end; i++) crc = t[(crc ^ buffer[i]!) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Of all of them, as if they lay one behind the other. */
export function crc32Of(parts: readonly Buffer[]): number {
  return parts.reduce((crc, part) => nativeCrc32(part, crc), 0);
}

/** CRC-32 begun with a secret of the file: bytes that a client made up do not pass for the store's own. */
export function saltedCrc32(buffer: Buffer, start: number, end: number, salt: number): number {
  return nativeCrc32(buffer.subarray(start, end), salt);
}

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    tables[n] = c;
  }
  for (let n = 0; n < 256; n++) {
    let c = tables[n]!;
    for (let k = 1; k < 8; k++) {
      c = tables[c & 255]! ^ (c >>> 8);
      tables[k * 256 + n] = c;
    }
  }
  return tables;
}
