import type { Channel } from '../channel/channel.js';
import { type Subscriptionz, subscriptionsOf } from '../http/subscriptionz.js';
import { Turns } from '../util/turns.js';
import { type Consumer, consumersOf, groupNames } from './consumer.js';
import { labelText, TextMetric } from './exposition.js';

/** On average, in the channels that are shown: so many subscriptions, durables and queue groups have series. */
const SUBSCRIPTIONS_PER_CHANNEL = 10;

/**
 * The series that grow with channels and subscriptions. Written as text and not by prom-client: it would keep an object
 * per series, and format all of a metric in one go, which with thousands of channels holds up messages.
 */
export class ChannelSeries {
  subscriptionsLeftOut = 0;
  readonly #nodeName: string;
  #subscriptionsLeft: number;

  // Names, types and labels of the former NATS exporter.
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
    'What the durable or queue group has still to acknowledge: in flight and undelivered',
    'gauge',
  );

  private constructor(nodeName: string, maxSubscriptions: number) {
    this.#nodeName = nodeName;
    this.#subscriptionsLeft = maxSubscriptions;
  }

  static async of(nodeName: string, channels: readonly Channel[]): Promise<ChannelSeries> {
    const series = new ChannelSeries(nodeName, channels.length * SUBSCRIPTIONS_PER_CHANNEL);
    const turns = new Turns();
    for (const channel of channels) {
      series.#addChannel(channel);
      if (turns.isOver) await turns.giveWay();
    }
    return series;
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

  #addChannel(channel: Channel): void {
    const { log, name } = channel;
    const labels = labelText({ server_id: this.#nodeName, server_role: '', channel: name });
    this.#bytes.add(labels, log.byteCount);
    this.#messages.add(labels, log.messageCount);
    this.#lastSequence.add(labels, log.lastSequence);
    const count = channel.subscriptionCount;
    if (count === 0) return;
    if (count > this.#subscriptionsLeft) {
      // Some of a channel's subscriptions would say less than none.
      this.subscriptionsLeftOut += count;
      return;
    }
    this.#subscriptionsLeft -= count;
    this.#addSubscriptions(labels, subscriptionsOf(channel));
    for (const consumer of consumersOf(channel)) this.#addConsumer(name, consumer);
  }

  #addSubscriptions(channelLabels: string, subscriptions: readonly Subscriptionz[]): void {
    // Inboxes are chosen by clients: two subscriptions that share everything would make one series twice.
    const seen = new Set<string>();
    for (const sub of subscriptions) {
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
