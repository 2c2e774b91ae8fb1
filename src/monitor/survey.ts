import type { Broker } from '../broker/broker.js';
import { Turns } from '../util/turns.js';
import { consumersOf } from './consumer.js';

/** Sums that have to be counted channel by channel. */
export class Survey {
  messages = 0;
  bytes = 0;
  onlineSubscriptions = 0;
  offlineSubscriptions = 0;
  stalledSubscriptions = 0;
  inFlight = 0;
  maxLag = 0;

  /** Counts, and lets messages through in between, so that figures may change meanwhile. */
  static async of(broker: Broker | undefined): Promise<Survey> {
    const survey = new Survey();
    if (broker === undefined) return survey;
    const turns = await Turns.begin();
    for (const channel of broker.channels.all()) {
      const { log } = channel;
      survey.messages += log.messageCount;
      survey.bytes += log.byteCount;
      // Online subscriptions are counted below, by client.
      for (const sub of channel.durables.values()) {
        if (sub.isOnline) continue;
        survey.offlineSubscriptions++;
        survey.inFlight += sub.inFlight.size;
      }
      for (const group of channel.groups.values()) {
        if (group.members.length === 0) survey.offlineSubscriptions++;
        survey.inFlight += group.orphans.size;
      }
      for (const { inFlight, undelivered } of consumersOf(channel)) {
        survey.maxLag = Math.max(survey.maxLag, inFlight + undelivered);
        if (turns.isOver) await turns.giveWay();
      }
      if (turns.isOver) await turns.giveWay();
    }
    for (const sub of broker.subscriptions.values()) {
      survey.onlineSubscriptions++;
      survey.inFlight += sub.inFlight.size;
      if (sub.isStalled) survey.stalledSubscriptions++;
      if (turns.isOver) await turns.giveWay();
    }
    return survey;
  }
}
