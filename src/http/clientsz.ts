import type { ServerResponse } from 'node:http';
import type { ClientSession } from '../broker/state/client-session.js';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import { type Subscriptionz, subscriptionz } from '../monitor/subscriptionz.js';
import { type HttpRequest, sendJson, sendJsonPieces, sendText } from './answer.js';
import { jsonWithList } from './json-list.js';
import { cut, listHead, pageOf, wantsSubscriptions } from './query.js';

/** The clients by their ids, or one of them, in the fields of the Go server. */
export async function clientsz(
  node: MonitoredNode,
  { query }: HttpRequest,
  response: ServerResponse,
): Promise<void> {
  const clients = node.broker?.clients;
  const withSubscriptions = wantsSubscriptions(query);
  const clientId = query.get('client') ?? '';
  if (clientId !== '') {
    const client = clients?.get(clientId);
    if (client === undefined) sendText(response, 404, `Client ${clientId} not found`);
    else sendJson(response, 200, clientz(client, withSubscriptions));
    return;
  }
  const page = pageOf(query);
  const sorted = [...(clients?.all() ?? [])].sort((a, b) => (a.id < b.id ? -1 : 1));
  const shown = cut(sorted, page);
  const head = listHead(node, page, shown.length, sorted.length);
  const toJson = (client: ClientSession): object => clientz(client, withSubscriptions);
  await sendJsonPieces(response, jsonWithList(head, 'clients', shown, toJson));
}

function clientz(client: ClientSession, withSubscriptions: boolean): object {
  return {
    id: client.id,
    hb_inbox: client.record.heartbeatInbox,
    subs_count: client.subscriptions.size,
    ...(withSubscriptions &&
      client.subscriptions.size > 0 && { subscriptions: byChannel(client.subscriptions) }),
  };
}

/** The subscriptions by channel, in the order of the channels' names, as Go writes a map. */
function byChannel(subscriptions: ClientSession['subscriptions']): object {
  const channels = new Map<string, Subscriptionz[]>();
  for (const sub of subscriptions) {
    const { name } = sub.channel;
    const list = channels.get(name);
    if (list === undefined) channels.set(name, [subscriptionz(sub)]);
    else list.push(subscriptionz(sub));
  }
  return Object.fromEntries([...channels].sort(([a], [b]) => (a < b ? -1 : 1)));
}
