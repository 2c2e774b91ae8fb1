import { uptime } from 'node:os';

/** Time and timers. The clock is passed in from outside, so that the simulator can control it. */
export interface Clock {
  /** Milliseconds that only go forward, from an arbitrary start. For intervals and timers. */
  monotonicMs(): number;
  /** Nanoseconds since 1970 (UTC). They may jump with the system clock, in either direction. */
  wallNs(): bigint;
  /** Milliseconds since the machine started, including sleep. Some systems do not have it. */
  uptimeMs?(): number;
  /** Runs `callback` once after `delayMs`. The timer does not keep the process alive. */
  setTimer(delayMs: number, callback: () => void): Timer;
}

export interface Timer {
  /** Cancels the timer. Idempotent. */
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

// `Date.now()` has only milliseconds. The monotonic clock supplies the lower digits, and the wall clock corrects it when the two drift
// apart (NTP, suspend).
const originNs = BigInt(Math.round(performance.timeOrigin * 1e6));
const MAX_DRIFT_MS = 5;

let correctionMs = 0;

function driftNs(): bigint {
  const ahead = Date.now() - (performance.timeOrigin + performance.now() + correctionMs);
  if (Math.abs(ahead) > MAX_DRIFT_MS) correctionMs += ahead;
  return BigInt(Math.round(correctionMs * 1e6));
}
