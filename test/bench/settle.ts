import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMicros, residentBytes } from './process-stats.js';

const STEP_MS = 250;
/** Of a step: a process that uses less is at rest. */
const IDLE_SHARE = 0.1;
const MAX_IDLE_WAIT_MS = 15_000;
/** V8 looks for garbage once a process has been idle for 8 s, and again a little later. */
const MEMORY_SETTLED_MS = 12_000;
const MAX_MEMORY_WAIT_MS = 60_000;

/** Waits until the process has done what is left from a run, so that the next run of another is not charged with it. */
export async function untilIdle(pid: number): Promise<void> {
  const deadlineMs = performance.now() + MAX_IDLE_WAIT_MS;
  for (let before = cpuMicros(pid); performance.now() < deadlineMs; ) {
    await sleep(STEP_MS);
    const now = cpuMicros(pid);
    // Also ends where CPU times cannot be had.
    if (!(now - before >= STEP_MS * 1_000 * IDLE_SHARE)) return;
    before = now;
  }
}

/** @returns resident bytes once they have not fallen for a while */
export async function restingBytes(pid: number): Promise<number> {
  await untilIdle(pid);
  const deadlineMs = performance.now() + MAX_MEMORY_WAIT_MS;
  let lowest = residentBytes(pid);
  let lowestMs = performance.now();
  for (;;) {
    await sleep(STEP_MS);
    const bytes = residentBytes(pid);
    const nowMs = performance.now();
    // A change of less than a hundredth is no fall.
    if (bytes < lowest * 0.99) {
      lowest = bytes;
      lowestMs = nowMs;
    } else if (nowMs - lowestMs > MEMORY_SETTLED_MS || nowMs > deadlineMs) {
      return bytes;
    }
  }
}
