/**
 * Memory from which bytes are being sent where they lie, by how many sends there are. What keeps memory to use it again asks here first:
 * new content would go out in place of the old.
 */
const lent = new Map<ArrayBufferLike, number>();

/** Limit of pieces of memory that are lent at a time: each is kept whole, however little of it is under way. */
const MAX_LENT = 16;

/** Whether it may be lent. If not, its bytes are to be copied. */
export function mayLend({ buffer }: Buffer): boolean {
  return lent.size < MAX_LENT || lent.has(buffer);
}

export function lend({ buffer }: Buffer): void {
  lent.set(buffer, (lent.get(buffer) ?? 0) + 1);
}

/** One of its sends has ended. */
export function giveBack({ buffer }: Buffer): void {
  const sends = lent.get(buffer) ?? 0;
  if (sends > 1) lent.set(buffer, sends - 1);
  else lent.delete(buffer);
}

export function isLent({ buffer }: Buffer): boolean {
  return lent.has(buffer);
}
