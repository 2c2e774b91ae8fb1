import type { ClientSession } from '../broker/state/client-session.js';
import type { Subscription } from '../broker/state/subscription.js';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import { subscriptionz } from '../monitor/subscriptionz.js';
import { sorted } from '../util/sorted.js';
import { Turns } from '../util/turns.js';
import { type HttpRequest, textPage } from './answer.js';
import { jsonPage } from './json-page.js';
import { JsonArray, JsonObject } from './json-pieces.js';
import type { Page } from './page-maker.js';
import { cut, listHead, pageOf, wantsSubscriptions } from './query.js';

/** The clients by their ids, or one of them, in the fields of the Go server. */
export async function clientsz(node: MonitoredNode, { query }: HttpRequest): Promise<Page> {
  const clients = node.broker?.clients;
  const withSubscriptions = wantsSubscriptions(query);
  const clientId = query.get('client') ?? '';
  if (clientId !== '') {
    const client = clients?.get(clientId);
    if (client === undefined) return textPage(404, `Client ${clientId} not found`);
    return jsonPage(clientz(client, withSubscriptions));
  }
  const page = pageOf(query);
  const byId = (a: ClientSession, b: ClientSession): number => (a.id < b.id ? -1 : 1);
  const all = await sorted([...(clients?.all() ?? [])], byId, await Turns.begin());
  const shown = cut(all, page);
  const head = listHead(node, page, shown.length, all.length);
  const list = function* (): Generator<JsonObject> {
    for (const client of shown) yield clientz(client, withSubscriptions);
  };
  return jsonPage(new JsonObject([...Object.entries(head), ['clients', new JsonArray(list())]]));
}

function clientz(client: ClientSession, withSubscriptions: boolean): JsonObject {
  const { id, record, subscriptions } = client;
  const members: [string, unknown][] = Object.entries({
    id,
    hb_inbox: record.heartbeatInbox,
    subs_count: subscriptions.size,
  });
  if (withSubscriptions && subscriptions.size > 0)
    members.push(['subscriptions', new JsonObject(byChannel(subscriptions))]);
  return new JsonObject(members);
}

/** The subscriptions by channel, in the order of the channels' names, as Go writes a map. */
function* byChannel(subscriptions: Iterable<Subscription>): Generator<[string, JsonArray]> {
  const channels = new Map<string, Subscription[]>();
  for (const sub of subscriptions) {
    const { name } = sub.channel;
    const list = channels.get(name);
    if (list === undefined) channels.set(name, [sub]);
    else list.push(sub);
  }
  const names = [...channels.keys()].sort();
  for (const name of names) yield [name, new JsonArray(subscriptionzOf(channels.get(name) ?? []))];
}

function* subscriptionzOf(subscriptions: readonly Subscription[]): Generator<object> {
  for (const sub of subscriptions) yield subscriptionz(sub);
}
