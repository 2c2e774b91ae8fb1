import { uptime } from 'node:os';

/**
 * Time, as the rest of the code sees it. It comes in from outside so that the simulator can own it.
 */
export interface Clock {
  /** Milliseconds that only go forward, from an arbitrary start. For intervals and timers. */
  monotonicMs(): number;
  /** Nanoseconds since 1970 (UTC). May jump with the system clock: whoever needs order keeps it himself. */
  wallNs(): bigint;
  /** Milliseconds since the machine started, those in which it slept included. Not to be had everywhere. */
  uptimeMs?(): number;
  /** Runs `callback` once after `delayMs`; the timer alone does not keep the process alive. */
  setTimer(delayMs: number, callback: () => void): Timer;
}

export interface Timer {
  /** Idempotent. After it the callback does not run. */
  cancel(): void;
}

/** The clock of the machine. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallNs: () => originNs + BigInt(Math.round(performance.now() * 1e6)) + driftNs(),
  uptimeMs: () => uptime() * 1e3,
  setTimer(delayMs, callback) {
    const handle = setTimeout(callback, delayMs);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

// `Date.now()` alone has milliseconds only. The monotonic clock gives the digits below, and the wall clock
// corrects it when the two drift apart (NTP, suspend).
const originNs = BigInt(Math.round(performance.timeOrigin * 1e6));
const MAX_DRIFT_MS = 5;

let correctionMs = 0;

function driftNs(): bigint {
  const ahead = Date.now() - (performance.timeOrigin + performance.now() + correctionMs);
  if (Math.abs(ahead) > MAX_DRIFT_MS) correctionMs += ahead;
  return BigInt(Math.round(correctionMs * 1e6));
}
