import type { Channel } from '../state/channel.js';
import type { BrokerContext } from './context.js';

/** Starts the wait after which a channel that nobody uses is deleted. To be called when its last subscription ends. */
export function watchInactivity(context: BrokerContext, channel: Channel): void {
  const { maxInactivityMs } = channel.limits;
  if (maxInactivityMs <= 0) return;
  channel.usedAtMs = context.clock.monotonicMs();
  context.wheel.arm(channel, maxInactivityMs);
}

/** Deletes the channel with its offline durables, or waits on if it was used meanwhile. */
export function deleteIfInactive(context: BrokerContext, channel: Channel): void {
  // The end of its last subscription starts a new wait.
  if (channel.hasActiveSubscriptions) return;
  const nowMs = context.clock.monotonicMs();
  // A message that is not durable yet is about to be acknowledged: the channel is in use until it is.
  if (channel.visible < channel.log.lastSequence) channel.usedAtMs = nowMs;
  // By the monotonic clock: a wall clock that is set forward must not delete anything.
  const restMs = channel.usedAtMs + channel.limits.maxInactivityMs - nowMs;
  if (restMs > 0) {
    context.wheel.arm(channel, restMs);
    return;
  }
  const { store } = context;
  for (const durable of channel.durables.values()) {
    store.removeSubscription(durable.id);
    // A late ack may not have been recorded yet.
    durable.progress.clear();
    context.ended.remove(durable);
  }
  for (const group of channel.groups.values()) {
    store.removeSubscription(group.id);
    group.progress.clear();
  }
  channel.groups.clear();
  store.deleteLog(channel.log);
  context.channels.remove(channel);
  store.commitLater();
  context.log.info(
    { channel: channel.name, maxInactivityMs: channel.limits.maxInactivityMs },
    'channel deleted: inactive for longer than its limit',
  );
}
