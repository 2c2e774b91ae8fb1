import { randomBytes } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import {
  decodeConnectResponse,
  decodeSubscriptionResponse,
  encodeConnectRequest,
  encodeSubscriptionRequest,
  type SubscriptionRequest,
} from '../../src/protocol/messages.js';
import { stanSubjects } from '../../src/protocol/stan-subjects.js';

const AT_ONCE = 200;
const REQUEST_MS = 30_000;

export interface ManyClients {
  clusterId: string;
  count: number;
  /** What the client of this number subscribes to; inbox and client ID come by themselves. */
  subscriptions: (client: number) => readonly Partial<SubscriptionRequest>[];
}

/**
 * Many clients over one NATS connection. They answer heartbeats, and acknowledge nothing.
 *
 * @throws Error if one of them is refused
 */
export async function addClients(
  nats: NatsConnection,
  { clusterId, count, subscriptions }: ManyClients,
): Promise<void> {
  const { discover, subscribe } = stanSubjects(clusterId);
  nats.subscribe('many.heartbeat.*', { callback: (_error, message) => void message.respond() });
  await inGroups(count, async (i) => {
    const clientId = `client-${i}`;
    const request = { clientId, connId: randomBytes(16), heartbeatInbox: `many.heartbeat.${i}` };
    const joined = await nats.request(discover, encodeConnectRequest(request), { timeout: REQUEST_MS });
    const { error } = decodeConnectResponse(joined.data);
    if (error !== '') throw new Error(`${clientId}: ${error}`);
    for (const [j, subscription] of subscriptions(i).entries()) {
      const encoded = encodeSubscriptionRequest({ ...subscription, clientId, inbox: `many.inbox.${i}.${j}` });
      const answer = await nats.request(subscribe, encoded, { timeout: REQUEST_MS });
      const refusal = decodeSubscriptionResponse(answer.data).error;
      if (refusal !== '') throw new Error(`${clientId}: ${refusal}`);
    }
  });
}

/** Does something so many times, some of them at once. */
export async function inGroups(count: number, act: (index: number) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < count; from += AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, i) => act(from + i)));
  }
}
