import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 5;

/** Generous: a busy machine is slow, a broken broker never gets there. */
export const DEFAULT_WAIT_MS = 30_000;

/**
 * Waits until `condition` holds.
 *
 * @param what the condition in words, for the error
 * @throws when it does not hold in time
 */
export async function waitFor(
  condition: () => boolean | Promise<boolean>,
  what: string | (() => string),
  timeoutMs = DEFAULT_WAIT_MS,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) {
      throw new Error(`not within ${timeoutMs} ms: ${typeof what === 'string' ? what : what()}`);
    }
    await sleep(POLL_MS);
  }
}

/**
 * Looks on for a while: for what must not happen, during a time in which it would.
 *
 * @param what the condition in words, for the error
 * @throws as soon as `condition` does not hold
 */
export async function holdsFor(
  ms: number,
  condition: () => boolean | Promise<boolean>,
  what: string | (() => string),
): Promise<void> {
  const startMs = performance.now();
  do {
    if (!(await condition())) {
      const passedMs = Math.round(performance.now() - startMs);
      throw new Error(`no longer so after ${passedMs} ms: ${typeof what === 'string' ? what : what()}`);
    }
    await sleep(POLL_MS);
  } while (performance.now() - startMs < ms);
}

/** A promise that rejects when it takes too long. */
export async function within<T>(promise: Promise<T>, what: string, timeoutMs = DEFAULT_WAIT_MS): Promise<T> {
  const timeout = new AbortController();
  const late = sleep(timeoutMs, undefined, { signal: timeout.signal }).then(() => {
    throw new Error(`not within ${timeoutMs} ms: ${what}`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    timeout.abort();
  }
}
