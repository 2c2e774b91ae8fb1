import { isAnyArrayBuffer } from 'node:util/types';
import { reasonOf, StanError } from './client-errors.js';

/** Converts values to bytes and back. */
export interface Codec<T> {
  /** @throws any error; it makes the publish fail */
  encode(value: T): Uint8Array;
  /** @throws any error; `decode` of the message throws it */
  decode(data: Uint8Array): T;
}

/** Data that is published as it is. All other data goes through a codec, by default JSON. */
export type Payload = ArrayBuffer | ArrayBufferView | string | undefined;

const EMPTY = new Uint8Array(0);

/** @param T the type of the values; the codec does not check that a message has this shape */
export function jsonCodec<T = unknown>(): Codec<T> {
  return {
    encode: (value) => {
      const text = JSON.stringify(value);
      if (text === undefined) throw new TypeError(`a ${typeof value} has no JSON`);
      return Buffer.from(text);
    },
    decode: (data) => JSON.parse(textOf(data)) as T,
  };
}

export function stringCodec(): Codec<string> {
  return { encode: (value) => Buffer.from(value), decode: textOf };
}

/** The bytes to publish: bytes and strings as they are, all other data through the codec. @throws StanError */
export function encodeWith(codec: Codec<unknown>, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return Buffer.from(value);
  if (value === undefined) return EMPTY;
  try {
    return bytesOf(value) ?? encoded(codec, value);
  } catch (cause) {
    throw new StanError(`the payload cannot be encoded: ${reasonOf(cause)}`, {
      code: 'CODEC_FAILED',
      hint: 'Publish bytes, a string, or a value that the codec can encode',
      cause,
    });
  }
}

/** The bytes of a buffer or view, also of another realm or worker, of which JSON would make `{}`. */
function bytesOf(value: unknown): Uint8Array | undefined {
  if (isAnyArrayBuffer(value)) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return undefined;
}

/** The codec's bytes. Any other value with a length would be stored as zeros. @throws TypeError */
function encoded(codec: Codec<unknown>, value: unknown): Uint8Array {
  const bytes: unknown = codec.encode(value);
  if (bytes instanceof Uint8Array) return bytes;
  throw new TypeError(`the codec returned ${describe(bytes)} instead of a Uint8Array`);
}

function describe(value: unknown): string {
  if (value instanceof Promise) return 'a promise';
  return value === null || value === undefined ? String(value) : `a value of type ${typeof value}`;
}

export function textOf(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString();
}
