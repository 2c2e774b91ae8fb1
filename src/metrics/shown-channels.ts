import type { Channel } from '../broker/state/channel.js';
import { hasConsumers } from '../monitor/consumer.js';

/** The channels with their own series, and the rest. */
export interface ShownChannels {
  readonly shown: readonly Channel[];
  /** The rest, those with consumers first. */
  readonly leftOut: readonly Channel[];
}

/**
 * Chooses the channels with their own series. Those with a durable or queue group come first, since it matters whether one falls behind.
 * The order is by name and not by activity, so that series do not come and go.
 */
export function shownChannels(byName: readonly Channel[], maxChannels: number): ShownChannels {
  const consumed: Channel[] = [];
  const others: Channel[] = [];
  for (const channel of byName) (hasConsumers(channel) ? consumed : others).push(channel);
  const all = consumed.concat(others);
  return { shown: all.slice(0, maxChannels), leftOut: all.slice(maxChannels) };
}
