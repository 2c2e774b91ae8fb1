import type { ClientSession } from '../state/client-session.js';
import { closeClient } from './close-client.js';
import type { BrokerContext } from './context.js';

/**
 * Asks the client whether it is there, and closes it when it has not answered too often. While it does not answer, its
 * share of a queue group goes to others and nothing is delivered to it again.
 */
export async function sendHeartbeat(context: BrokerContext, client: ClientSession): Promise<void> {
  const { heartbeatFailCount, heartbeatIntervalMs, heartbeatTimeoutMs } = context.options;
  // Without NATS nobody can answer: that is not the client's failure.
  const { link } = context.turn;
  if (link === undefined) {
    context.wheel.arm(client, heartbeatIntervalMs);
    return;
  }
  const isAlive = await context.pinger.ping(client.record.heartbeatInbox, heartbeatTimeoutMs);
  if (client.isClosed || context.isDraining) return;
  if (isAlive) {
    answered(context, client);
  } else if (context.turn.link === link) {
    client.failedHeartbeats++;
    if (client.failedHeartbeats > heartbeatFailCount) {
      context.log.warn(
        { clientId: client.id, failedHeartbeats: client.failedHeartbeats },
        'client closed: it does not answer its heartbeats',
      );
      context.turn.run(() => {
        closeClient(context, client);
        context.store.commit();
      });
      return;
    }
    if (client.failedHeartbeats === 1) wakeSubscriptions(context, client);
  }
  context.wheel.arm(client, heartbeatIntervalMs);
}

/** A silent client has said something: asks it at once, beside its regular heartbeats, so that its subscriptions go on. */
export async function confirmAlive(context: BrokerContext, client: ClientSession): Promise<void> {
  if (client.isBeingConfirmed) return;
  client.isBeingConfirmed = true;
  const isAlive = await context.pinger.ping(client.record.heartbeatInbox, context.options.heartbeatTimeoutMs);
  client.isBeingConfirmed = false;
  if (isAlive && !client.isClosed && !context.isDraining) answered(context, client);
}

function answered(context: BrokerContext, client: ClientSession): void {
  if (!client.isSilent) return;
  client.failedHeartbeats = 0;
  wakeSubscriptions(context, client);
}

/** Whether it answers has changed, and with it who gets what. */
function wakeSubscriptions({ turn, delivery }: BrokerContext, client: ClientSession): void {
  turn.run(() => {
    for (const sub of client.subscriptions) delivery.wake(sub);
  });
}
