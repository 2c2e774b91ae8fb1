import { isAnyArrayBuffer } from 'node:util/types';
import { reasonOf, StanError } from './client-errors.js';

/** How values become bytes and back. */
export interface Codec<T> {
  /** @throws anything: the publish fails with it */
  encode(value: T): Uint8Array;
  /** @throws anything: `decode` of the message fails with it */
  decode(data: Uint8Array): T;
}

/** What can be published as it is; anything else goes through a codec, JSON unless told otherwise. */
export type Payload = ArrayBuffer | ArrayBufferView | string | undefined;

const EMPTY = new Uint8Array(0);

/** @param T of the values; nothing checks that a message has that shape */
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

/** Bytes of any kind and strings as they are, everything else through the codec. */
export function encodeWith(codec: Codec<unknown>, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return Buffer.from(value);
  if (value === undefined) return EMPTY;
  try {
    return bytesOf(value) ?? encoded(codec, value);
  } catch (cause) {
    throw new StanError(`the payload cannot be encoded: ${reasonOf(cause)}`, {
      code: 'CODEC_FAILED',
      hint: 'Publish bytes, a string, or what the codec takes',
      cause,
    });
  }
}

/** Also those of a worker, or of another realm: JSON would make `{}` of them. */
function bytesOf(value: unknown): Uint8Array | undefined {
  if (isAnyArrayBuffer(value)) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return undefined;
}

/** Anything else that has a length would be stored as zeros. */
function encoded(codec: Codec<unknown>, value: unknown): Uint8Array {
  const bytes: unknown = codec.encode(value);
  if (bytes instanceof Uint8Array) return bytes;
  throw new TypeError(`the codec has returned ${describe(bytes)}, and not a Uint8Array`);
}

function describe(value: unknown): string {
  if (value instanceof Promise) return 'a promise';
  return value === null || value === undefined ? String(value) : `a value of type ${typeof value}`;
}

export function textOf(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString();
}
