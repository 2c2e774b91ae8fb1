import type { Channel } from '../channel/channel.js';
import type { BrokerContext } from './context.js';

/** Starts the wait after which a channel that nobody uses is deleted. To be called when its last subscription ends. */
export function watchInactivity(context: BrokerContext, channel: Channel): void {
  const { maxInactivityMs } = channel.limits;
  if (maxInactivityMs <= 0) return;
  channel.lastSequenceSeen = channel.log.lastSequence;
  context.wheel.arm(channel, maxInactivityMs);
}

/** Deletes the channel with its offline durables, or waits on if it was used meanwhile. */
export function deleteIfInactive(context: BrokerContext, channel: Channel): void {
  // The end of its last subscription starts a new wait.
  if (channel.hasActiveSubscriptions) return;
  if (channel.log.lastSequence !== channel.lastSequenceSeen) {
    const { maxInactivityMs } = channel.limits;
    // Messages have come. The wall clock may have been set back, or forward: then a whole wait begins with now.
    const idleMs = Number(context.clock.wallNs() / 1_000_000n) - channel.log.lastActivityMs;
    channel.lastSequenceSeen = channel.log.lastSequence;
    context.wheel.arm(
      channel,
      idleMs > 0 && idleMs < maxInactivityMs ? maxInactivityMs - idleMs : maxInactivityMs,
    );
    return;
  }
  const { store } = context;
  for (const durable of channel.durables.values()) store.removeSubscription(durable.id);
  for (const group of channel.groups.values()) store.removeSubscription(group.id);
  store.deleteLog(channel.log);
  context.channels.remove(channel);
  store.commitLater();
  context.log.info(
    { channel: channel.name, maxInactivityMs: channel.limits.maxInactivityMs },
    'channel deleted: inactive for longer than its limit',
  );
}
