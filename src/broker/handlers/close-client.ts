import type { ClientSession } from '../state/client-session.js';
import type { Subscription } from '../state/subscription.js';
import type { BrokerContext } from './context.js';
import { endSubscription } from './end-subscription.js';

/** Ends a client: its durables go offline, its other subscriptions end. */
export function closeClient(context: BrokerContext, client: ClientSession): void {
  client.isClosed = true;
  context.wheel.disarm(client);
  context.clients.remove(client);
  context.recentGuids.forget(client.record.session);
  for (const sub of [...client.subscriptions] as Subscription[]) endSubscription(context, sub, 'close');
  context.store.removeClient(client.id);
  context.log.debug({ clientId: client.id }, 'client closed');
}
