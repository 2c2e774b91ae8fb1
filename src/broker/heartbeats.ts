import type { ClientSession } from './client-session.js';
import { closeClient } from './close-client.js';
import type { BrokerContext } from './context.js';

/**
 * Asks the client whether it is there, and closes it when it has not answered too often. While it does not answer, its
 * share of a queue group goes to others and nothing is delivered to it again.
 */
export async function sendHeartbeat(context: BrokerContext, client: ClientSession): Promise<void> {
  const { heartbeatFailCount, heartbeatIntervalMs, heartbeatTimeoutMs } = context.options;
  // Without NATS nobody can answer: that is not the client's failure.
  if (context.link === undefined) {
    context.wheel.arm(client, heartbeatIntervalMs);
    return;
  }
  const link = context.link;
  const isAlive = await context.pinger.ping(client.record.heartbeatInbox, heartbeatTimeoutMs);
  if (client.isClosed) return;
  if (isAlive) {
    client.failedHeartbeats = 0;
  } else if (context.link === link) {
    client.failedHeartbeats++;
    if (client.failedHeartbeats > heartbeatFailCount) {
      context.log.warn(
        { clientId: client.id, failedHeartbeats: client.failedHeartbeats },
        'client closed: it does not answer its heartbeats',
      );
      context.delivery.beginTurn();
      closeClient(context, client);
      context.store.commit();
      context.delivery.serveReady();
      context.delivery.endTurn();
      return;
    }
  }
  context.wheel.arm(client, heartbeatIntervalMs);
}
