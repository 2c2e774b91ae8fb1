import type { Broker } from '../broker/broker.js';

/** The sums over all channels. */
export interface Totals {
  messages: number;
  bytes: number;
  /** All subscriptions, online or not; an offline durable group counts as one, as in the Go server. */
  subscriptions: number;
}

/** Sums over all channels. It takes some microseconds per hundred channels. */
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
