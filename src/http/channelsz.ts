import type { Channel } from '../broker/state/channel.js';
import type { ChannelsByName } from '../monitor/channels-by-name.js';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import { subscriptionsOf } from '../monitor/subscriptionz.js';
import type { Unreadable } from '../store/types/unreadable.js';
import { type HttpRequest, textPage } from './answer.js';
import { jsonPage } from './json-page.js';
import { JsonArray, JsonObject } from './json-pieces.js';
import type { Page } from './page-maker.js';
import { cut, listHead, pageOf, wantsSubscriptions } from './query.js';

/** Limit of places in one channel that are listed. */
const MAX_DAMAGED = 20;

/** The channels by name, or one of them, in the fields of the Go server. */
export async function channelsz(
  node: MonitoredNode,
  byName: ChannelsByName,
  { query }: HttpRequest,
): Promise<Page> {
  const channels = node.broker?.channels;
  const unreadable = node.broker?.store.unreadable;
  const withSubscriptions = wantsSubscriptions(query);
  const name = query.get('channel') ?? '';
  if (name !== '') {
    const channel = channels?.get(name);
    if (channel === undefined) return textPage(404, `Channel ${name} not found`);
    return jsonPage(channelz(channel, withSubscriptions, unreadable));
  }
  const page = pageOf(query);
  const sorted = channels === undefined ? [] : await byName.of(channels);
  const shown = cut(sorted, page);
  const head = listHead(node, page, shown.length, sorted.length);
  if (shown.length === 0) return jsonPage(head);
  const list: [string, JsonArray] = withSubscriptions
    ? ['channels', new JsonArray(mapped(shown, (each) => channelz(each, true, unreadable)))]
    : ['names', new JsonArray(mapped(shown, (each) => each.name))];
  return jsonPage(new JsonObject([...Object.entries(head), list]));
}

function* mapped<T>(list: Iterable<T>, map: (element: T) => unknown): Generator<unknown> {
  for (const element of list) yield map(element);
}

function channelz(
  channel: Channel,
  withSubscriptions: boolean,
  unreadable: Unreadable | undefined,
): JsonObject {
  const { log, subscriptionCount } = channel;
  const damaged = unreadable?.of(log) ?? [];
  const isEmpty = log.messageCount === 0;
  const members: [string, unknown][] = Object.entries({
    name: channel.name,
    msgs: log.messageCount,
    bytes: log.byteCount,
    // In the Go server both are 0 for a channel that never had a message.
    first_seq: isEmpty && log.lastSequence === 0 ? 0 : log.firstSequence,
    last_seq: log.lastSequence,
    subs_count: subscriptionCount,
    // The Go server has no such field. It is there only where something cannot be read.
    ...(damaged.length > 0 && {
      damaged: damaged.slice(0, MAX_DAMAGED).map(({ first, last, why }) => ({ first, last, why })),
    }),
  });
  if (withSubscriptions && subscriptionCount > 0)
    members.push(['subscriptions', new JsonArray(subscriptionsOf(channel))]);
  return new JsonObject(members);
}
