import { SERVICE_PROBLEM_KINDS } from '../broker/check/service-problem.js';
import { BAD_INPUT_KINDS } from '../broker/state/bad-input.js';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import type { Survey } from '../monitor/survey.js';
import { VERSION } from '../version.js';
import type { LeftOut } from './channel-series.js';

/** The sources of one scrape. */
export interface Facts {
  readonly node: MonitoredNode;
  readonly survey: Survey;
  readonly leftOut: LeftOut;
}

/** A sample of a metric with labels. */
export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** A metric of the server as a whole. */
export interface ServerMetric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly labelNames?: readonly string[];
  read(facts: Facts): number | readonly Sample[];
}

/** The series of the former NATS exporter, under its names, types and labels. `server_id` is the name of the node. */
const FORMER: readonly ServerMetric[] = [
  former('bytes_total', 'Bytes of the stored messages', ({ survey }) => survey.bytes),
  former('bytes_in', 'Bytes from publishers', ({ node }) => node.broker?.counters.bytesIn ?? 0),
  former('bytes_out', 'Bytes to subscribers', ({ node }) => node.broker?.counters.bytesOut ?? 0),
  former('msgs_total', 'Stored messages', ({ survey }) => survey.messages),
  former('msgs_in', 'Messages from publishers', ({ node }) => node.broker?.counters.messagesIn ?? 0),
  former('msgs_out', 'Messages to subscribers', ({ node }) => node.broker?.counters.messagesOut ?? 0),
  former('channels', 'Channels', ({ node }) => node.broker?.channels.size ?? 0),
  former(
    'subscriptions',
    'Subscriptions and offline durables',
    ({ survey }) => survey.onlineSubscriptions + survey.offlineSubscriptions,
  ),
  former('clients', 'Clients', ({ node }) => node.broker?.clients.size ?? 0),
  {
    name: 'nss_server_active',
    type: 'gauge',
    help: '1 on the active of a group',
    labelNames: ['server_id'],
    read: ({ node }) => [[{ server_id: node.name }, Number(node.state === 'FT_ACTIVE')]],
  },
  {
    name: 'nss_server_info',
    type: 'gauge',
    help: 'Always 1',
    labelNames: ['server_id', 'cluster_id', 'version', 'go_version', 'state', 'role', 'start_time'],
    read: ({ node }) => [
      [
        {
          server_id: node.name,
          cluster_id: node.clusterId,
          version: VERSION,
          go_version: `node ${process.version}`,
          state: node.state,
          role: '',
          start_time: new Date(node.startedAtMs).toISOString(),
        },
        1,
      ],
    ],
  },
];

const NO_BAD_INPUT: ReadonlyMap<string, number> = new Map(BAD_INPUT_KINDS.map((kind) => [kind, 0]));

