import type { Broker } from '../broker/broker.js';

/** What all channels have together. */
export interface Totals {
  messages: number;
  bytes: number;
  /** Everything that is kept, online or not; an offline durable group is one. As the Go server counts. */
  subscriptions: number;
}

/** Some microseconds per hundred channels. */
export function totalsOf(broker: Broker | undefined): Totals {
  const totals = { messages: 0, bytes: 0, subscriptions: 0 };
  if (broker === undefined) return totals;
  for (const channel of broker.channels.all()) {
    totals.messages += channel.log.messageCount;
    totals.bytes += channel.log.byteCount;
    totals.subscriptions += channel.subscriptionCount;
  }
  return totals;
}
