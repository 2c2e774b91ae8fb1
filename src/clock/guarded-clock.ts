import type { Clock } from './clock.js';

/**
 * A clock like the given one, whose timers are guarded: what a callback throws does not end the process.
 *
 * @param onThrown gets the exception
 */
export function guardedClock(clock: Clock, onThrown: (thrown: unknown) => void): Clock {
  const { uptimeMs } = clock;
  return {
    monotonicMs: () => clock.monotonicMs(),
    wallNs: () => clock.wallNs(),
    ...(uptimeMs && { uptimeMs: () => uptimeMs.call(clock) }),
    setTimer: (delayMs, callback) => clock.setTimer(delayMs, guarded(callback, onThrown)),
  };
}

/** A callback like the given one, which throws nothing. */
export function guarded(callback: () => void, onThrown: (thrown: unknown) => void): () => void {
  return () => {
    try {
      callback();
    } catch (error) {
      onThrown(error);
    }
  };
}
