import type { Channel } from '../broker/state/channel.js';
import { type Consumer, consumersOf, groupNames } from '../monitor/consumer.js';
import { type Subscriptionz, subscriptionsOf } from '../monitor/subscriptionz.js';
import { Turns } from '../util/turns.js';
import { labelText, TextMetric } from './exposition.js';
import { shownChannels } from './shown-channels.js';

/** Limit of subscriptions with series, and of durables and queue groups with series, per shown channel. */
const SUBSCRIPTIONS_PER_CHANNEL = 10;

/** The sums of those that have no series of their own, since there are too many. */
export interface LeftOut {
  readonly channels: number;
  readonly subscriptions: number;
  /** Durables and queue groups. */
  readonly consumers: number;
  /** The lag of the consumer among them that is furthest behind; 0 if there are none. */
  readonly maxLag: number;
}

/**
 * The series whose number grows with channels and subscriptions. They are written as text: prom-client would keep an object per
 * series, and format a whole metric at once, which with thousands of channels delays messages.
 */
export class ChannelSeries {
  readonly #nodeName: string;
  readonly #leftOut = { channels: 0, subscriptions: 0, consumers: 0, maxLag: 0 };
  /** How many more may have series. */
  #subscriptionsLeft: number;
  #consumersLeft: number;

  // These have the names, types and labels of the former NATS exporter.
  readonly #bytes = new TextMetric('nss_chan_bytes_total', 'Bytes of the stored messages', 'gauge');
  readonly #messages = new TextMetric('nss_chan_msgs_total', 'Stored messages', 'gauge');
  readonly #lastSequence = new TextMetric('nss_chan_last_seq', 'Sequence of the newest message', 'gauge');
  readonly #lastSent = new TextMetric('nss_chan_subs_last_sent', 'Highest sequence delivered', 'gauge');
  readonly #pending = new TextMetric(
    'nss_chan_subs_pending_count',
    'Messages delivered and not acknowledged',
    'gauge',
  );
  readonly #maxInFlight = new TextMetric('nss_chan_subs_max_inflight', 'MaxInflight', 'gauge');

  readonly #members = new TextMetric(
    'stanchion_consumer_members',
    'Connected members of a durable or queue group; 0: offline',
    'gauge',
  );
  readonly #consumerInFlight = new TextMetric(
    'stanchion_consumer_in_flight_messages',
    'Delivered to a durable or queue group and not acknowledged',
    'gauge',
  );
  readonly #undelivered = new TextMetric(
    'stanchion_consumer_undelivered_messages',
    'In the channel and not yet delivered to the durable or queue group',
    'gauge',
  );
  readonly #lag = new TextMetric(
    'stanchion_consumer_lag_messages',
    'Messages that the durable or queue group has still to acknowledge: in flight and undelivered',
    'gauge',
  );

  private constructor(nodeName: string, maxChannels: number) {
    this.#nodeName = nodeName;
    this.#subscriptionsLeft = this.#consumersLeft = maxChannels * SUBSCRIPTIONS_PER_CHANNEL;
  }

  /** @param byName all channels, by name. @param maxChannels how many channels have series; 0 is none */
  static async of(nodeName: string, byName: readonly Channel[], maxChannels: number): Promise<ChannelSeries> {
    const series = new ChannelSeries(nodeName, maxChannels);
    const { shown, leftOut } = shownChannels(byName, maxChannels);
    const turns = await Turns.begin();
    for (const channel of shown) {
      for (const _step of series.#addChannel(channel)) if (turns.isOver) await turns.giveWay();
    }
    for (const channel of leftOut) {
      for (const _step of series.#leaveOut(channel)) if (turns.isOver) await turns.giveWay();
    }
    return series;
  }

  get leftOut(): LeftOut {
    return this.#leftOut;
  }

  *pieces(): IterableIterator<string> {
    const metrics = [
      this.#bytes,
      this.#messages,
      this.#lastSequence,
      this.#lastSent,
      this.#pending,
      this.#maxInFlight,
      this.#members,
      this.#consumerInFlight,
      this.#undelivered,
      this.#lag,
    ];
    for (const metric of metrics) yield* metric.pieces();
  }

  /** A step for each subscription and consumer: a channel may have very many of them. */
  *#addChannel(channel: Channel): Generator<void> {
    yield;
    const { log, name } = channel;
    const labels = labelText({ server_id: this.#nodeName, server_role: '', channel: name });
    this.#bytes.add(labels, log.byteCount);
    this.#messages.add(labels, log.messageCount);
    this.#lastSequence.add(labels, log.lastSequence);
    const count = channel.subscriptionCount;
    if (count === 0) return;
    if (count <= this.#subscriptionsLeft) {
      this.#subscriptionsLeft -= count;
      yield* this.#addSubscriptions(labels, subscriptionsOf(channel));
    } else {
      // Series of only some of a channel's subscriptions would mislead.
      this.#leftOut.subscriptions += count;
    }
    for (const consumer of consumersOf(channel)) {
      if (this.#consumersLeft > 0) this.#addConsumer(name, consumer);
      else this.#leaveOutConsumer(consumer);
      yield;
    }
  }

  *#leaveOut(channel: Channel): Generator<void> {
    yield;
    this.#leftOut.channels++;
    this.#leftOut.subscriptions += channel.subscriptionCount;
    for (const consumer of consumersOf(channel)) {
      this.#leaveOutConsumer(consumer);
      yield;
    }
  }

  #leaveOutConsumer({ inFlight, undelivered }: Consumer): void {
    this.#leftOut.consumers++;
    this.#leftOut.maxLag = Math.max(this.#leftOut.maxLag, inFlight + undelivered);
  }

  *#addSubscriptions(channelLabels: string, subscriptions: Iterable<Subscriptionz>): Generator<void> {
    // Clients choose their inboxes. Two subscriptions that share all labels must not make the same series twice.
    const seen = new Set<string>();
    for (const sub of subscriptions) {
      yield;
      const { durableName, queueName } = groupNames(sub.queue_name ?? '', sub.is_durable);
      const labels = labelText({
        client_id: sub.client_id,
        inbox: sub.inbox,
        queue_name: queueName,
        is_durable: String(sub.is_durable),
        is_offline: String(sub.is_offline),
        durable_name: sub.durable_name ?? durableName,
      });
      if (seen.has(labels)) continue;
      seen.add(labels);
      const all = `${channelLabels},${labels}`;
      this.#lastSent.add(all, sub.last_sent);
      this.#pending.add(all, sub.pending_count);
      this.#maxInFlight.add(all, sub.max_inflight);
    }
  }

  #addConsumer(channel: string, consumer: Consumer): void {
    this.#consumersLeft--;
    const labels = labelText({
      channel,
      kind: consumer.kind,
      client_id: consumer.clientId,
      durable_name: consumer.durableName,
      queue_name: consumer.queueName,
    });
    this.#members.add(labels, consumer.members);
    this.#consumerInFlight.add(labels, consumer.inFlight);
    this.#undelivered.add(labels, consumer.undelivered);
    this.#lag.add(labels, consumer.inFlight + consumer.undelivered);
  }
}
