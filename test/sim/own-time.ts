import type { World } from './world.js';

/**
 * Gives code that uses the global clock and timers those of the simulated process that runs at the moment.
 *
 * @returns how to end it
 */
export function ownTime(world: World): () => void {
  const { setTimeout: realSetTimeout, clearTimeout: realClearTimeout } = globalThis;
  const realNow = Date.now;
  const fake = (callback: () => void, ms = 0): object => {
    const timer = world.current!.clock.setTimer(ms, callback);
    return { unref: () => {}, ref: () => {}, cancel: () => timer.cancel() };
  };
  globalThis.setTimeout = fake as unknown as typeof setTimeout;
  globalThis.clearTimeout = ((timer: { cancel?: () => void } | undefined) =>
    timer?.cancel?.()) as typeof clearTimeout;
  Date.now = () =>
    world.current === undefined ? realNow() : Number(world.current.clock.wallNs() / 1_000_000n);
  return () => {
    globalThis.setTimeout = realSetTimeout;
    globalThis.clearTimeout = realClearTimeout;
    Date.now = realNow;
  };
}
