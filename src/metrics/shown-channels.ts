import type { Channel } from '../broker/state/channel.js';
import { hasConsumers } from '../monitor/consumer.js';

/** Which channels have series of their own. */
export interface ShownChannels {
  readonly shown: readonly Channel[];
  /** The rest, those with consumers first. */
  readonly leftOut: readonly Channel[];
}

/**
 * Channels with a durable or queue group come first, since somebody wants to know whether it falls behind; then the others. Each
 * by name and not by activity, so that series do not come and go.
 */
export function shownChannels(byName: readonly Channel[], maxChannels: number): ShownChannels {
  const consumed: Channel[] = [];
  const others: Channel[] = [];
  for (const channel of byName) (hasConsumers(channel) ? consumed : others).push(channel);
  const all = consumed.concat(others);
  return { shown: all.slice(0, maxChannels), leftOut: all.slice(maxChannels) };
}
