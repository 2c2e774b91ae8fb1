import type { Broker } from '../broker/broker.js';
import { Turns } from '../util/turns.js';

/** The sums over all channels. */
export interface Totals {
  messages: number;
  bytes: number;
  /** All subscriptions, online or not; an offline durable group counts as one, as in the Go server. */
  subscriptions: number;
}

/** Sums over all channels, in slices. */
export async function totalsOf(broker: Broker | undefined): Promise<Totals> {
  const totals = { messages: 0, bytes: 0, subscriptions: 0 };
  if (broker === undefined) return totals;
  const turns = await Turns.begin();
  for (const channel of broker.channels.all()) {
    totals.messages += channel.log.messageCount;
    totals.bytes += channel.log.byteCount;
    totals.subscriptions += channel.subscriptionCount;
    if (turns.isOver) await turns.giveWay();
  }
  return totals;
}
