import type { ServerResponse } from 'node:http';
import type { Channel } from '../broker/state/channel.js';
import type { ChannelsByName } from '../monitor/channels-by-name.js';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import { subscriptionsOf } from '../monitor/subscriptionz.js';
import type { Unreadable } from '../store/types/unreadable.js';
import { type HttpRequest, sendJson, sendJsonPieces, sendText } from './answer.js';
import { jsonWithList } from './json-list.js';
import { cut, listHead, pageOf, wantsSubscriptions } from './query.js';

/** Limit of places in one channel that are listed. */
const MAX_DAMAGED = 20;

/** The channels by name, or one of them, in the fields of the Go server. */
export async function channelsz(
  node: MonitoredNode,
  byName: ChannelsByName,
  { query }: HttpRequest,
  response: ServerResponse,
): Promise<void> {
  const channels = node.broker?.channels;
  const unreadable = node.broker?.store.unreadable;
  const withSubscriptions = wantsSubscriptions(query);
  const name = query.get('channel') ?? '';
  if (name !== '') {
    const channel = channels?.get(name);
    if (channel === undefined) sendText(response, 404, `Channel ${name} not found`);
    else sendJson(response, 200, channelz(channel, withSubscriptions, unreadable));
    return;
  }
  const page = pageOf(query);
  const sorted = channels === undefined ? [] : byName.of(channels);
  const shown = cut(sorted, page);
  const head = listHead(node, page, shown.length, sorted.length);
  if (shown.length === 0) sendJson(response, 200, head);
  else if (!withSubscriptions) sendJson(response, 200, { ...head, names: shown.map((each) => each.name) });
  else
    await sendJsonPieces(
      response,
      jsonWithList(head, 'channels', shown, (each) => channelz(each, true, unreadable)),
    );
}

function channelz(channel: Channel, withSubscriptions: boolean, unreadable: Unreadable | undefined): object {
  const { log } = channel;
  const damaged = unreadable?.of(log) ?? [];
  const isEmpty = log.messageCount === 0;
  return {
    name: channel.name,
    msgs: log.messageCount,
    bytes: log.byteCount,
    // In the Go server both are 0 for a channel that never had a message.
    first_seq: isEmpty && log.lastSequence === 0 ? 0 : log.firstSequence,
    last_seq: log.lastSequence,
    subs_count: channel.subscriptionCount,
    // The Go server has no such field. It is there only where something cannot be read.
    ...(damaged.length > 0 && {
      damaged: damaged.slice(0, MAX_DAMAGED).map(({ first, last, why }) => ({ first, last, why })),
    }),
    ...(withSubscriptions && channel.subscriptionCount > 0 && { subscriptions: subscriptionsOf(channel) }),
  };
}
