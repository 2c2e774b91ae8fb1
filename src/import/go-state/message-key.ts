import { createDecipheriv, createHash } from 'node:crypto';

const AES = 1;
const CHACHA = 2;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Code, nonce and tag. The text has at least one byte, since empty messages are not encrypted. */
export const ENCRYPTION_OVERHEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES;
/** Messages that were encrypted and could not be stored count in the nonce, and take no sequence. */
const MAX_NONCE_LEAD = 1_000_000;

/** Whether data may be encrypted: it begins with the code of a cipher, and is long enough. */
export function mayBeEncrypted(buffer: Buffer, start: number, end: number): boolean {
  const code = buffer[start];
  return (code === AES || code === CHACHA) && end - start > ENCRYPTION_OVERHEAD_BYTES;
}

/**
 * Whether data that may be encrypted surely is: the last eight bytes of the nonce count the channel's messages, from its last sequence
 * at the start of the server on.
 */
export function isNonceOf(buffer: Buffer, start: number, sequence: number): boolean {
  const at = start + 1 + NONCE_BYTES - 8;
  const counter = buffer.readUInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4);
  return counter >= 1 && counter <= sequence + MAX_NONCE_LEAD;
}

/** The key of one channel. */
export class MessageKey {
  readonly #key: Buffer;

  constructor(key: Buffer, channel: string) {
    const name = Buffer.from(channel);
    const master = createHash('sha256').update(key).digest();
    // The zeros are a slip of the Go server that became a part of the format: it makes a slice of this length, and then appends to it.
    const zeros = Buffer.alloc(master.length + 1 + name.length);
    this.#key = createHash('sha256').update(zeros).update(master).update('.').update(name).digest();
  }

  /** @returns undefined if it was not encrypted with this key, or not at all */
  decrypt(buffer: Buffer, start: number, end: number): Buffer | undefined {
    const nonceEnd = start + 1 + NONCE_BYTES;
    const tagStart = end - TAG_BYTES;
    const nonce = buffer.subarray(start + 1, nonceEnd);
    const options = { authTagLength: TAG_BYTES };
    const decipher =
      buffer[start] === AES
        ? createDecipheriv('aes-256-gcm', this.#key, nonce, options)
        : createDecipheriv('chacha20-poly1305', this.#key, nonce, options);
    decipher.setAuthTag(buffer.subarray(tagStart, end));
    try {
      const text = decipher.update(buffer.subarray(nonceEnd, tagStart));
      decipher.final();
      return text;
    } catch {
      return undefined;
    }
  }
}