const OWN: readonly ServerMetric[] = [
  {
    name: 'stanchion_info',
    type: 'gauge',
    help: 'Always 1',
    labelNames: ['node', 'cluster_id', 'version', 'node_version', 'store'],
    read: ({ node }) => [
      [
        {
          node: node.name,
          cluster_id: node.clusterId,
          version: VERSION,
          node_version: process.version,
          store: node.storeKind,
        },
        1,
      ],
    ],
  },
  gauge('serving', '1 while it serves clients', ({ node }) =>
    Number(node.health.isReady && node.state !== 'FT_STANDBY'),
  ),
  gauge('ready', '1 while it does its part: serves, or watches and could take over', ({ node }) =>
    Number(node.health.isReady),
  ),
  counter('received_messages', 'Messages from publishers, including refused ones', counted('messagesIn')),
  counter('received_bytes', 'Bytes of those messages, as received', counted('bytesIn')),
  counter(
    'delivered_messages',
    'Messages sent to subscribers, including redeliveries',
    counted('messagesOut'),
  ),
  counter('delivered_bytes', 'Bytes of those messages, as sent', counted('bytesOut')),
  counter('acks', 'Acks of subscribers', counted('acks')),
  counter('redeliveries', 'Messages sent again without an ack in time', counted('redeliveries')),
  counter('refused_publishes', 'Messages answered with an error', counted('refusedPublishes')),
  counter(
    'publish_duplicates',
    'Messages received again under their guid: acknowledged, and not stored again',
    counted('duplicatePublishes'),
  ),
  {
    name: 'stanchion_bad_input_total',
    type: 'counter',
    help: 'Malformed input, by kind',
    labelNames: ['kind'],
    read: ({ node }) => {
      const totals = new Map([...NO_BAD_INPUT, ...(node.broker?.badInput.counts() ?? [])]);
      return Array.from(totals, ([kind, total]) => [{ kind }, total]);
    },
  },
  gauge('clients', 'Connected clients', ({ node }) => node.broker?.clients.size ?? 0),
  {
    name: 'stanchion_subscriptions',
    type: 'gauge',
    help: 'Subscriptions; offline: durables and durable queue groups without a connected member',
    labelNames: ['state'],
    read: ({ survey }) => [
      [{ state: 'online' }, survey.onlineSubscriptions],
      [{ state: 'offline' }, survey.offlineSubscriptions],
    ],
  },
  gauge(
    'stalled_subscriptions',
    'Subscriptions at their MaxInflight, which get no new messages before they acknowledge',
    ({ survey }) => survey.stalledSubscriptions,
  ),
  gauge('channels', 'Channels', ({ node }) => node.broker?.channels.size ?? 0),
  gauge(
    'in_flight_messages',
    'Messages delivered and not acknowledged, of all subscriptions',
    ({ survey }) => survey.inFlight,
  ),
  gauge(
    'max_lag_messages',
    'Lag of the durable or queue group that is furthest behind, in any channel',
    ({ survey }) => survey.maxLag,
  ),
  gauge('stored_messages', 'Messages in the store', ({ survey }) => survey.messages),
  gauge('stored_bytes', 'Bytes of the messages in the store', ({ survey }) => survey.bytes),
  gauge(
    'store_pending_bytes',
    'Appended bytes that are not durable yet',
    ({ node }) => node.broker?.store.pendingBytes ?? 0,
  ),
  gauge(
    'store_pending_max_bytes',
    'Pending bytes from which publishers get an error',
    ({ node }) => node.broker?.maxPendingBytes ?? 0,
  ),
  gauge('store_full', '1 while publishers get an error for want of room', ({ node }) =>
    Number(node.broker?.store.fullReason !== undefined),
  ),
  gauge(
    'store_damaged_channels',
    'Channels with messages that could not be read; their subscriptions stop before such a message',
    ({ node }) => node.broker?.store.unreadable.channelCount() ?? 0,
  ),
  gauge(
    'store_damaged_messages',
    'Messages that could not be read for a subscription',
    ({ node }) => node.broker?.store.unreadable.messageCount() ?? 0,
  ),
  gauge(
    'store_damaged_segments',
    'Segments that are missing or short, or whose footer is damaged',
    ({ node }) => node.broker?.store.segmentProblems.length ?? 0,
  ),
  counter(
    'store_shortages',
    'Files that could not be opened or made for want of file descriptors or memory; what needed them is tried again',
    ({ node }) => node.measures.shortages,
  ),
  gauge(
    'clock_disbelieved_seconds',
    "By how much the machine's clock has jumped forward, as long as that is not believed",
    ({ node }) => (node.believed?.doubtMs ?? 0) / 1e3,
  ),
  gauge(
    'store_time_lead_seconds',
    "How far the store's own time, which ages go by, is ahead of the machine's clock; behind it if negative",
    ({ node }) => (node.broker?.store.timeLeadMs ?? 0) / 1e3,
  ),
  gauge('nats_connected', '1 while there is a connection to NATS', ({ node }) =>
    Number(node.nats.isConnected),
  ),
  gauge('nats_congested', '1 while NATS takes less than it is sent', ({ node }) =>
    Number(node.broker?.isCongested ?? false),
  ),
  {
    name: 'stanchion_service_problem',
    type: 'gauge',
    help: '1 for each problem by which clients are not served despite a connection to NATS, from the self-check of the broker',
    labelNames: ['kind'],
    read: ({ node }) =>
      SERVICE_PROBLEM_KINDS.map((kind) => [{ kind }, Number(node.serviceProblem?.kind === kind)]),
  },
  {
    name: 'stanchion_nats_refusals_total',
    type: 'counter',
    help: 'Refusals of the NATS server: permissions, limits',
    labelNames: ['operation'],
    read: ({ node }) =>
      Object.entries(node.nats.refusals).map(([operation, total]) => [{ operation }, total]),
  },
  counter('nats_losses', 'Lost connections to NATS', ({ node }) => node.nats.losses),
  gauge(
    'metrics_channels_left_out',
    'Channels without their own series, beyond --metrics-max-channels',
    ({ leftOut }) => leftOut.channels,
  ),
  gauge(
    'metrics_subscriptions_left_out',
    'Subscriptions, and offline durables and durable queue groups, without their own series, in any channel',
    ({ leftOut }) => leftOut.subscriptions,
  ),
  gauge(
    'metrics_consumers_left_out',
    'Durables and queue groups without their own series, in any channel',
    ({ leftOut }) => leftOut.consumers,
  ),
  gauge(
    'metrics_left_out_max_lag_messages',
    'Largest lag of a durable or queue group without its own series',
    ({ leftOut }) => leftOut.maxLag,
  ),
];

/** All metrics whose number of series does not grow with channels. */
export const SERVER_METRICS: readonly ServerMetric[] = [...FORMER, ...OWN];

function former(name: string, help: string, read: (facts: Facts) => number): ServerMetric {
  return {
    name: `nss_server_${name}`,
    type: 'counter',
    help,
    labelNames: ['server_id'],
    read: (facts) => [[{ server_id: facts.node.name }, read(facts)]],
  };
}

function gauge(name: string, help: string, read: (facts: Facts) => number): ServerMetric {
  return { name: `stanchion_${name}`, type: 'gauge', help, read };
}

function counter(name: string, help: string, read: (facts: Facts) => number): ServerMetric {
  return { name: `stanchion_${name}_total`, type: 'counter', help, read };
}

type CounterName =
  | 'messagesIn'
  | 'bytesIn'
  | 'messagesOut'
  | 'bytesOut'
  | 'acks'
  | 'redeliveries'
  | 'refusedPublishes'
  | 'duplicatePublishes';

function counted(name: CounterName): (facts: Facts) => number {
  return ({ node }) => node.broker?.counters[name] ?? 0;
}
