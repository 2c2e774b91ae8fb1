/** Those that wait for one signal. */
interface Waiting {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

/**
 * By signal. A signal searches its listeners one by one when one comes or goes, and Node warns of more than ten: all publishes of a
 * signal share one.
 */
const waitingFor = new WeakMap<AbortSignal, Waiting>();

/** @returns ends it */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const waiting = waitingFor.get(signal) ?? listen(signal);
  const { callbacks, listener } = waiting;
  callbacks.add(callback);
  return () => {
    callbacks.delete(callback);
    // Another one may have begun anew after the signal has come.
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
