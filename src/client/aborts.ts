/** The callbacks that wait for one signal. */
interface Waiting {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

/**
 * The callbacks of each signal. All publishes with one signal share a listener: a signal searches its listeners one by one when one
 * is added or removed, and Node warns of more than ten.
 */
const waitingFor = new WeakMap<AbortSignal, Waiting>();

/** Calls `callback` when the signal aborts. @returns a function that takes the callback back */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const waiting = waitingFor.get(signal) ?? listen(signal);
  const { callbacks, listener } = waiting;
  callbacks.add(callback);
  return () => {
    callbacks.delete(callback);
    // After the abort, another call may have registered the signal again.
    if (callbacks.size > 0 || waitingFor.get(signal) !== waiting) return;
    waitingFor.delete(signal);
    signal.removeEventListener('abort', listener);
  };
}

function listen(signal: AbortSignal): Waiting {
  const callbacks = new Set<() => void>();
  const listener = (): void => {
    waitingFor.delete(signal);
    for (const callback of callbacks) callback();
    callbacks.clear();
  };
  const waiting = { callbacks, listener };
  waitingFor.set(signal, waiting);
  signal.addEventListener('abort', listener, { once: true });
  return waiting;
}
