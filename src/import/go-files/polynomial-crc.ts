import { crc32 } from '../../util/crc.js';
import type { RecordCrc } from './record-reader.js';

/** The polynomial that `file_crc_poly` has by default, bits reversed as in Go's hash/crc32. */
export const IEEE_POLYNOMIAL = 0xedb88320;

/** The CRC-32 of a polynomial, as Go's `crc32.Checksum` computes it: the one of the project for the usual one, else a table's. */
export function crcOf(polynomial: number): RecordCrc {
  if (polynomial >>> 0 === IEEE_POLYNOMIAL) return crc32;
  const table = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    table[byte] = crc;
  }
  return (buffer, start, end) => {
    let crc = -1;
    for (let i = start; i < end; i++) crc = table[(crc ^ buffer[i]) & 255] ^ (crc >>> 8);
    return ~crc >>> 0;
  };
}
